package resources

import (
	envoy_config_cluster_v3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	envoy_config_endpoint_v3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	envoy_config_listener_v3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	envoy_config_route_v3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	envoy_extensions_transport_sockets_tls_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"google.golang.org/protobuf/proto"
)

// versionLength is how much of a hash a version is, in characters.
const versionLength = 16

// Cache is the snapshot as go-control-plane serves it. Each type's version is a hash of its content, so that what did
// not change is not sent.
func (s *Snapshot) Cache() (*cache.Snapshot, error) {
	out := &cache.Snapshot{}
	var err error
	if out.Resources[types.Listener], err = group[*envoy_config_listener_v3.Listener](s.Listeners); err != nil {
		return nil, err
	}
	if out.Resources[types.Cluster], err = group[*envoy_config_cluster_v3.Cluster](s.Clusters); err != nil {
		return nil, err
	}
	if out.Resources[types.Endpoint], err = group[*envoy_config_endpoint_v3.ClusterLoadAssignment](s.Endpoints); err != nil {
		return nil, err
	}
	if out.Resources[types.Route], err = group[*envoy_config_route_v3.RouteConfiguration](s.Routes); err != nil {
		return nil, err
	}
	if out.Resources[types.Secret], err = group[*envoy_extensions_transport_sockets_tls_v3.Secret](s.Secrets); err != nil {
		return nil, err
	}
	if err := out.Consistent(); err != nil {
		return nil, err
	}
	return out, out.ConstructVersionMap()
}

func group[M proto.Message](list []M) (cache.Resources, error) {
	version, err := digest(versionLength, list...)
	if err != nil {
		return cache.Resources{}, err
	}
	items := make([]types.Resource, len(list))
	for i, m := range list {
		items[i] = m
	}
	return cache.NewResources(version, items), nil
}
