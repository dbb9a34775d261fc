package relcache

// What types run is read here. Functions in C and of PostgreSQL itself count as harmless where a type brings them
// along: nobody but a superuser can write one, and without them no column of an extension's type could be read.

type foreignRow struct {
	Relation uint32
	Wrapper  string
}

const foreignSQL = `
SELECT t.ftrelid, w.fdwname::text FROM pg_catalog.pg_foreign_table t
	JOIN pg_catalog.pg_foreign_server s ON s.oid OPERATOR(pg_catalog.=) t.ftserver
	JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid OPERATOR(pg_catalog.=) s.srvfdw`

type eventRow struct{ Schema, Function string }

// eventSQL: a trigger on login runs when a session begins, not with a statement.
const eventSQL = `
SELECT DISTINCT n.nspname::text, p.proname::text FROM pg_catalog.pg_event_trigger e
	JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) e.evtfoid
	JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
WHERE e.evtenabled OPERATOR(pg_catalog.<>) 'D' AND e.evtevent OPERATOR(pg_catalog.<>) 'login' ORDER BY 1, 2`

type typeRow struct {
	OID          uint32
	Schema, Name string
	Enum         bool
	// Operators: somebody's operator takes it.
	Operators bool
}

const typeSQL = `
SELECT t.oid, n.nspname::text, t.typname::text, t.typtype OPERATOR(pg_catalog.=) 'e'
	OR EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.oid OPERATOR(pg_catalog.=) t.typelem
		AND t.typcategory OPERATOR(pg_catalog.=) 'A' AND e.typtype OPERATOR(pg_catalog.=) 'e'),
	t.oid IN (SELECT oprleft FROM pg_catalog.pg_operator WHERE oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
		UNION ALL SELECT oprright FROM pg_catalog.pg_operator WHERE oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid)
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace`

// holdRow says that a value of a type holds, or is made of, values of another.
type holdRow struct{ Type, Held uint32 }

// holdSQL: a domain its base, an array its elements, a range its bounds, a multirange its ranges, a row its columns.
const holdSQL = `
SELECT oid, typbasetype FROM pg_catalog.pg_type WHERE typbasetype OPERATOR(pg_catalog.<>) 0
UNION
SELECT oid, typelem FROM pg_catalog.pg_type WHERE typelem OPERATOR(pg_catalog.<>) 0
UNION
SELECT rngtypid, rngsubtype FROM pg_catalog.pg_range
UNION
SELECT rngmultitypid, rngtypid FROM pg_catalog.pg_range
UNION
SELECT t.oid, a.atttypid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) t.typrelid
WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped AND t.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid`

// typeRunRow is a function that runs by itself where values of a type are.
type typeRunRow struct {
	Type             uint32
	Schema, Function string
}

// typeRunSQL: what makes and shows values, what makes and measures ranges, what compares them (any operator class or
// family with the type), and what casts from and to it.
const typeRunSQL = `
SELECT DISTINCT r.type, n.nspname::text, p.proname::text FROM (
	SELECT t.oid AS type, f FROM pg_catalog.pg_type t, LATERAL (VALUES (t.typinput), (t.typoutput), (t.typreceive), (t.typsend),
		(t.typmodin), (t.typmodout), (t.typanalyze), (t.typsubscript)) v(f) WHERE t.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
	UNION ALL
	SELECT rngtypid, f FROM pg_catalog.pg_range, LATERAL (VALUES (rngcanonical), (rngsubdiff)) v(f)
	UNION ALL
	SELECT g.rngtypid, a.amproc FROM pg_catalog.pg_range g JOIN pg_catalog.pg_opclass c ON c.oid OPERATOR(pg_catalog.=) g.rngsubopc
		JOIN pg_catalog.pg_amproc a ON a.amprocfamily OPERATOR(pg_catalog.=) c.opcfamily
	UNION ALL
	SELECT t, a.amproc FROM pg_catalog.pg_amproc a, LATERAL (VALUES (a.amproclefttype), (a.amprocrighttype)) v(t)
	UNION ALL
	SELECT t, o.oprcode FROM pg_catalog.pg_amop a JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) a.amopopr,
		LATERAL (VALUES (a.amoplefttype), (a.amoprighttype)) v(t)
	UNION ALL
	SELECT t, castfunc FROM pg_catalog.pg_cast, LATERAL (VALUES (castsource), (casttarget)) v(t)
) r JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) r.type
	JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) r.f
	JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
	JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND l.lanname NOT IN ('c', 'internal')
	AND t.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid ORDER BY 1, 2, 3`

// typeTextRow is a check or the default of a domain.
type typeTextRow struct {
	Type uint32
	// Text is nil if it was dropped while it was read.
	Text *string
}

const typeTextSQL = `
SELECT contypid, pg_catalog.pg_get_expr(conbin, 0) FROM pg_catalog.pg_constraint
WHERE contypid OPERATOR(pg_catalog.<>) 0 AND conbin IS NOT NULL
UNION ALL
SELECT oid, pg_catalog.pg_get_expr(typdefaultbin, 0) FROM pg_catalog.pg_type WHERE typdefaultbin IS NOT NULL`

// indexRunRow is a function that an index calls by its operator class.
type indexRunRow struct {
	Relation         uint32
	Schema, Function string
}

const indexRunSQL = `
SELECT DISTINCT i.indrelid, n.nspname::text, p.proname::text
FROM pg_catalog.pg_index i, LATERAL pg_catalog.unnest(i.indclass::pg_catalog.oid[]) k
	JOIN pg_catalog.pg_opclass c ON c.oid OPERATOR(pg_catalog.=) k
	JOIN (SELECT amprocfamily AS family, amproc AS f FROM pg_catalog.pg_amproc
		UNION SELECT a.amopfamily, o.oprcode FROM pg_catalog.pg_amop a JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) a.amopopr
	) r ON r.family OPERATOR(pg_catalog.=) c.opcfamily
	JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) r.f
	JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
	JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE i.indrelid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
	AND l.lanname NOT IN ('c', 'internal') ORDER BY 1, 2, 3`

type castRow struct{ Some bool }

// castSQL: whether plain values can run somebody's function by a cast, or by a default operator class that sorts and
// compares them.
const castSQL = `
SELECT EXISTS (SELECT FROM pg_catalog.pg_cast c
	JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) c.castfunc
WHERE c.castsource OPERATOR(pg_catalog.<) 16384::pg_catalog.oid AND c.casttarget OPERATOR(pg_catalog.<) 16384::pg_catalog.oid
	AND p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid)
OR EXISTS (SELECT FROM pg_catalog.pg_opclass c
	JOIN pg_catalog.pg_amproc a ON a.amprocfamily OPERATOR(pg_catalog.=) c.opcfamily
	JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) a.amproc
	JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE c.opcdefault AND c.opcintype OPERATOR(pg_catalog.<) 16384::pg_catalog.oid AND p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
	AND l.lanname NOT IN ('c', 'internal'))`
