package resources

import (
	"time"

	envoy_config_common_mutation_rules_v3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_extensions_filters_common_set_filter_state_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	envoy_extensions_filters_http_buffer_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	envoy_extensions_filters_http_ext_authz_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	envoy_extensions_filters_http_ext_proc_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	envoy_extensions_filters_http_router_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	envoy_extensions_filters_http_set_filter_state_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_filter_state/v3"
	envoy_extensions_filters_network_http_connection_manager_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	envoy_type_v3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluicegate/sluice/policies"
)

// Names of filters: routes configure a filter by its name, and ext_authz's is the namespace of its metadata.
const (
	bufferFilter = "envoy.filters.http.buffer"
	stateFilter  = "envoy.filters.http.set_filter_state"
	authzFilter  = "envoy.filters.http.ext_authz"
	procFilter   = "envoy.filters.http.ext_proc"
	routerFilter = "envoy.filters.http.router"
)

const (
	// messageTimeout is how long a processor may take to answer about headers. Envoy sets no time for bodies in full
	// duplex: there the processor needs a watchdog of its own (FACTS 4).
	messageTimeout = 5 * time.Second
)

// httpFilters are what each request passes, in this order. They are the same at every listener: what differs by target
// is the route's. What follows an upgrade is no body, and never whole.
func httpFilters(upgrade bool) ([]*envoy_extensions_filters_network_http_connection_manager_v3.HttpFilter, error) {
	var out []*envoy_extensions_filters_network_http_connection_manager_v3.HttpFilter
	for _, f := range []struct {
		name   string
		config proto.Message
	}{
		{bufferFilter, wholeFirst(policies.DefaultMaxRequestBytes)},
		{stateFilter, arrived()},
		{authzFilter, authz()},
		{procFilter, proc()},
		// The upstream is told nothing of Envoy, and agents nothing of the upstream.
		{routerFilter, &envoy_extensions_filters_http_router_v3.Router{SuppressEnvoyHeaders: true}},
	} {
		if upgrade && f.name == bufferFilter {
			continue
		}
		config, err := packed(f.config)
		if err != nil {
			return nil, err
		}
		out = append(out, &envoy_extensions_filters_network_http_connection_manager_v3.HttpFilter{
			Name:       f.name,
			ConfigType: &envoy_extensions_filters_network_http_connection_manager_v3.HttpFilter_TypedConfig{TypedConfig: config},
			// What no route takes, such as CONNECT, may have no end: the routes of targets turn it on.
			Disabled: f.name == bufferFilter,
		})
	}
	return out, nil
}

// wholeState is where Envoy keeps, for a request alone, that all of it has arrived.
const (
	wholeState = "sluice.whole"
	wholeValue = "1"
)

// wholeFirst lets no later filter see a request before all of it has arrived. Routes have their target's limit, which is
// ext_authz's.
func wholeFirst(most uint32) *envoy_extensions_filters_http_buffer_v3.Buffer {
	return &envoy_extensions_filters_http_buffer_v3.Buffer{MaxRequestBytes: wrapperspb.UInt32(most + 1)}
}

// arrived notes that a request is whole, and has its route chosen anew: until then it is on a route that gives it little
// time, from then on a hold may be as silent as people need. Envoy has one idle timeout for both, of the route, and its
// request_timeout would count the hold.
func arrived() *envoy_extensions_filters_http_set_filter_state_v3.Config {
	return &envoy_extensions_filters_http_set_filter_state_v3.Config{
		OnRequestHeaders: []*envoy_extensions_filters_common_set_filter_state_v3.FilterStateValue{{
			Key:        &envoy_extensions_filters_common_set_filter_state_v3.FilterStateValue_ObjectKey{ObjectKey: wholeState},
			FactoryKey: "envoy.string",
			Value: &envoy_extensions_filters_common_set_filter_state_v3.FilterStateValue_FormatString{
				FormatString: &envoy_config_core_v3.SubstitutionFormatString{
					Format: &envoy_config_core_v3.SubstitutionFormatString_TextFormatSource{TextFormatSource: &envoy_config_core_v3.DataSource{
						Specifier: &envoy_config_core_v3.DataSource_InlineString{InlineString: wholeValue},
					}},
				},
			},
		}},
		ClearRouteCache: true,
	}
}

