// Package transcript writes the record of a session so that people can read it: who it was, what was decided, how holds
// ended. What is a protocol's own, it leaves to a Dialect.
//
// It owns how text is made safe to show. It refuses to know where events come from.
package transcript
