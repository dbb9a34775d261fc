// Package peergrpc lets grpc-go serve connections that package peer accepted. It owns who is at the other end: a name
// that mutual TLS proved, or nobody in particular on a unix socket, whose permissions vouch for it.
package peergrpc
