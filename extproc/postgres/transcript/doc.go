// Package transcript shows the statements of a PostgreSQL session, and what the agent saw, in a transcript.
//
// It owns the reading of recorded protocol bytes.
package transcript
