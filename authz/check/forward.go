package check

import (
	"slices"
	"strings"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_service_auth_v3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// never are headers of the agent's that go on to no target: its credentials, and what asks for answers that cannot be read.
var never = []string{"authorization", "proxy-authorization", "accept-encoding", "range", "if-range"}

// always are those that Envoy is told of with every request: the worst of what must not go on.
var always = append(slices.Clone(never), "x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url", "cookie")

// hearsay are headers that services believe from proxies in front of them, and so not for an agent to say: who and where a
// client is, and which method, host and URL are really meant.
var hearsay = []string{
	"forwarded", "via", "client-ip", "true-client-ip", "x-client-ip", "x-real-ip", "x-cluster-client-ip", "x-originating-ip",
	"fastly-client-ip", "fly-client-ip", "x-azure-clientip", "x-azure-socketip", "x-appengine-user-ip", "x-host", "x-proxyuser-ip",
	"x-method", "x-method-override", "x-url", "x-uri", "x-scheme", "x-verified-user", "x-authenticated-user", "x-webauth-user",
	"x-userinfo", "x-user", "x-user-id", "x-user-email", "x-user-name", "x-user-roles", "x-user-groups", "x-username", "x-email", "x-groups", "x-roles",
	"x-auth-user", "x-auth-email", "x-auth-username", "x-auth-groups", "x-auth-roles", "x-credential-identifier", "x-anonymous-consumer", "x-internal",
	"x-tenant-id", "x-client-verify", "x-grafana-user", "x-serverless-authorization", "sm-user", "smuser", "front-end-https",
	"x-rest-method", "x-httpd-method", "x-apigateway-api-userinfo", "x-endpoint-api-userinfo", "x-identity", "x-principal",
	"remote-user", "remote-addr", "x-client-cert", "x-client-dn", "x-script-name", "x-wap-profile",
}

// hearsays are how such names begin: Cloudflare, Azure, AWS, Google and others have families of them.
var hearsays = []string{
	"x-forwarded-", "x-original-", "x-rewrite-", "x-override-", "x-http-method", "x-http-host", "x-http-destinationurl", "x-envoy-", "x-sluice-", "x-remote-",
	"x-auth-request-", "x-ssl-", "ssl-client-", "cf-", "x-ms-client-principal", "x-amzn-oidc-", "x-goog-authenticated-user-",
	"x-goog-iap-", "x-arr-", "tailscale-", "impersonate-", "x-impersonate-", "x-consumer-", "x-authenticated-", "x-authentik-", "x-vouch-",
	"x-pomerium-", "x-webauth-", "oidc-claim-", "oidc_claim_", "x-jwt-", "x-token-", "x-okta-", "x-keycloak-", "x-oauth-", "x-spiffe-",
}

// goesOn reports whether a header of the agent's goes on to a target.
func goesOn(t *policyv1.Target, name string) bool {
	switch {
	case slices.Contains(never, name):
		return false
	case name == "cookie":
		return t.GetHttp().GetCookies() == policyv1.Cookies_PASS
	case name == "x-forwarded-proto": // Envoy's own
		return true
	case strings.HasPrefix(name, "x-envoy-"), strings.HasPrefix(name, "x-sluice-"):
		return false
	case slices.Contains(t.GetHttp().GetForwardHeaders(), name):
		return true
	}
	return !slices.Contains(hearsay, name) && !slices.ContainsFunc(hearsays, func(p string) bool { return strings.HasPrefix(name, p) })
}

// okResponse tells Envoy to let a request through with the service's own credential.
func okResponse(r *request, t *policyv1.Target, name, value string, metadata *structpb.Struct) *envoy_service_auth_v3.CheckResponse {
	ok := &envoy_service_auth_v3.OkHttpResponse{
		Headers: []*envoy_config_core_v3.HeaderValueOption{set(name, value)},
	}
	remove := func(h string) {
		if h != name && !slices.Contains(ok.HeadersToRemove, h) {
			ok.HeadersToRemove = append(ok.HeadersToRemove, h)
		}
	}
	for _, h := range always { // whether we saw one or not
		if !goesOn(t, h) {
			remove(h)
		}
	}
	for _, h := range r.headers {
		if !goesOn(t, h.name) {
			remove(h.name)
		}
	}
	return &envoy_service_auth_v3.CheckResponse{
		Status:          &status.Status{Code: int32(codes.OK)},
		HttpResponse:    &envoy_service_auth_v3.CheckResponse_OkResponse{OkResponse: ok},
		DynamicMetadata: metadata,
	}
}
