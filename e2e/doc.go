// Package e2e holds the tests that run on real parts: Envoy, PostgreSQL and Valkey as `make tools`
// installs them, over loopback and unix sockets only. It also holds the tests of the repository
// itself: which package may import which, and that what is pinned twice is pinned the same.
//
// It owns no product code; stack starts the parts.
package e2e
