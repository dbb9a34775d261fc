package relcache

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// fingerprintSQL changes whenever a row of a catalog that is read here is added, removed or replaced: it has the
// number of rows and the sum of their xmin. Who is in which role decides about schemas that may be used, and so do the names
// of roles, which "$user" stands for, whose the database is, and a search_path in the server's files, which live sessions take over.
func fingerprintSQL() string {
	parts := []string{}
	for _, c := range strings.Fields(`pg_namespace pg_class pg_attribute pg_inherits pg_rewrite pg_trigger pg_attrdef
		pg_policy pg_constraint pg_index pg_partitioned_table pg_proc pg_operator pg_type pg_cast pg_range pg_opclass
		pg_amop pg_amproc pg_statistic_ext pg_event_trigger pg_foreign_table pg_foreign_server pg_auth_members`) {
		parts = append(parts, fmt.Sprintf(
			"(SELECT pg_catalog.count(*) || ':' || COALESCE(pg_catalog.sum(xmin::pg_catalog.text::pg_catalog.int8), 0) FROM pg_catalog.%s)", c))
	}
	return "SELECT " + strings.Join(append(parts, rolesSQL, ownerSQL, "pg_catalog.pg_conf_load_time()"), " || ' ' || ")
}

// rolesSQL is about the roles that a session can have: who else comes and goes, as those that are made for a session do, matters to nobody.
const rolesSQL = `(SELECT pg_catalog.count(*) || ':' || COALESCE(pg_catalog.sum(pg_catalog.hashtextextended(oid || ' ' || rolsuper || rolinherit || rolname, 0)), 0)
	FROM pg_catalog.pg_roles WHERE pg_catalog.pg_has_role(oid, 'MEMBER'))`

const ownerSQL = `(SELECT COALESCE(pg_catalog.sum(datdba::pg_catalog.int8), 0) FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database())`

// What follows are the rows as they are read. Each query names everything by its schema and is run with an empty
// search_path, so that what PostgreSQL deparses is qualified too.

type namespaceRow struct {
	OID  uint32
	Name string
}

const namespaceSQL = `SELECT oid, nspname::text FROM pg_catalog.pg_namespace`

type relationRow struct {
	OID, Namespace uint32
	Name           string
	Kind           string
	RowSecurity    bool
	// Definition is the body of a view; nil if it was dropped while it was read.
	Definition *string
}

const relationSQL = `
SELECT oid, relnamespace, relname::text, relkind::text, relrowsecurity,
	CASE WHEN relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(oid) ELSE '' END
FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')`

type columnRow struct {
	Relation  uint32
	Number    int16
	Name      string
	Type      uint32
	TypeName  string
	Generated string
}

const columnSQL = `
SELECT attrelid, attnum, attname::text, atttypid, pg_catalog.format_type(atttypid, NULL), attgenerated::text
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
WHERE attnum OPERATOR(pg_catalog.>) 0 AND NOT attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
ORDER BY attrelid, attnum`

type inheritRow struct{ Child, Parent uint32 }

// inheritSQL has typed tables as children of their composite type: attributes are renamed and altered through it.
const inheritSQL = `
SELECT inhrelid, inhparent FROM (
	SELECT inhrelid, inhparent, inhseqno FROM pg_catalog.pg_inherits
	UNION ALL
	SELECT c.oid, t.typrelid, 0 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) c.reloftype
) i ORDER BY inhrelid, inhseqno`

type readRow struct {
	View, Relation uint32
	Number         int32
}

// readSQL is what view bodies depend on, column by column.
const readSQL = `
SELECT DISTINCT r.ev_class, d.refobjid, d.refobjsubid
FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid OPERATOR(pg_catalog.=) d.objid
WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
	AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
	AND r.rulename OPERATOR(pg_catalog.=) '_RETURN' AND d.refobjid OPERATOR(pg_catalog.<>) r.ev_class`

type ruleRow struct {
	Relation uint32
	// Event is pg_rewrite.ev_type: 1 SELECT, 2 UPDATE, 3 INSERT, 4 DELETE.
	Event string
	// Definition is what CREATE RULE would be; nil if it was dropped while it was read.
	Definition *string
}

const ruleSQL = `
SELECT ev_class, ev_type::text, pg_catalog.pg_get_ruledef(oid)
FROM pg_catalog.pg_rewrite WHERE rulename OPERATOR(pg_catalog.<>) '_RETURN' AND ev_enabled OPERATOR(pg_catalog.<>) 'D'`

