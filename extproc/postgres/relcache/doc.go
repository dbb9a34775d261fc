// Package relcache reads a database's system catalog and answers what names, OIDs and functions mean there.
//
// It owns one connection of the gateway's own for each endpoint, database and role, the queries, and the snapshots made
// from them: a Snapshot is a sqlfacts.Catalog. It owns the one table that says when the code of each kind of catalog
// entry runs (when.go), and remembers under which names relations and columns were known (Names). A fingerprint of the
// catalog is checked every second; DDL that passes Sluice invalidates at once. It refuses to know masks, policy and
// sessions.
package relcache
