// Package http is what Envoy asks about each HTTP response (ext_proc, envoy/service/ext_proc/v3): it masks headers and
// bodies as they flow, and records them as the agent gets them.
//
// It acts only on what ext_authz let through for this very request: without its ticket, nothing is passed. Whatever
// fails here, Envoy gets an error and passes nothing more: a stream that ends well before the response does would make
// Envoy pass the rest unmasked, so none does. The package refuses to know who may ask for what (authz/check), and how
// values are masked (policies/httpmask).
package http
