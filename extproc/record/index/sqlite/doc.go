// Package sqlite keeps the index in one SQLite file, for one process. It refuses to know how the index is filled.
package sqlite
