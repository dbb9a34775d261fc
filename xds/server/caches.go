package server

import (
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/xds/resources"
)

// roleOf says who may subscribe to a type; empty for a type that is not served.
func roleOf(typeURL string) peer.Role {
	switch typeURL {
	case resources.BundleType():
		return peer.Process
	case resource.ListenerType, resource.ClusterType, resource.EndpointType, resource.RouteType, resource.SecretType:
		return peer.Envoy
	}
	return ""
}

// newMux sends each type to the cache of those who may have it.
func newMux(bundles, envoys cache.Cache) *cache.MuxCache {
	return &cache.MuxCache{
		Classify:      func(r *cache.Request) string { return string(roleOf(r.GetTypeUrl())) },
		ClassifyDelta: func(r *cache.DeltaRequest) string { return string(roleOf(r.GetTypeUrl())) },
		Caches:        map[string]cache.Cache{string(peer.Process): bundles, string(peer.Envoy): envoys},
	}
}

// oneForAll gives every processor the same snapshot.
type oneForAll struct{}

// ID implements cache.NodeHash.
func (oneForAll) ID(*envoy_config_core_v3.Node) string { return resources.Stable }

// bundleSnapshot is a bundle as a snapshot of its one type. Its version is the bundle's, so that ACKs name it.
type bundleSnapshot struct {
	version  string
	resource types.Resource
}

func newBundleSnapshot(b *policyv1.Bundle) *bundleSnapshot {
	return &bundleSnapshot{version: b.GetVersion(), resource: b}
}

// GetVersion implements cache.ResourceSnapshot.
func (s *bundleSnapshot) GetVersion(string) string { return s.version }

// GetResourcesAndTTL implements cache.ResourceSnapshot.
func (s *bundleSnapshot) GetResourcesAndTTL(string) map[string]types.ResourceWithTTL {
	return map[string]types.ResourceWithTTL{resources.Stable: {Resource: s.resource}}
}

// GetResources implements cache.ResourceSnapshot.
func (s *bundleSnapshot) GetResources(string) map[string]types.Resource {
	return map[string]types.Resource{resources.Stable: s.resource}
}

// ConstructVersionMap implements cache.ResourceSnapshot.
func (s *bundleSnapshot) ConstructVersionMap() error { return nil }

// GetVersionMap implements cache.ResourceSnapshot.
func (s *bundleSnapshot) GetVersionMap(string) map[string]string {
	return map[string]string{resources.Stable: s.version}
}
