// Package sqlfacts reads SQL with PostgreSQL's own grammar and says what it would do: effects on objects, columns
// used, functions called.
//
// It owns the parse (bounded, cached by text), the walk over the tree, and the rules that turn a tree and a catalog
// into Facts. It refuses to know any policy or mask, and asks a Catalog, never a database, what a name means. What
// it does not understand has the effect UNKNOWN.
//
// Where a rule cannot be exact it errs towards more: a column's name means every column that it could mean, at any
// level; a function, operator or type from outside pg_catalog runs anything. Pairs name what a statement names: a
// view stands for itself; what it reads is in Relations, what it does to others in Reached. What does not exist yet is
// as written.
//
// Analyzer is Parse and Resolve with caches. ReadBody and RulePairs judge what PostgreSQL deparses. HideQuoted and
// Redact make texts fit to be shown.
//
//	text ── Parse ──▶ Script ── Resolve(Catalog) ──▶ Facts
package sqlfacts
