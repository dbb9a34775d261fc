// Package stage sets up everything that the demo and the end-to-end tests play on: a target PostgreSQL with sample
// data, Valkey, an identity provider, Envoy and sluice, each a real process of its own.
//
// It owns the layout of the demo's directory, its ports, its policy and its env file. It refuses to
// know what is played on it.
package stage
