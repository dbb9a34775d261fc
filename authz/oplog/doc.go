// Package oplog is what operators see: one structured log line and one count for each denial, hold, vote, refused login
// and policy change, with the same attributes for every protocol.
//
// A line names who, where, by which rule and with what verdict. It has no text of a statement, no path, no value, no token
// and no words of people: those are in the record. What is allowed is counted, without a line, a lock or an allocation.
//
// It refuses to decide anything. Label values come from the policy and from lists of ours; should they be too many anyway,
// the rest is counted as "(other)". Lines are bounded, about strangers together and about each principal by itself, or by lot
// where there are very many; all that they are about is counted.
package oplog
