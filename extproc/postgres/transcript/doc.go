// Package transcript writes the record of a PostgreSQL session so that people can read it: what was asked, what was
// decided, and what the agent saw.
//
// It owns the reading of recorded protocol bytes. It refuses to know where events come from.
package transcript
