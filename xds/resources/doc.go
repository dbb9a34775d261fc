// Package resources says what an Envoy must be for a bundle: listeners, clusters, endpoints, routes and secrets, as pure
// functions with sorted results, so that the same bundle and the same files give the same bytes.
//
//	agent ─▶ postgres/<target> ─▶ processor/postgres ─▶ (processor) ─▶ egress/<target>/<i> ─▶ target/<target>/<i>
//	         listener, PROXY v2    cluster               unix socket    listener                cluster, EDS or DNS
//
// Towards processors elsewhere there is one more hop within Envoy, which puts the PROXY header into mutual TLS; the
// bootstrap must then have the extension envoy.bootstrap.internal_listener.
//
// HTTP targets may share a listener, whose routes tell them apart. It asks the processor about each request, and shows it
// each response:
//
//	agent ─▶ http/<address> ─▶ ext_authz, ext_proc ─▶ target/<target>/http
//	         listener, RDS     cluster processor/http  cluster
//
// It owns the shape and the names of these resources. A listener depends on the target's place, limits and endpoints
// only: rules, masks and credentials never change one, since a changed listener ends its connections. A
// secret's content is in Snapshot.Secrets and nowhere else. It refuses to know who is connected, versions of other nodes,
// and what a rule says.
package resources
