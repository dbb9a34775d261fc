package credname

import (
	"net/url"
	"strings"
)

// headers carry nothing but a credential. Names are folded: lower case, '_' as '-'.
//
//nolint:gochecknoglobals // a table
var headers = set(
	"authorization", "proxy-authorization", "x-authorization", "authentication", "x-auth", // RFC 9110, and kin
	"x-api-key", "api-key", "apikey", "x-apikey", "x-api-token", "api-token", "x-api-secret", "x-functions-key",
	"x-auth-token", "x-auth-key", "x-access-token", "x-id-token", "x-refresh-token", "x-session-token", "x-session-id",
	"x-csrf-token", "x-xsrf-token", "x-secret", "x-token", "token", "x-jwt-token", "x-jwt-assertion", "x-user-token",
	"private-token", "job-token", "deploy-token", "x-gitlab-token", "x-github-token", // GitLab, GitHub
	"x-vault-token", "x-consul-token", "x-nomad-token", // HashiCorp
	"x-goog-api-key", "x-goog-iap-jwt-assertion", "x-serverless-authorization", // Google
	"x-amz-security-token", "x-aws-ec2-metadata-token", // AWS
	"ocp-apim-subscription-key", "x-ms-token-aad-access-token", "x-ms-token-aad-id-token", "x-ms-token-aad-refresh-token", // Azure
	"x-shopify-access-token", "x-figma-token", "dd-api-key", "dd-application-key", "x-honeycomb-team", "x-insert-key", "x-license-key",
	"x-postmark-server-token", "x-sentry-auth", "x-rollbar-access-token", "x-tableau-auth", "x-auth-email", "circle-token",
	"cf-access-client-secret", "cf-access-jwt-assertion", "cf-access-token", "fastly-key", "x-hub-signature", "x-hub-signature-256",
	"x-forwarded-access-token", "x-forwarded-authorization", "x-amzn-oidc-data", "x-amzn-oidc-accesstoken", "sec-websocket-protocol-token",
)

// keys are of a query, or of a form: folded as headers.
//
//nolint:gochecknoglobals // a table
var keys = set(
	"api-key", "apikey", "key", "x-api-key", "api-token", "api-secret", "app-key", "app-secret", "consumer-key", "consumer-secret",
	"token", "access-token", "accesstoken", "auth-token", "authtoken", "id-token", "refresh-token", "session-token", "private-token",
	"job-token", "oauth-token", "user-token", "security-token", "csrf-token", "xsrf-token", "bearer", "bearer-token", "jwt", "assertion",
	"client-assertion", "auth", "authorization", "auth-key", "access-key", "secret", "secret-key", "client-secret", "shared-secret",
	"password", "passwd", "passphrase", "pass", "pwd", "pin", "otp", "sid", "session", "session-id", "sessionid", "ticket", "credential",
	"credentials", "sig", "signature", "hmac", "subscription-key", "sas", "code-verifier", "saml-response", "samlresponse",
	"x-amz-signature", "x-amz-credential", "x-amz-security-token", "x-goog-signature", "x-goog-credential", "awsaccesskeyid",
)

func set(names ...string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, n := range names {
		out[n] = true
	}
	return out
}

// fold makes equal what services take as equal: case, '_' and '-', and the brackets of a list.
func fold(name string) string {
	name = strings.TrimSuffix(strings.TrimSpace(name), "[]")
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// Header reports whether a header of this name carries a credential.
func Header(name string) bool {
	n := fold(name)
	return headers[n] || n == "cookie" || n == "set-cookie" || strings.HasSuffix(n, "-api-key") || strings.HasSuffix(n, "-auth-token") ||
		strings.HasSuffix(n, "-access-token") || strings.HasSuffix(n, "-secret")
}

// Key reports whether a query key of this name, as it stands in the query, carries a credential.
func Key(name string) bool {
	plain, err := url.QueryUnescape(name)
	if err != nil {
		plain = name
	}
	n := fold(plain)
	if i := strings.LastIndexAny(n, "[."); i >= 0 { // user[password], auth.token
		if keys[strings.Trim(n[i+1:], "]")] {
			return true
		}
	}
	return keys[n] || strings.HasSuffix(n, "-token") || strings.HasSuffix(n, "-secret") || strings.HasSuffix(n, "-password") || strings.HasSuffix(n, "-api-key")
}
