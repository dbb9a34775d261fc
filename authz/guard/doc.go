// Package guard is the one door: who somebody is, what the policy in force says, and what people approved become one
// answer.
//
//	token ──▶ Identify ──▶ Connect ──▶ Admission ──▶ Decide ──▶ Verdict: allow | deny | hold
//	                                                               hold ──▶ Hold ──▶ Wait ──▶ Release
//
// Safely stands around work on what comes from outside: a fault of ours there is an error, and not the process's end.
//
// Each answer is made from the policy and the identity as they are at that moment; what cannot be answered is denied.
// It refuses to know protocols: what is held is an Action and a list of named bytes that it is bound to.
package guard
