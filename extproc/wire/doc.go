// Package wire is where TCP connections arrive that Envoy hands over: it accepts them whatever the host is short of, reads
// the PROXY v2 header and says who Envoy says connects, to what.
//
// It owns the trust in that header: it is taken from Envoy only, which is whoever can open the unix socket, or shows a
// certificate whose SAN equals the node that the header names. It refuses to know any protocol behind the header, and
// never takes an identity from it.
package wire
