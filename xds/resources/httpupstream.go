package resources

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	envoy_config_cluster_v3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_config_endpoint_v3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	envoy_extensions_transport_sockets_tls_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	envoy_extensions_upstreams_http_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	envoy_type_matcher_v3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
)

// upstreamIdle is how long an unused connection to a service is kept: less than servers commonly do, since a request
// that meets the server's close fails, and is not sent again.
const upstreamIdle = 30 * time.Second

// matchMetadata is the namespace of endpoint metadata by which Envoy chooses a transport socket.
const (
	matchMetadata = "envoy.transport_socket_match"
	matchName     = "server_name"
)

// httpCluster adds the endpoints of a target. Any of them will do, so Envoy chooses.
func (b *builder) httpCluster(t httpTarget) error {
	h := t.GetHttp()
	c := upstream(HTTPCluster(t.GetName()))
	c.UpstreamConnectionOptions = &envoy_config_cluster_v3.UpstreamConnectionOptions{TcpKeepalive: keepalive()}
	options := &envoy_extensions_upstreams_http_v3.HttpProtocolOptions{
		CommonHttpProtocolOptions: &envoy_config_core_v3.HttpProtocolOptions{IdleTimeout: seconds(upstreamIdle)},
		UpstreamProtocolOptions:   explicitHTTP1(),
	}
	if h.GetHttp2() {
		options.UpstreamProtocolOptions = explicitHTTP2(&envoy_config_core_v3.Http2ProtocolOptions{
			InitialStreamWindowSize: wrapperspb.UInt32(streamWindow), InitialConnectionWindowSize: wrapperspb.UInt32(connectionWindow),
			// One agent's resets must not cut what others have under way in the same connection.
			MaxOutboundFrames: wrapperspb.UInt32(processorFrames), MaxOutboundControlFrames: wrapperspb.UInt32(processorFrames),
		})
	}
	var err error
	if c.TypedExtensionProtocolOptions, err = httpOptions(options); err != nil {
		return err
	}
	c.LoadAssignment = &envoy_config_endpoint_v3.ClusterLoadAssignment{ClusterName: c.GetName()}
	locality := &envoy_config_endpoint_v3.LocalityLbEndpoints{}
	c.LoadAssignment.Endpoints = append(c.LoadAssignment.Endpoints, locality)
	for i, e := range h.GetEndpoints() {
		addr, err := netip.ParseAddr(e.GetHost())
		if err == nil && addr.Zone() != "" {
			b.fault(fmt.Sprintf("%s.http.endpoints[%d].host", t.field, i), "Envoy knows no zones of addresses")
			continue
		}
		if err != nil {
			resolve(c)
		}
		locality.LbEndpoints = append(locality.LbEndpoints, &envoy_config_endpoint_v3.LbEndpoint{
			HostIdentifier: &envoy_config_endpoint_v3.LbEndpoint_Endpoint{
				// Its name is what the service sees as its host where the target says nothing else.
				Endpoint: &envoy_config_endpoint_v3.Endpoint{Address: socketAddress(e.GetHost(), e.GetPort()), Hostname: policies.EndpointHost(h, e)},
			},
		})
	}
	b.out.Clusters = append(b.out.Clusters, c)
	if h.GetTls().GetMode() == policyv1.UpstreamTls_DISABLE {
		return nil
	}
	secret := b.authorities(t)
	return upstreamTLS(c, t, secret)
}

// upstreamTLS proves the service's certificate. Endpoints with different names each have a socket of their own.
func upstreamTLS(c *envoy_config_cluster_v3.Cluster, t httpTarget, secret string) error {
	var names []string
	for _, e := range t.GetHttp().GetEndpoints() {
		if n := serverName(t.GetHttp(), e); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	var err error
	// Where several are chosen from, this is for what matches none: nothing does.
	if c.TransportSocket, err = serverTLS(t.GetHttp(), names[0], secret); err != nil || len(names) == 1 {
		return err
	}
	for _, n := range names {
		s, err := serverTLS(t.GetHttp(), n, secret)
		if err != nil {
			return err
		}
		c.TransportSocketMatches = append(c.TransportSocketMatches, &envoy_config_cluster_v3.Cluster_TransportSocketMatch{
			Name: n, Match: matching(n), TransportSocket: s,
		})
	}
	for i, e := range c.GetLoadAssignment().GetEndpoints()[0].GetLbEndpoints() {
		e.Metadata = &envoy_config_core_v3.Metadata{FilterMetadata: map[string]*structpb.Struct{
			matchMetadata: matching(serverName(t.GetHttp(), t.GetHttp().GetEndpoints()[i])),
		}}
	}
	return nil
}

func matching(name string) *structpb.Struct {
	return &structpb.Struct{Fields: map[string]*structpb.Value{matchName: structpb.NewStringValue(name)}}
}

// serverName is the name that an endpoint's certificate must carry, in lower case as Envoy compares it.
func serverName(h *policyv1.Http, e *policyv1.Endpoint) string {
	if n := h.GetTls().GetServerName(); n != "" {
		return strings.ToLower(n)
	}
	return strings.ToLower(e.GetHost())
}

// serverTLS takes a certificate of the secret's authorities, with the name unless the mode is VERIFY_CA.
func serverTLS(h *policyv1.Http, name, secret string) (*envoy_config_core_v3.TransportSocket, error) {
	config := &envoy_extensions_transport_sockets_tls_v3.UpstreamTlsContext{
		Sni: name,
		CommonTlsContext: &envoy_extensions_transport_sockets_tls_v3.CommonTlsContext{
			TlsParams:     tls12(),
			AlpnProtocols: []string{alpnHTTP1},
		},
	}
	kind := envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher_DNS
	if _, err := netip.ParseAddr(name); err == nil {
		kind = envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher_IP_ADDRESS
		config.Sni = "" // RFC 6066, section 3: no addresses
	}
	if h.GetHttp2() {
		config.CommonTlsContext.AlpnProtocols = []string{alpnHTTP2}
	}
	// Without an authority Envoy would take any certificate (CertificateValidationContext.trusted_ca); the secret has
	// one, and until it is there the cluster is not used.
	validation := &envoy_extensions_transport_sockets_tls_v3.CertificateValidationContext{}
	if h.GetTls().GetMode() != policyv1.UpstreamTls_VERIFY_CA {
		validation.MatchTypedSubjectAltNames = []*envoy_extensions_transport_sockets_tls_v3.SubjectAltNameMatcher{{
			SanType: kind,
			Matcher: &envoy_type_matcher_v3.StringMatcher{MatchPattern: &envoy_type_matcher_v3.StringMatcher_Exact{Exact: name}},
		}}
	}
	config.CommonTlsContext.ValidationContextType = &envoy_extensions_transport_sockets_tls_v3.CommonTlsContext_CombinedValidationContext{
		CombinedValidationContext: &envoy_extensions_transport_sockets_tls_v3.CommonTlsContext_CombinedCertificateValidationContext{
			DefaultValidationContext:         validation,
			ValidationContextSdsSecretConfig: secretOverADS(secret),
		},
	}
	return socket(tlsSocket, config)
}
