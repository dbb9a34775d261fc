// Package postgres is the processor for PostgreSQL: what stands behind Envoy's ingress listener of a target.
//
//	Envoy ─PROXY v2─▶ startup: TLS, token ─▶ guard ─▶ lease ─▶ upstream (Envoy's egress, or direct)
//	                  session: an exchange between two connections: pipes move, a judge decides, a scribe records
//
// It owns the connections, the startup exchange on both sides, cancel keys, the way from a Question of the engine to
// guard and back, what names mean while a statement is on its way (claims, moved, bound, freed), and what is written to the record. It
// refuses to know the messages after startup (engine), the catalog's queries (relcache), what is allowed (guard) and how
// a record is kept.
package postgres
