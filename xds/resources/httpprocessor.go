package resources

import (
	"net/netip"
	"time"

	envoy_config_cluster_v3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_extensions_upstreams_http_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	// A frozen processor is seen after these (HTTP/2 PING; FACTS 3): what it holds fails, and is not lost without a word.
	pingInterval = 30 * time.Second
	pingTimeout  = 5 * time.Second
	// processorStreams is how many streams Envoy opens in one connection to a processor: each request has one for its
	// Check, held or not, and one for its response.
	processorStreams = 100_000
	// processorFrames is how many frames may wait to be written to a processor, twice those that reset every stream. By
	// Envoy's own limits (10,000, and 1,000 that reset or the like) an agent that opens and resets many requests at once
	// has Envoy take the processor for an attacker, and cut what all other agents have under way or held.
	processorFrames = 2 * processorStreams
	// processorWindow is the connection's window, in bytes: 1,000 responses whose agents read nothing fill it, and until
	// then they stop no Check in the same connection.
	processorWindow = 1000 * streamWindow
)

// protocolOptions is the key of a cluster's HTTP options.
const protocolOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

// httpProcessor adds where Envoy asks about HTTP requests.
func (b *builder) httpProcessor() error {
	c := upstream(HTTPProcessorCluster)
	var err error
	c.TypedExtensionProtocolOptions, err = httpOptions(&envoy_extensions_upstreams_http_v3.HttpProtocolOptions{
		UpstreamProtocolOptions: explicitHTTP2(&envoy_config_core_v3.Http2ProtocolOptions{
			MaxConcurrentStreams:        wrapperspb.UInt32(processorStreams),
			MaxOutboundFrames:           wrapperspb.UInt32(processorFrames),
			MaxOutboundControlFrames:    wrapperspb.UInt32(processorFrames),
			InitialStreamWindowSize:     wrapperspb.UInt32(streamWindow),
			InitialConnectionWindowSize: wrapperspb.UInt32(processorWindow),
			ConnectionKeepalive: &envoy_config_core_v3.KeepaliveSettings{
				Interval: seconds(pingInterval), Timeout: seconds(pingTimeout),
			},
		}),
	})
	if err != nil {
		return err
	}
	m := b.options.HTTP.GetMtls()
	if m == nil {
		c.LoadAssignment = assign(HTTPProcessorCluster, pipe(b.options.HTTP.GetUnix(), 0))
		b.out.Clusters = append(b.out.Clusters, c)
		return nil
	}
	host, port, err := hostPort(m.GetAddress())
	if err != nil {
		return err
	}
	c.UpstreamConnectionOptions = &envoy_config_cluster_v3.UpstreamConnectionOptions{TcpKeepalive: keepalive()}
	if _, err := netip.ParseAddr(host); err != nil {
		resolve(c)
	}
	c.LoadAssignment = assign(HTTPProcessorCluster, socketAddress(host, port))
	if c.TransportSocket, err = b.mutualTLS(HTTPProcessorCluster, m, alpnHTTP2); err != nil {
		return err
	}
	b.out.Clusters = append(b.out.Clusters, c)
	return nil
}

// processorService is a gRPC service of the processor. timeout is that of the whole call; 0s is none, while nil is the
// filter's default.
func processorService(timeout *durationpb.Duration) *envoy_config_core_v3.GrpcService {
	return &envoy_config_core_v3.GrpcService{
		TargetSpecifier: &envoy_config_core_v3.GrpcService_EnvoyGrpc_{
			EnvoyGrpc: &envoy_config_core_v3.GrpcService_EnvoyGrpc{ClusterName: HTTPProcessorCluster},
		},
		Timeout: timeout,
	}
}

func httpOptions(o *envoy_extensions_upstreams_http_v3.HttpProtocolOptions) (map[string]*anypb.Any, error) {
	typed, err := packed(o)
	return map[string]*anypb.Any{protocolOptions: typed}, err
}

// explicitHTTP2 speaks HTTP/2 and nothing else.
func explicitHTTP2(o *envoy_config_core_v3.Http2ProtocolOptions) *envoy_extensions_upstreams_http_v3.HttpProtocolOptions_ExplicitHttpConfig_ {
	return &envoy_extensions_upstreams_http_v3.HttpProtocolOptions_ExplicitHttpConfig_{
		ExplicitHttpConfig: &envoy_extensions_upstreams_http_v3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &envoy_extensions_upstreams_http_v3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: o},
		},
	}
}

// explicitHTTP1 speaks HTTP/1.1 and nothing else.
func explicitHTTP1() *envoy_extensions_upstreams_http_v3.HttpProtocolOptions_ExplicitHttpConfig_ {
	return &envoy_extensions_upstreams_http_v3.HttpProtocolOptions_ExplicitHttpConfig_{
		ExplicitHttpConfig: &envoy_extensions_upstreams_http_v3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &envoy_extensions_upstreams_http_v3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{
				HttpProtocolOptions: &envoy_config_core_v3.Http1ProtocolOptions{},
			},
		},
	}
}
