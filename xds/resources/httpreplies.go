package resources

import (
	envoy_config_accesslog_v3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_extensions_filters_network_http_connection_manager_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// localReplies turns what Envoy says of a service that does not answer into problem details (RFC 9457), as refusals of
// ours are. Other answers of Envoy's stay as they are: those of ext_authz are problem details already.
func localReplies() *envoy_extensions_filters_network_http_connection_manager_v3.LocalReplyConfig {
	text := func(s string) *structpb.Value { return structpb.NewStringValue(s) }
	return &envoy_extensions_filters_network_http_connection_manager_v3.LocalReplyConfig{
		Mappers: []*envoy_extensions_filters_network_http_connection_manager_v3.ResponseMapper{{
			Filter: &envoy_config_accesslog_v3.AccessLogFilter{FilterSpecifier: &envoy_config_accesslog_v3.AccessLogFilter_ResponseFlagFilter{
				ResponseFlagFilter: &envoy_config_accesslog_v3.ResponseFlagFilter{Flags: unanswered()},
			}},
			BodyFormatOverride: &envoy_config_core_v3.SubstitutionFormatString{
				Format: &envoy_config_core_v3.SubstitutionFormatString_JsonFormat{JsonFormat: &structpb.Struct{Fields: map[string]*structpb.Value{
					"type": text("urn:sluice:problem:service"), "title": text("The service does not answer"),
					"status": text("%RESPONSE_CODE%"), "detail": text("%LOCAL_REPLY_BODY%"),
				}}},
				ContentType: "application/problem+json",
			},
		}},
	}
}

// unanswered are Envoy's flags of responses that no service gave: none is healthy, it cannot be reached, it went away, it
// took too long, it broke the protocol, or there are too many requests.
func unanswered() []string { return []string{"UH", "UF", "UC", "UR", "UT", "UPE", "UO", "URX", "NC"} }