type triggerRow struct {
	Relation uint32
	Type     int16
	Schema   string
	Function string
}

const triggerSQL = `
SELECT t.tgrelid, t.tgtype, n.nspname::text, p.proname::text
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid
	JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
WHERE NOT t.tgisinternal AND t.tgenabled OPERATOR(pg_catalog.<>) 'D'`

type expressionRow struct {
	Relation uint32
	// What it is, as in when.
	What kind
	// Column is of a generated column or a default, else 0.
	Column int16
	// Text is nil if it was dropped while it was read.
	Text *string
}

const expressionSQL = `
SELECT d.adrelid, CASE a.attgenerated WHEN '' THEN 'default' WHEN 's' THEN 'stored' ELSE 'virtual' END, d.adnum,
	pg_catalog.pg_get_expr(d.adbin, d.adrelid)
FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_attribute a
	ON a.attrelid OPERATOR(pg_catalog.=) d.adrelid AND a.attnum OPERATOR(pg_catalog.=) d.adnum
UNION ALL
SELECT polrelid, 'policy', 0, e FROM pg_catalog.pg_policy,
	LATERAL (VALUES (polqual IS NOT NULL, pg_catalog.pg_get_expr(polqual, polrelid)),
		(polwithcheck IS NOT NULL, pg_catalog.pg_get_expr(polwithcheck, polrelid))) v(given, e)
WHERE given
UNION ALL
SELECT conrelid, 'check', 0, pg_catalog.pg_get_expr(conbin, conrelid)
FROM pg_catalog.pg_constraint WHERE contype OPERATOR(pg_catalog.=) 'c' AND conrelid OPERATOR(pg_catalog.<>) 0 AND conbin IS NOT NULL
UNION ALL
SELECT indrelid, 'index', 0, e FROM pg_catalog.pg_index,
	LATERAL (VALUES (indexprs IS NOT NULL, pg_catalog.pg_get_expr(indexprs, indrelid)),
		(indpred IS NOT NULL, pg_catalog.pg_get_expr(indpred, indrelid))) v(given, e)
WHERE given AND indrelid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
UNION ALL
SELECT partrelid, 'partition', 0, pg_catalog.pg_get_expr(partexprs, partrelid)
FROM pg_catalog.pg_partitioned_table WHERE partexprs IS NOT NULL
UNION ALL
SELECT stxrelid, 'statistics', 0, e FROM pg_catalog.pg_statistic_ext
	LEFT JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_get_statisticsobjdef_expressions(oid)) e ON true
WHERE stxexprs IS NOT NULL`

type referenceRow struct {
	// Relation is referenced by Touched. TRUNCATE … CASCADE goes from one to the other.
	Relation, Touched uint32
	// Deletes: deleting rows of Relation deletes rows of Touched. Clears: it updates them. Follows: updating rows of
	// Relation updates rows of Touched.
	Deletes, Clears, Follows bool
}

func (r referenceRow) cascades() bool { return r.Deletes || r.Clears || r.Follows }

const referenceSQL = `
SELECT confrelid, conrelid, pg_catalog.bool_or(confdeltype OPERATOR(pg_catalog.=) 'c'),
	pg_catalog.bool_or(confdeltype IN ('n', 'd')), pg_catalog.bool_or(confupdtype IN ('c', 'n', 'd'))
FROM pg_catalog.pg_constraint WHERE contype OPERATOR(pg_catalog.=) 'f' GROUP BY 1, 2`

// keyRow is a column of a primary key or of a partition key, whose expressions stand as number 0.
type keyRow struct {
	Relation  uint32
	Partition bool
	Number    int16
}

const keySQL = `
SELECT indrelid, false, k FROM pg_catalog.pg_index, LATERAL pg_catalog.unnest(indkey::pg_catalog.int2[]) k
WHERE indisprimary AND indrelid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
UNION ALL
SELECT partrelid, true, k FROM pg_catalog.pg_partitioned_table, LATERAL pg_catalog.unnest(partattrs::pg_catalog.int2[]) k`

type functionRow struct {
	OID    uint32
	Schema string
	Name   string
	// Inline: one of that name is in SQL.
	Inline bool
}

// functionSQL lists functions by name. One that somebody put into pg_catalog stands in no schema: it is nothing of
// PostgreSQL's own.
const functionSQL = `
SELECT pg_catalog.min(p.oid), CASE WHEN n.nspname OPERATOR(pg_catalog.=) 'pg_catalog'
	AND p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid THEN 'pg_catalog (added)' ELSE n.nspname::text END, p.proname::text,
	pg_catalog.bool_or(l.lanname OPERATOR(pg_catalog.=) 'sql')
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
	JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
GROUP BY 2, 3`

