// Package server is the control plane's end of xDS: one delta ADS that tells Envoys what to be and processors what to
// decide by, and a ledger of what each of them said to it.
//
//	SetBundle ─▶ compile, build ─┬▶ bundle      (one for all) ─▶ processors
//	                             └▶ snapshots (one per Envoy) ─▶ Envoys      ─▶ ACK, NACK ─▶ ledger
//
// It owns who may subscribe to what (a processor never gets Envoy's types, an Envoy never the bundle), which bundle is
// the last good one, and when a refused push is tried again. It refuses to know where a bundle comes from
// (policies/source) and what an Envoy's resources look like (xds/resources).
package server
