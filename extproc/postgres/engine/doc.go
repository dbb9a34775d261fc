// Package engine is the PostgreSQL protocol between an agent and a server, without I/O: bytes and answers go in,
// bytes and notes come out.
//
//	agent's bytes ──▶ Client ──▶ Question (a statement wants to run)
//	                               │ Answer: Grant or Refusal
//	                               ▼
//	                  Output: to the server, to the agent, notes for the record
//	server's bytes ─▶ Server ──▶ Output
//
// It owns message framing, the order of requests and responses, prepared statements and portals, how a refusal puts
// the server into the state that an error would have, what the server ignores while it reads COPY data, whether a result
// is one that its statement may give, how rows are hidden on the way back, and which of COPY's data the record has. Bytes that nothing inspects leave in the
// buffer that they came in. It refuses to know policy, people, approvals, connections, and what a statement does beyond
// what its Question carries.
//
// Client and Answer belong to one goroutine, Server to another.
package engine
