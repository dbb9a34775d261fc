// Package httpmask is how one principal sees what an HTTP target answers: which headers are hidden, and how a body of a
// type is; and what people see of a request's body who decide on it. It puts a policy's masks, jsonmask and detect
// together. It refuses to know Envoy, and how a body comes in.
package httpmask
