// Package transcript shows the requests of an HTTP session, and what the agent was answered, in a transcript.
package transcript