type operatorRow struct {
	Schema, Name string
	Plain        bool
}

// operatorSQL: Plain means that plain values can reach it. So they can if every argument has a type of pg_catalog; and
// if one has, and pg_catalog has no operator of that name for two of that type: then a constant beside a plain value
// is taken for the other type (PostgreSQL, "Operator Type Resolution").
const operatorSQL = `
SELECT n.nspname::text, o.oprname::text,
	NOT EXISTS (SELECT FROM pg_catalog.pg_type t
		WHERE t.oid IN (o.oprleft, o.oprright) AND t.typnamespace OPERATOR(pg_catalog.<>) 'pg_catalog'::pg_catalog.regnamespace)
	OR EXISTS (SELECT FROM pg_catalog.pg_type t
		WHERE t.oid IN (o.oprleft, o.oprright) AND t.typnamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_operator b
			WHERE b.oprname OPERATOR(pg_catalog.=) o.oprname AND b.oprleft OPERATOR(pg_catalog.=) t.oid
			AND b.oprright OPERATOR(pg_catalog.=) t.oid
			AND b.oprnamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace))
FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace
WHERE n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog'`

// rows is everything that a snapshot is made from.
type rows struct {
	namespaces  []namespaceRow
	relations   []relationRow
	columns     []columnRow
	inherits    []inheritRow
	reads       []readRow
	rules       []ruleRow
	triggers    []triggerRow
	expressions []expressionRow
	references  []referenceRow
	functions   []functionRow
	operators   []operatorRow
	keys        []keyRow
	foreign     []foreignRow
	events      []eventRow
	types       []typeRow
	holds       []holdRow
	typeRuns    []typeRunRow
	typeTexts   []typeTextRow
	indexRuns   []indexRunRow
	casts       []castRow
}

// load reads all of it as of one moment.
func load(ctx context.Context, conn *pgx.Conn) (fingerprint string, r *rows, err error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = tx.Rollback(ctx) }() // nothing to keep: it only read
	if err := tx.QueryRow(ctx, fingerprintSQL()).Scan(&fingerprint); err != nil {
		return "", nil, fmt.Errorf("fingerprint: %w", err)
	}
	r = &rows{}
	for _, step := range []func() error{
		func() error { return collect(ctx, tx, namespaceSQL, &r.namespaces) },
		func() error { return collect(ctx, tx, relationSQL, &r.relations) },
		func() error { return collect(ctx, tx, columnSQL, &r.columns) },
		func() error { return collect(ctx, tx, inheritSQL, &r.inherits) },
		func() error { return collect(ctx, tx, readSQL, &r.reads) },
		func() error { return collect(ctx, tx, ruleSQL, &r.rules) },
		func() error { return collect(ctx, tx, triggerSQL, &r.triggers) },
		func() error { return collect(ctx, tx, expressionSQL, &r.expressions) },
		func() error { return collect(ctx, tx, referenceSQL, &r.references) },
		func() error { return collect(ctx, tx, functionSQL, &r.functions) },
		func() error { return collect(ctx, tx, operatorSQL, &r.operators) },
		func() error { return collect(ctx, tx, keySQL, &r.keys) },
		func() error { return collect(ctx, tx, foreignSQL, &r.foreign) },
		func() error { return collect(ctx, tx, eventSQL, &r.events) },
		func() error { return collect(ctx, tx, typeSQL, &r.types) },
		func() error { return collect(ctx, tx, holdSQL, &r.holds) },
		func() error { return collect(ctx, tx, typeRunSQL, &r.typeRuns) },
		func() error { return collect(ctx, tx, typeTextSQL, &r.typeTexts) },
		func() error { return collect(ctx, tx, indexRunSQL, &r.indexRuns) },
		func() error { return collect(ctx, tx, castSQL, &r.casts) },
	} {
		if err := step(); err != nil {
			return "", nil, err
		}
	}
	return fingerprint, r, nil
}

func collect[T any](ctx context.Context, tx pgx.Tx, sql string, to *[]T) error {
	found, err := tx.Query(ctx, sql)
	if err != nil {
		return fmt.Errorf("%T: %w", *to, err)
	}
	*to, err = pgx.CollectRows(found, pgx.RowToStructByPos[T])
	if err != nil {
		return fmt.Errorf("%T: %w", *to, err)
	}
	return nil
}
