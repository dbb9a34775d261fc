// Package envoy owns what a stock Envoy must be before Sluice can tell it anything: the
// bootstrap it starts from, the version this project is built and tested against, where that
// binary is found, how one is run for development and tests, and which extensions a node says
// it has.
//
// It refuses to know what Envoy is told afterwards (package xds does), what a target, a rule or
// a principal is, and every other package of this module: it imports none of them.
//
//	Config ──Bootstrap──▶ bootstrap proto ──YAML──▶ a file for an Envoy run elsewhere
//	                             │
//	              Find ──▶ Start / Run ──▶ process, /ready on its admin address
package envoy
