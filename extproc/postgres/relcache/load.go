package relcache

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// fingerprintSQL changes whenever a row of a catalog that is read here is added, removed or replaced: it has the
// number of rows and the sum of their xmin.
func fingerprintSQL() string {
	parts := []string{}
	for _, c := range strings.Fields(`pg_namespace pg_class pg_attribute pg_inherits pg_rewrite pg_trigger pg_attrdef
		pg_policy pg_constraint pg_index pg_partitioned_table pg_proc pg_operator pg_type pg_cast`) {
		parts = append(parts, fmt.Sprintf(
			"(SELECT pg_catalog.count(*) || ':' || COALESCE(pg_catalog.sum(xmin::pg_catalog.text::pg_catalog.int8), 0) FROM pg_catalog.%s)", c))
	}
	return "SELECT " + strings.Join(parts, " || ' ' || ")
}

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
	Definition     string
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

const inheritSQL = `SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits ORDER BY inhrelid, inhseqno`

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

type ruleRow struct{ Relation uint32 }

const ruleSQL = `SELECT DISTINCT ev_class FROM pg_catalog.pg_rewrite WHERE rulename OPERATOR(pg_catalog.<>) '_RETURN'`

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
	// What it is: default, stored, virtual, policy, check, index or partition.
	What string
	Text string
}

const expressionSQL = `
SELECT d.adrelid, CASE a.attgenerated WHEN '' THEN 'default' WHEN 's' THEN 'stored' ELSE 'virtual' END,
	pg_catalog.pg_get_expr(d.adbin, d.adrelid)
FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_attribute a
	ON a.attrelid OPERATOR(pg_catalog.=) d.adrelid AND a.attnum OPERATOR(pg_catalog.=) d.adnum
UNION ALL
SELECT polrelid, 'policy', e FROM pg_catalog.pg_policy,
	LATERAL (VALUES (pg_catalog.pg_get_expr(polqual, polrelid)), (pg_catalog.pg_get_expr(polwithcheck, polrelid))) v(e)
WHERE e IS NOT NULL
UNION ALL
SELECT conrelid, 'check', pg_catalog.pg_get_expr(conbin, conrelid)
FROM pg_catalog.pg_constraint WHERE contype OPERATOR(pg_catalog.=) 'c' AND conrelid OPERATOR(pg_catalog.<>) 0 AND conbin IS NOT NULL
UNION ALL
SELECT indrelid, 'index', e FROM pg_catalog.pg_index,
	LATERAL (VALUES (pg_catalog.pg_get_expr(indexprs, indrelid)), (pg_catalog.pg_get_expr(indpred, indrelid))) v(e)
WHERE e IS NOT NULL AND indrelid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
UNION ALL
SELECT partrelid, 'partition', pg_catalog.pg_get_expr(partexprs, partrelid)
FROM pg_catalog.pg_partitioned_table WHERE partexprs IS NOT NULL`

type referenceRow struct {
	// Relation is referenced by Touched. TRUNCATE … CASCADE goes from one to the other.
	Relation, Touched uint32
	// Cascades: changing rows of Relation changes rows of Touched.
	Cascades bool
}

const referenceSQL = `
SELECT confrelid, conrelid, pg_catalog.bool_or(confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))
FROM pg_catalog.pg_constraint WHERE contype OPERATOR(pg_catalog.=) 'f' GROUP BY 1, 2`

type functionRow struct {
	OID    uint32
	Schema string
	Name   string
}

const functionSQL = `
SELECT pg_catalog.min(p.oid), n.nspname::text, p.proname::text
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
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

type typeRow struct {
	OID          uint32
	Schema, Name string
	Enum         bool
}

const typeSQL = `
SELECT t.oid, n.nspname::text, t.typname::text, t.typtype OPERATOR(pg_catalog.=) 'e'
	OR EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.oid OPERATOR(pg_catalog.=) t.typelem
		AND t.typcategory OPERATOR(pg_catalog.=) 'A' AND e.typtype OPERATOR(pg_catalog.=) 'e')
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace`

type castRow struct{ Some bool }

const castSQL = `
SELECT EXISTS (SELECT FROM pg_catalog.pg_cast c
	JOIN pg_catalog.pg_type s ON s.oid OPERATOR(pg_catalog.=) c.castsource
	JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) c.casttarget
	JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) c.castfunc
WHERE s.typnamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
	AND t.typnamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
	AND p.pronamespace OPERATOR(pg_catalog.<>) 'pg_catalog'::pg_catalog.regnamespace)`

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
	types       []typeRow
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
		func() error { return collect(ctx, tx, typeSQL, &r.types) },
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
