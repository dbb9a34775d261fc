// Package peer is the contract of the connections between Sluice's own parts and Envoy: a unix socket that only one
// user can open, or mutual TLS whose certificates carry role and id.
//
// It owns how such a socket is made and how a peer's role and id are read. It refuses to know what is spoken on it.
package peer
