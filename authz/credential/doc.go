// Package credential gives a session what it presents to the target in place of the agent.
//
// It owns leases: a credential for one session, from the source that the policy names, released when the session ends.
// It refuses to know who may have one (guard) and how it is presented.
package credential
