package resources

import (
	"fmt"
	"strings"
	"time"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_config_listener_v3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	envoy_extensions_filters_network_http_connection_manager_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	envoy_extensions_transport_sockets_tls_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	envoy_type_matcher_v3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

const (
	// headersTimeout is how long the head of a request may take: a client that sends it byte by byte holds a connection.
	headersTimeout = 10 * time.Second
	// bodyPause is how long the body of a request may stop on its way; how long it may take in all is the target's to say.
	bodyPause = 10 * time.Second
	// quietConnection is how long a connection may be without a request, and handshakeTimeout how long TLS may take: who
	// says nothing holds one of the listener's connections.
	quietConnection  = time.Minute
	handshakeTimeout = 10 * time.Second
	// flushTimeout is how long Envoy waits for room for the last of a response. Without it the lack of an idle timeout
	// would let a client that reads nothing keep its buffers for ever.
	flushTimeout = 5 * time.Minute
	// agentStreams is how many requests an agent may have open in one HTTP/2 connection, held ones included.
	agentStreams = 128
	// Flow-control windows of HTTP/2 (RFC 9113, section 6.9), in bytes. That of a connection is larger, so that one slow
	// request does not stop the others in it.
	streamWindow     = bufferLimit
	connectionWindow = 4 * streamWindow
)

// Short names of a long package.
type (
	hcm     = envoy_extensions_filters_network_http_connection_manager_v3.HttpConnectionManager
	upgrade = envoy_extensions_filters_network_http_connection_manager_v3.HttpConnectionManager_UpgradeConfig
)

const websocket = "websocket"

// httpIngress is the listener that agents of HTTP targets connect to.
func httpIngress(name string, at *policyv1.Listener, withTLS bool) (*envoy_config_listener_v3.Listener, error) {
	prefix := strings.NewReplacer("/", "_", ":", "_", ".", "_", "[", "", "]", "").Replace(name)
	manager, err := connectionManager(name, prefix, withTLS)
	if err != nil {
		return nil, err
	}
	l := &envoy_config_listener_v3.Listener{
		Name:                          name,
		Address:                       socketAddress(at.GetAddress(), at.GetPort()),
		PerConnectionBufferLimitBytes: bytesLimit(),
		SocketOptions:                 downstreamKeepalive(),
	}
	if l.FilterChains, err = chain(connectionLimit(prefix, at), manager); err != nil {
		return nil, err
	}
	if withTLS {
		l.FilterChains[0].TransportSocketConnectTimeout = seconds(handshakeTimeout)
		l.FilterChains[0].TransportSocket, err = downstreamTLS(name)
	}
	return l, err
}

// connectionManager reads HTTP from agents. What it makes of a path is what the decision sees and what the upstream
// gets: dots are resolved, and what servers read in different ways is refused.
func connectionManager(name, prefix string, withTLS bool) (*hcm, error) {
	filters, err := httpFilters(false)
	if err != nil {
		return nil, err
	}
	upgraded, err := httpFilters(true)
	if err != nil {
		return nil, err
	}
	scheme := "http"
	if withTLS {
		scheme = "https"
	}
	return &hcm{
		StatPrefix: prefix,
		CodecType:  envoy_extensions_filters_network_http_connection_manager_v3.HttpConnectionManager_AUTO,
		RouteSpecifier: &envoy_extensions_filters_network_http_connection_manager_v3.HttpConnectionManager_Rds{
			Rds: &envoy_extensions_filters_network_http_connection_manager_v3.Rds{ConfigSource: overADS(), RouteConfigName: name},
		},
		HttpFilters: filters,

		// A held request is silent for as long as people need; what has not arrived has the time that its route gives.
		StreamIdleTimeout:     seconds(bodyPause), // where there is no route
		RequestTimeout:        seconds(0),
		RequestHeadersTimeout: seconds(headersTimeout),
		StreamFlushTimeout:    seconds(flushTimeout),

		NormalizePath:                wrapperspb.Bool(true),
		PathWithEscapedSlashesAction: envoy_extensions_filters_network_http_connection_manager_v3.HttpConnectionManager_REJECT_REQUEST,
		// "host." is the name "host" (RFC 3986, section 3.2.2): rules must not see another.
		StripTrailingHostDot: true,
		// Over HTTP/2 an agent names a scheme itself: people are shown, and rules read, the one that it came by.
		SchemeHeaderTransformation: &envoy_config_core_v3.SchemeHeaderTransformation{
			Transformation: &envoy_config_core_v3.SchemeHeaderTransformation_SchemeToOverwrite{SchemeToOverwrite: scheme},
		},
		HttpProtocolOptions: &envoy_config_core_v3.Http1ProtocolOptions{IgnoreHttp_11Upgrade: unknownUpgrades()},
		CommonHttpProtocolOptions: &envoy_config_core_v3.HttpProtocolOptions{
			IdleTimeout: seconds(quietConnection),
			// Many servers read x_y as x-y.
			HeadersWithUnderscoresAction: envoy_config_core_v3.HttpProtocolOptions_REJECT_REQUEST,
		},
		Http2ProtocolOptions: &envoy_config_core_v3.Http2ProtocolOptions{
			MaxConcurrentStreams:        wrapperspb.UInt32(agentStreams),
			InitialStreamWindowSize:     wrapperspb.UInt32(streamWindow),
			InitialConnectionWindowSize: wrapperspb.UInt32(connectionWindow),
		},

		// The peer's address is the agent's, whatever it says of itself; nobody is trusted to send Envoy's own headers,
		// such as those that ask for retries, or a request id.
		UseRemoteAddress:      wrapperspb.Bool(true),
		InternalAddressConfig: nobodyInternal(),
		// Where agents are is not the upstream's business; routes take away what they say about it.
		SkipXffAppend:                true,
		GenerateRequestId:            wrapperspb.Bool(true),
		AlwaysSetRequestIdInResponse: true,
		// The answer is the service's, not Envoy's.
		LocalReplyConfig:           localReplies(),
		ServerHeaderTransformation: envoy_extensions_filters_network_http_connection_manager_v3.HttpConnectionManager_PASS_THROUGH,
		// Routes of targets that want them let them through.
		UpgradeConfigs: []*upgrade{{UpgradeType: websocket, Enabled: wrapperspb.Bool(false), Filters: upgraded}},
	}, nil
}

// unknownUpgrades are all but WebSocket's: an offer that a server need not take (RFC 9110, section 7.8), such as the
// TLS/1.2 of newer Java clients. Envoy would answer 403.
func unknownUpgrades() []*envoy_type_matcher_v3.StringMatcher {
	// RE2 has no way to say "anything but": it is what leaves the word at some letter, or goes on behind it.
	var others []string
	for i := range websocket {
		others = append(others, fmt.Sprintf("%s([^%c].*)?", websocket[:i], websocket[i]))
	}
	others = append(others, websocket+".+")
	return []*envoy_type_matcher_v3.StringMatcher{{MatchPattern: &envoy_type_matcher_v3.StringMatcher_SafeRegex{
		SafeRegex: &envoy_type_matcher_v3.RegexMatcher{Regex: "(?i)(" + strings.Join(others, "|") + ")"},
	}}}
}

// nobodyInternal names an address that no agent has (RFC 919: it is never a source). With an empty list Envoy would take
// private addresses for its own kind, and believe their requests' ids and retry policies.
func nobodyInternal() *envoy_extensions_filters_network_http_connection_manager_v3.HttpConnectionManager_InternalAddressConfig {
	const bits = 32
	return &envoy_extensions_filters_network_http_connection_manager_v3.HttpConnectionManager_InternalAddressConfig{
		CidrRanges: []*envoy_config_core_v3.CidrRange{{AddressPrefix: "255.255.255.255", PrefixLen: wrapperspb.UInt32(bits)}},
	}
}

// downstreamTLS shows agents the listener's certificate. Theirs is a token, not a certificate.
func downstreamTLS(listener string) (*envoy_config_core_v3.TransportSocket, error) {
	return socket(tlsSocket, &envoy_extensions_transport_sockets_tls_v3.DownstreamTlsContext{
		CommonTlsContext: &envoy_extensions_transport_sockets_tls_v3.CommonTlsContext{
			TlsParams:     tls12(),
			AlpnProtocols: []string{alpnHTTP2, alpnHTTP1},
			TlsCertificateSdsSecretConfigs: []*envoy_extensions_transport_sockets_tls_v3.SdsSecretConfig{
				secretOverADS(CertificateSecret(listener)),
			},
		},
	})
}
