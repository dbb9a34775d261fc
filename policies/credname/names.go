package credname

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
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
	"authentication-info", "proxy-authentication-info", "x-csrftoken", "x-jfrog-art-api", "x-rapidapi-key", "x-pan-key", "x-chkp-sid",
	"cb-access-key", "cb-access-sign", "ok-access-key", "ok-access-sign", "x-datadog-signature", "x-slack-signature", "stripe-signature",
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
	"private-key", "account-key", "master-key", "phpsessid", "jsessionid", "csrfmiddlewaretoken", "authenticity-token", "hapikey",
	"authenticitytoken", "new-password", "saml-request", "wresult", "relay-token",
)

// endings are of names that carry a credential, whatever stands before: of headers and of keys.
//
//nolint:gochecknoglobals // a table
var endings = []string{
	"-token", "-secret", "-password", "-passwd", "-passphrase", "-api-key", "-apikey", "-access-key", "-secret-key", "-private-key",
	"-master-key", "-session-id", "-credentials",
}

func endsAsOne(name string) bool {
	return slices.ContainsFunc(endings, func(ending string) bool { return strings.HasSuffix(name, ending) })
}

func set(names ...string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, n := range names {
		out[n] = true
	}
	return out
}

// fold makes equal what services take as equal: case, '_' and '-', the brackets of a list, and what a NUL cuts off.
func fold(name string) string {
	name, _, _ = strings.Cut(name, "\x00")
	name = strings.TrimSuffix(strings.TrimSpace(name), "[]")
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// words writes a name in camel case with dashes: refreshToken, newAPIKey.
func words(name string) string {
	var b strings.Builder
	lower := false
	for i, c := range name {
		upper := unicode.IsUpper(c)
		if upper && (lower || i > 0 && i+1 < len(name) && 'a' <= name[i+1] && name[i+1] <= 'z') {
			b.WriteByte('-')
		}
		b.WriteRune(c)
		lower = !upper && c != '-' && c != '_'
	}
	return b.String()
}

// Header reports whether a header of this name carries a credential.
func Header(name string) bool {
	n := fold(name)
	return headers[n] || n == "cookie" || n == "set-cookie" || n == "set-cookie2" || endsAsOne(n) || strings.Contains(n, "authorization")
}

// Key reports whether a query key of this name, as it stands in the query, carries a credential.
func Key(name string) bool {
	plain, err := url.QueryUnescape(name)
	if err != nil {
		plain = name
	}
	if isKey(plain) {
		return true
	}
	// user[password][0], auth.token
	return slices.ContainsFunc(strings.FieldsFunc(plain, func(c rune) bool { return c == '[' || c == ']' || c == '.' }), isKey)
}

func isKey(name string) bool {
	n := fold(name)
	if keys[n] || endsAsOne(n) {
		return true
	}
	n = fold(words(name))
	return keys[n] || endsAsOne(n)
}
