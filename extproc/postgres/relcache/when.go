package relcache

import "github.com/sluicegate/sluice/policies/sqlfacts"

// kind is a kind of catalog entry that brings code along which no statement names.
type kind string

const (
	touchChange = sqlfacts.TouchInsert | sqlfacts.TouchUpdate | sqlfacts.TouchDelete
	touchRows   = sqlfacts.TouchInsert | sqlfacts.TouchUpdate
	touchEach   = sqlfacts.TouchRead | touchChange
	touchAll    = touchEach | sqlfacts.TouchTruncate | sqlfacts.TouchDefine | sqlfacts.TouchGrant
)

// when says which uses of a relation run the code of each kind of entry. It is the one place that does; what a use is
// beyond the statement's own (views, partitions, foreign keys) is spread afterwards. What stands here as not running
// at reading may still run then: see planned.
var when = map[kind]sqlfacts.Touch{
	// pg_attrdef: at each row that does not give the column. A table rewritten for a new column evaluates it too.
	"default": touchRows | sqlfacts.TouchDefine,
	"stored":  touchRows | sqlfacts.TouchDefine,
	// Virtual columns are worked out where they are read, and by checks where rows are written.
	"virtual": touchEach | sqlfacts.TouchDefine,
	// pg_constraint of a table.
	"check": touchRows | sqlfacts.TouchDefine,
	// pg_index: expressions and predicates, and pg_opclass: support functions and operators. A scan compares.
	"index":       touchRows | sqlfacts.TouchDefine,
	"index class": touchEach | sqlfacts.TouchDefine,
	// pg_statistic_ext: ANALYZE works them out.
	"statistics": sqlfacts.TouchDefine,
	// pg_partitioned_table: to find a row's partition, and to check what goes into a partition directly.
	"partition": touchRows | sqlfacts.TouchDefine,
	// pg_policy: whoever is subject to it has it with everything.
	"policy": touchEach | sqlfacts.TouchDefine,
	// pg_rewrite: the body of a view, whatever is done to it. Rules run by their event, see whenRule.
	"view": touchEach | sqlfacts.TouchDefine,
	// pg_type: input and output, checks and defaults of domains, bounds of ranges, casts, comparison; of what a type
	// holds as well. A query can make a value of a column's type without naming it (array_append(array_agg(d), 'x')).
	"type": touchEach | sqlfacts.TouchDefine,
	// pg_foreign_table: each use goes by its wrapper to somewhere else.
	"foreign table": touchAll,
	// pg_event_trigger runs with whatever defines, see sqlfacts.Catalog.DefinitionCalls; pg_trigger by its events, see
	// whenTrigger; pg_cast and pg_opclass for PostgreSQL's own types with everything that evaluates, see UserCasts.
}

// planned are the kinds whose expressions the planner simplifies whatever a statement does: a call with nothing but
// constants runs then, and so does one in SQL, which is put in line first (PostgreSQL, eval_const_expressions in
// RelationGetIndexExpressions, get_relation_constraints, get_relation_statistics, RelationBuildPartitionKey).
var planned = map[kind]bool{"check": true, "index": true, "statistics": true, "partition": true}

// Bits of pg_trigger.tgtype (PostgreSQL, catalog/pg_trigger.h).
const (
	triggerInsert   = 1 << 2
	triggerDelete   = 1 << 3
	triggerUpdate   = 1 << 4
	triggerTruncate = 1 << 5
)

// whenTrigger says which uses run a trigger, those of views (INSTEAD OF) as well.
func whenTrigger(tgtype int16) (t sqlfacts.Touch) {
	for bit, touch := range map[int16]sqlfacts.Touch{
		triggerInsert: sqlfacts.TouchInsert, triggerDelete: sqlfacts.TouchDelete,
		triggerUpdate: sqlfacts.TouchUpdate, triggerTruncate: sqlfacts.TouchTruncate,
	} {
		if tgtype&bit != 0 {
			t |= touch
		}
	}
	return t
}

// whenRule says which uses a rule rewrites, by pg_rewrite.ev_type.
func whenRule(event string) sqlfacts.Touch {
	switch event {
	case "1":
		return sqlfacts.TouchRead
	case "2":
		return sqlfacts.TouchUpdate
	case "3":
		return sqlfacts.TouchInsert
	case "4":
		return sqlfacts.TouchDelete
	}
	return touchEach
}
