// Package api holds the contract of Sluice: the protobuf schemas of its configuration, policy, approvals,
// sessions and records, and the code generated from them (in gen, committed, rebuilt by make generate).
//
// It imports nothing else of Sluice and refuses to know how anything is decided, stored or transported.
package api
