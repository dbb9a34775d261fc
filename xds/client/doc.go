// Package client is a processor's end of xDS: it keeps one subscription to the policy bundle, and always knows which
// compiled policy is in force, or that none may be used.
//
//	control plane ─▶ stream ─▶ Apply (compile) ─▶ ACK ─▶ Current
//	                              └─ fails: NACK, the old one stays
//	state file ─▶ Apply ─▶ Current, after a restart, while it is younger than MaxAge
//
// It owns how old a policy may be: its age counts from the last moment at which the control plane was proven to be
// there (any byte of an accepted stream, keepalive included), and past MaxAge there is no policy. It
// refuses to know what a policy says, and who asks for it.
package client
