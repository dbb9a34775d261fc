// Package stack starts the real parts around Sluice, for the end-to-end tests and for the demo:
// PostgreSQL, Valkey and Envoy from .tools/, each in a directory of its own and on loopback, and
// certificates for them. What it starts dies with the process that started it.
//
// It refuses to know Sluice: policies, principals and the binary are the business of its callers.
// It needs no *testing.T, but for Need and the New functions, which end with the test.
package stack
