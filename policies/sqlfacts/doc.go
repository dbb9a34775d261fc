// Package sqlfacts reads SQL with PostgreSQL's own grammar and says what it would do: effects on objects, columns
// used, functions called.
//
// It owns the parse (bounded, cached by text), the walk over the tree, and the rules that turn a tree and a catalog
// into Facts. It refuses to know any policy or mask, and asks a Catalog, never a database, what a name means. What
// it does not understand has the effect UNKNOWN.
//
//	text ── Parse ──▶ Script ── Resolve(Catalog) ──▶ Facts
package sqlfacts
