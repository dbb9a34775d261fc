-- The functions of PostgreSQL 18, one line a name: schema, name, volatile (t if any overload is), internal (t if an
-- argument or result of any overload is a pseudo-type that SQL cannot pass, or it is a procedure or a trigger).
-- Run on an empty database: psql -AtX -F '|' -f pg18_functions.sql > pg18_functions.txt
SELECT n.nspname, p.proname,
       bool_or(p.provolatile = 'v'),
       bool_or(p.prokind = 'p' OR EXISTS (
         SELECT FROM unnest(p.proargtypes::oid[] || p.prorettype) t
         WHERE t IN ('internal'::regtype, 'language_handler'::regtype, 'fdw_handler'::regtype,
                     'index_am_handler'::regtype, 'tsm_handler'::regtype, 'table_am_handler'::regtype,
                     'trigger'::regtype, 'event_trigger'::regtype, 'pg_ddl_command'::regtype)))
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname IN ('pg_catalog', 'information_schema')
GROUP BY 1, 2 ORDER BY 1, 2;
