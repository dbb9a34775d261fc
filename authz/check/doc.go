// Package check is what Envoy asks about each HTTP request (ext_authz, envoy/service/auth/v3): who asks, whether it may
// be, whether people must approve it first, and what credential goes on in place of the agent's token.
//
// It owns the reading of a request, its decision and its hold, denials as problem details (RFC 9457), the sessions that
// requests are recorded in, what their bodies may cost, and the exchanges that wait for their response. It refuses to
// know how a body is masked and how Envoy is configured.
package check
