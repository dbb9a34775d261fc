// Package factstest is a Catalog in memory for tests: the demo's tables, and what else the rules of sqlfacts need to
// be shown. It refuses to know a real database.
package factstest
