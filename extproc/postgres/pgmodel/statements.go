package pgmodel

import "strings"

// Fixture makes, on a real server, the tables that the statements speak of. A name of 63 bytes or more is used as
// PostgreSQL cuts it.
const Fixture = `
create table pub(n int);
insert into pub values (1), (2), (3);
create table vault(id int, key text);
insert into vault values (1, 'first-secret-7'), (2, 'second-secret-8');
create table sink(n int);
`

// OIDs of the model's relations. Those of a real server differ.
const (
	PubOID   = 20001
	VaultOID = 20002
	SinkOID  = 20003
)

// Secrets are the values that a mask on vault.key hides.
func Secrets() []string { return []string{"first-secret-7", "second-secret-8"} }

// action is what a statement does at the server.
type action uint8

const (
	actionRows action = iota + 1
	actionBegin
	actionCommit
	actionRollback
	actionCopyIn
	actionCopyOut
	actionDeallocate
	actionDeallocateAll
	// actionNothing completes and changes nothing that messages show.
	actionNothing
)

// Field is a column of a result.
type Field struct {
	Name     string
	Relation uint32
	Number   int16
	Type     uint32
	Size     int16
}

// Statement is one that the model understands.
type Statement struct {
	SQL    string
	action action
	fields []Field
	rows   [][]string
	// failsAtPlan is the SQLSTATE of an error that planning raises; failsAfter, if failsAtRow is set, stands behind the rows.
	failsAtPlan, failsAtRow string
	tag                     string
	// parameters is how many it has, all of int4.
	parameters int
	// name is what Deallocate drops.
	name string
	// Masked: it shows vault.key.
	Masked bool
}

const (
	typeInt4 = 23
	typeText = 25
)

var (
	pubN     = Field{"n", PubOID, 1, typeInt4, 4}
	vaultID  = Field{"id", VaultOID, 1, typeInt4, 4}
	vaultKey = Field{"key", VaultOID, 2, typeText, -1}
)

// Long is a name of 63 bytes, what PostgreSQL keeps of longer ones.
var Long = strings.Repeat("l", 63)

// Syntax and Escape are texts that no grammar takes, with another SQLSTATE each. Refused is what a Censor is asked to refuse; it is valid.
const (
	Syntax  = "nonsense"
	Escape  = `select E'\u061'`
	Refused = "drop table pub"
	// ByValue is refused by its parameter, 13.
	ByValue = "select n from pub where n = $1"
)

var statements = index([]*Statement{
	{SQL: "select n from pub", action: actionRows, fields: []Field{pubN}, rows: [][]string{{"1"}, {"2"}, {"3"}}},
	{SQL: "select id, key from vault", action: actionRows, fields: []Field{vaultID, vaultKey}, Masked: true, rows: [][]string{{"1", Secrets()[0]}, {"2", Secrets()[1]}}},
	{SQL: "select 1/0", action: actionRows, fields: []Field{{"?column?", 0, 0, typeInt4, 4}}, failsAtPlan: "22012"},
	{SQL: "select 6/(3-n) from pub", action: actionRows, fields: []Field{{"?column?", 0, 0, typeInt4, 4}}, rows: [][]string{{"3"}, {"6"}}, failsAtRow: "22012"},
	{SQL: ByValue, action: actionRows, fields: []Field{pubN}, parameters: 1},
	{SQL: "begin", action: actionBegin, tag: "BEGIN"},
	{SQL: "commit", action: actionCommit, tag: "COMMIT"},
	{SQL: "rollback", action: actionRollback, tag: "ROLLBACK"},
	{SQL: "copy sink from stdin", action: actionCopyIn},
	{SQL: "copy pub to stdout", action: actionCopyOut, fields: []Field{pubN}, rows: [][]string{{"1"}, {"2"}, {"3"}}},
	{SQL: "copy vault to stdout", action: actionCopyOut, fields: []Field{vaultID, vaultKey}, Masked: true, rows: [][]string{{"1", Secrets()[0]}, {"2", Secrets()[1]}}},
	{SQL: "deallocate a", action: actionDeallocate, tag: "DEALLOCATE", name: "a"},
	{SQL: "deallocate " + Long, action: actionDeallocate, tag: "DEALLOCATE", name: Long},
	{SQL: "deallocate all", action: actionDeallocateAll, tag: "DEALLOCATE ALL"},
	{SQL: "set statement_timeout = '1h'", action: actionNothing, tag: "SET"},
	{SQL: Refused, action: actionNothing, tag: "DROP TABLE"},
	{SQL: "SELECT", action: actionRows, rows: [][]string{{}}},
})

func index(list []*Statement) map[string]*Statement {
	m := make(map[string]*Statement, len(list))
	for _, s := range list {
		m[s.SQL] = s
	}
	return m
}

// Probe makes the model answer one more text with rows, all of them text. It is for before the first backend.
func Probe(sql string, rows ...[]string) {
	s := &Statement{SQL: sql, action: actionRows, rows: rows}
	for range rows[0] {
		s.fields = append(s.fields, Field{"?column?", 0, 0, typeText, -1})
	}
	statements[sql] = s
}

// Texts are all statements that the model understands, in a fixed order, Syntax, Escape and the empty one included; not
// Refused, which a real server would run.
func Texts() []string {
	return []string{
		"select n from pub", "select id, key from vault", "select 1/0", "select 6/(3-n) from pub", ByValue, "begin", "commit",
		"rollback", "copy sink from stdin", "copy pub to stdout", "copy vault to stdout", "deallocate a", "deallocate " + Long,
		"deallocate all", "set statement_timeout = '1h'", Syntax, Escape, "",
	}
}

// Parse splits a string into its statements; ok is false if the grammar would not take it.
func Parse(text string) (list []*Statement, ok bool) {
	for part := range strings.SplitSeq(text, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		s := statements[part]
		if s == nil {
			return nil, false
		}
		list = append(list, s)
	}
	return list, true
}

// Fault is the SQLSTATE of a text that the grammar does not take: that of the first fault.
func Fault(text string) string {
	for part := range strings.SplitSeq(text, ";") {
		switch part = strings.TrimSpace(part); {
		case part == Escape:
			return "22025"
		case part != "" && statements[part] == nil:
			return "42601"
		}
	}
	return ""
}

// CopyIn reports whether it reads COPY data; CopyOut whether it sends some; Rows whether it gives rows.
func (s *Statement) CopyIn() bool { return s.action == actionCopyIn }

// CopyOut reports whether it sends COPY data.
func (s *Statement) CopyOut() bool { return s.action == actionCopyOut }

// Rows reports whether it gives rows.
func (s *Statement) Rows() bool { return s.action == actionRows }

// Deallocates is the name that it drops; all is true for all of them.
func (s *Statement) Deallocates() (name string, all, ok bool) {
	return s.name, s.action == actionDeallocateAll, s.action == actionDeallocate || s.action == actionDeallocateAll
}

// exits reports whether it may run in a failed transaction.
func (s *Statement) exits() bool { return s.action == actionCommit || s.action == actionRollback }
