package resources

import (
	"net/http"

	envoy_config_accesslog_v3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_extensions_filters_network_http_connection_manager_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	envoy_type_v3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Statuses that stand for "ext_authz, or ext_proc, failed" within Envoy alone: it has no flag for that, and an answer of
// theirs may have any status that agents see. Nobody gets these: localReplies gives them the status that is meant.
const (
	authzFailed = envoy_type_v3.StatusCode_NetworkAuthenticationRequired
	procFailed  = envoy_type_v3.StatusCode_LoopDetected
)

// localReplies turns what Envoy says of a service that does not answer, or of us if we do not, into problem details (RFC
// 9457), as refusals of ours are. Other answers of Envoy's stay as they are: those of ext_authz are problem details already.
func localReplies() *envoy_extensions_filters_network_http_connection_manager_v3.LocalReplyConfig {
	service := problem(structpb.NewStringValue("%RESPONSE_CODE%"), map[string]string{
		"type": "urn:sluice:problem:service", "title": "The service does not answer", "detail": "%LOCAL_REPLY_BODY%",
		"hint": "Ask whoever runs the service. It may have got the request: see whether it did before sending it again.",
	})
	service.Filter = &envoy_config_accesslog_v3.AccessLogFilter{FilterSpecifier: &envoy_config_accesslog_v3.AccessLogFilter_ResponseFlagFilter{
		ResponseFlagFilter: &envoy_config_accesslog_v3.ResponseFlagFilter{Flags: unanswered()},
	}}
	return &envoy_extensions_filters_network_http_connection_manager_v3.LocalReplyConfig{
		Mappers: []*envoy_extensions_filters_network_http_connection_manager_v3.ResponseMapper{
			instead(authzFailed, http.StatusServiceUnavailable, map[string]string{
				"type": "urn:sluice:problem:unavailable", "title": "Sluice does not answer",
				"detail": "Nobody decided on the request, so it was not forwarded.", "hint": "Try again in a moment.",
			}),
			instead(procFailed, http.StatusBadGateway, map[string]string{
				"type": "urn:sluice:problem:response", "title": "The response was kept back",
				"detail": "It is not what its type says, so masks cannot be applied to it, or Sluice does not answer.",
				"hint":   "Ask whoever runs Sluice: its log says why, under the request's id (x-request-id).",
			}),
			instead(envoy_type_v3.StatusCode_RequestTimeout, http.StatusRequestTimeout, map[string]string{
				"type": "urn:sluice:problem:too-slow", "title": "The request did not arrive",
				"detail": "Its head took longer than 10 seconds, its body stopped for so long, or took longer than the target's body_timeout. Nothing was forwarded.",
				"hint":   "Send it again, in smaller parts, or ask the owner of the policy for a greater body_timeout.",
			}),
			service,
		},
	}
}

// instead answers with a status and words where Envoy's own answer has a status: one of those above, or one that nobody
// else gives.
func instead(of envoy_type_v3.StatusCode, status uint32, words map[string]string) *envoy_extensions_filters_network_http_connection_manager_v3.ResponseMapper {
	m := problem(structpb.NewNumberValue(float64(status)), words)
	m.StatusCode = wrapperspb.UInt32(status)
	m.Filter = &envoy_config_accesslog_v3.AccessLogFilter{FilterSpecifier: &envoy_config_accesslog_v3.AccessLogFilter_StatusCodeFilter{
		StatusCodeFilter: &envoy_config_accesslog_v3.StatusCodeFilter{Comparison: &envoy_config_accesslog_v3.ComparisonFilter{
			Op:    envoy_config_accesslog_v3.ComparisonFilter_EQ,
			Value: &envoy_config_core_v3.RuntimeUInt32{DefaultValue: uint32(of), RuntimeKey: "sluice.none"}, //nolint:gosec // G115: a status
		}},
	}}
	return m
}

func problem(status *structpb.Value, words map[string]string) *envoy_extensions_filters_network_http_connection_manager_v3.ResponseMapper {
	fields := map[string]*structpb.Value{"status": status}
	for name, text := range words {
		fields[name] = structpb.NewStringValue(text)
	}
	return &envoy_extensions_filters_network_http_connection_manager_v3.ResponseMapper{
		BodyFormatOverride: &envoy_config_core_v3.SubstitutionFormatString{
			Format:      &envoy_config_core_v3.SubstitutionFormatString_JsonFormat{JsonFormat: &structpb.Struct{Fields: fields}},
			ContentType: "application/problem+json",
		},
	}
}

// unanswered are Envoy's flags of responses that no service gave: none is healthy, it cannot be reached, it went away, it
// took too long, it broke the protocol, or there are too many requests.
func unanswered() []string { return []string{"UH", "UF", "UC", "UR", "UT", "UPE", "UO", "URX", "NC"} }
