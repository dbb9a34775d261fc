// Package policies is the pure logic of policy: a bundle is compiled once, then Decide answers for a principal and
// what it wants to do.
//
// It owns the compiled policy, its precedence (deny, approve, allow, else denied), globs, the built-in rules, masks'
// selection and API permissions. It refuses to know how a statement is read (sqlfacts), how a value is hidden
// (masking), where a bundle comes from (source) or who carries out an answer. It does no I/O and keeps no clock.
package policies