// authz asks the processor about each request and waits for as long as it takes: a hold is a Check without an answer.
// It sees the whole body, or more than it may take, or the request ends with 413; it sees each header as it came, so that duplicates show.
func authz() *envoy_extensions_filters_http_ext_authz_v3.ExtAuthz {
	return &envoy_extensions_filters_http_ext_authz_v3.ExtAuthz{
		Services:            &envoy_extensions_filters_http_ext_authz_v3.ExtAuthz_GrpcService{GrpcService: processorService(seconds(0))},
		TransportApiVersion: envoy_config_core_v3.ApiVersion_V3,
		StatusOnError:       &envoy_type_v3.HttpStatus{Code: authzFailed},
		// Routes set their target's own limit; a limit of the greatest of them here would change the listener with each.
		WithRequestBody:   wholeBody(policies.DefaultMaxRequestBytes),
		EncodeRawHeaders:  true,
		ValidateMutations: true,
	}
}

// wholeBody holds a request until its body is there. Envoy looks at the length before it takes in the last piece of a body:
// over HTTP/2 one that is longer by less than a frame is not answered 413, but cut, and then sent to the service in full.
// So it may have one byte more than the target's limit, and the processor refuses what has: whatever is cut is refused.
func wholeBody(most uint32) *envoy_extensions_filters_http_ext_authz_v3.BufferSettings {
	return &envoy_extensions_filters_http_ext_authz_v3.BufferSettings{MaxRequestBytes: most + 1, PackAsBytes: true}
}

// proc lets the processor see and change what comes back. A failure at any point ends the response. The processor gets
// what ext_authz decided for this request as metadata and can write none.
func proc() *envoy_extensions_filters_http_ext_proc_v3.ExternalProcessor {
	return &envoy_extensions_filters_http_ext_proc_v3.ExternalProcessor{
		GrpcService:   processorService(nil),
		StatusOnError: &envoy_type_v3.HttpStatus{Code: procFailed},
		ProcessingMode: &envoy_extensions_filters_http_ext_proc_v3.ProcessingMode{
			RequestHeaderMode:   envoy_extensions_filters_http_ext_proc_v3.ProcessingMode_SEND,
			ResponseHeaderMode:  envoy_extensions_filters_http_ext_proc_v3.ProcessingMode_SEND,
			RequestBodyMode:     envoy_extensions_filters_http_ext_proc_v3.ProcessingMode_NONE,
			ResponseBodyMode:    envoy_extensions_filters_http_ext_proc_v3.ProcessingMode_FULL_DUPLEX_STREAMED,
			RequestTrailerMode:  envoy_extensions_filters_http_ext_proc_v3.ProcessingMode_SEND,
			ResponseTrailerMode: envoy_extensions_filters_http_ext_proc_v3.ProcessingMode_SEND,
		},
		// It tells Envoy's own answers from the service's.
		ResponseAttributes: []string{"response.code_details"},
		MessageTimeout:     seconds(messageTimeout),
		MetadataOptions: &envoy_extensions_filters_http_ext_proc_v3.MetadataOptions{
			ForwardingNamespaces: &envoy_extensions_filters_http_ext_proc_v3.MetadataOptions_MetadataNamespaces{Untyped: []string{authzFilter}},
		},
		RouteCacheAction: envoy_extensions_filters_http_ext_proc_v3.ExternalProcessor_RETAIN,
		// Host, method, path and status are what was decided about.
		MutationRules: &envoy_config_common_mutation_rules_v3.HeaderMutationRules{
			DisallowSystem: wrapperspb.Bool(true), DisallowIsError: wrapperspb.Bool(true),
		},
	}
}
