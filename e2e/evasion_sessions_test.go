package e2e

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// catalogWays look where a database keeps copies of data.
func catalogWays() []evasion {
	return []evasion{
		way("catalog: pg_stats", "select most_common_vals, histogram_bounds from pg_stats where tablename = 'customers' and attname = 'password'"),
		way("catalog: pg_statistic", "select stavalues1, stavalues2 from pg_statistic where starelid = 'customers'::regclass"),
		way("catalog: pg_stats by its schema", "select histogram_bounds from pg_catalog.pg_stats where attname = 'api_key'"),
		way("catalog: a view over pg_stats", "create view mine9 as select attname, histogram_bounds::text as h from pg_stats; select h from mine9 where attname = 'password'").alone(),
		way("catalog: pg_stats in a function's clothes", "select pg_stats from pg_stats where attname = 'password' and tablename = 'customers'"),
		nowhere("catalog: pg_stat_activity", "nobody else has a secret in a statement", "select query from pg_stat_activity"),
		nowhere("catalog: pg_stat_get_activity", "the same", "select pg_stat_get_activity(null)"),
		nowhere("catalog: pg_prepared_statements", "it has the agent's own", "select statement from pg_prepared_statements"),
		nowhere("catalog: pg_get_viewdef", "a definition has no rows", "select pg_get_viewdef('customer_view'::regclass)"),
		nowhere("catalog: pg_get_functiondef", "a definition has no rows", "select pg_get_functiondef('customer_password'::regproc)"),
		nowhere("catalog: pg_read_file", "the file has pages that were not written yet", "select pg_read_file('global/pg_control')", "select pg_read_binary_file(pg_relation_filepath('customers'))"),
		nowhere("catalog: lo_import", "the file is the server's", "select lo_import('/etc/hostname')"),
		nowhere("catalog: pg_ls_dir", "names only", "select pg_ls_dir('.')"),
		way("catalog: EXPLAIN ANALYZE of a guess", "explain (analyze, costs off, timing off, summary off, buffers off) select id from customers where password like 's%'"),
		way("catalog: EXPLAIN's estimate of a guess", "explain select id from customers where password > 'm'"),
		way("catalog: EXPLAIN of a range", "explain (costs off, generic_plan) select id from customers where password > $1 and password like 's%'").unmeant(),
		way("catalog: EXPLAIN ANALYZE through a view", "explain (analyze, costs off, timing off, summary off, buffers off) select id from customer_view where password like 's%'"),
		way("catalog: extended statistics", "create statistics st1 on password, id from customers; analyze customers; select * from pg_stats_ext").alone(),
		way("catalog: ANALYZE VERBOSE", "analyze verbose customers").unmeant(),
	}
}

// sessionWays change what names and statements mean.
func sessionWays() []evasion {
	return []evasion{
		{claim: "session: SQL PREPARE and EXECUTE", steps: []string{"prepare p1 as select password from customers where id = 1", "execute p1"}},
		{claim: "session: PREPARE of a guess", steps: []string{"prepare p2 (text) as select id from customers where id = 1 and password like $1", "execute p2 ('s%')"}},
		{claim: "session: EXPLAIN EXECUTE", steps: []string{"prepare p3 as select fixed_password(1)", "explain (verbose, costs off) execute p3"}},
		{claim: "session: CREATE TABLE AS EXECUTE", steps: []string{"prepare p4 as select password as p from customers where id = 1", "create table stolen4 as execute p4", "select p from stolen4"}},
		{claim: "session: DECLARE and FETCH", steps: []string{"begin", "declare c1 cursor for select password from customers order by id", "fetch 3 from c1", "commit"}},
		{claim: "session: a cursor WITH HOLD", steps: []string{"declare c2 cursor with hold for select password from customers order by id", "fetch 3 from c2", "close c2"}},
		{claim: "session: a binary cursor", steps: []string{"begin", "declare c3 binary cursor for select password from customers order by id", "fetch 3 from c3", "commit"}},
		{claim: "session: DO with a notice", steps: []string{"do $$ begin raise notice '%', (select password from customers where id = 1); end $$"}},
		{claim: "session: DO with an error", steps: []string{"do $$ begin raise exception '%', (select password from customers where id = 1) using errcode = '42501'; end $$"}},
		{claim: "session: DO that guesses", steps: []string{"do $$ begin if (select password from customers where id = 1) like 's%' then perform 1 / 0; end if; end $$"}},
		{claim: "session: a new function", steps: []string{"create function mine10() returns text language sql as 'select password from public.customers where id = 1'", "select mine10()"}},
		{claim: "session: a new procedure", steps: []string{"create procedure mine11() language plpgsql as $$ begin raise notice '%', (select password from customers where id = 1); end $$", "call mine11()"}},
		{claim: "session: a temporary table in the way of the real one", steps: []string{"create temp table leads as select id, name, email, phone, password, api_key, note from customers", "select name, password from pg_temp.leads order by id limit 1"}},
		{claim: "session: a temporary view", steps: []string{"create temp view orders as select password as status from customers where id = 1", "select status from orders"}},
		{claim: "session: search_path", steps: []string{"create schema mine12", "create view mine12.orders as select id, password as status from customers", "set search_path = mine12, public", "select status from orders where id = 1"}},
		{claim: "session: search_path by set_config", steps: []string{"create schema mine13", "create view mine13.orders as select id, password as status from public.customers", "select set_config('search_path', 'mine13, public', false)", "select status from orders where id = 1"}},
		evasion{claim: "session: a schema of the agent's name", steps: []string{"create schema orders_app; create view orders_app.orders as select id, password as status from public.customers", "create schema postgres; create view postgres.orders as select id, password as status from public.customers", "select status from orders where id = 1"}}.alone(),
		{claim: "session: standard_conforming_strings", steps: []string{"set standard_conforming_strings = off", `select '\'', password || $$x$$ from customers where id = 1 --'`}},
		{claim: "session: standard_conforming_strings by set_config", steps: []string{"select set_config('standard_conforming_strings', 'off', false)", `select '\'', password || $$x$$ from customers where id = 1 --'`}},
		{claim: "session: client_encoding", steps: []string{"set client_encoding = 'SJIS'", "select password || $$x$$ from customers where id = 1"}},
		{claim: "session: the role", steps: []string{"set role postgres", "select password || '' from customers where id = 1"}},
		{claim: "session: session_replication_role and row_security", steps: []string{"set row_security = off", "select password || '' from customers where id = 1"}},
		{claim: "session: client_min_messages", steps: []string{"set client_min_messages = debug5", "set debug_print_plan = on", "select password from customers where id = 1"}},
		{claim: "session: a multi-statement string that defines and uses", simple: true, steps: []string{"begin; create view mine14 as select 1 as p; select p from mine14; drop view mine14; create view mine14 as select password as p from customers; select p from mine14 limit 1; rollback"}},
		{claim: "session: LISTEN to what others say", commits: true, steps: []string{"listen d", "select notify_password('d')", "select 1"}},
		{claim: "session: a prepared statement executed again after DDL", steps: []string{"create table mine15 (p text)", "insert into mine15 values ('x')", "select p from mine15", "drop table mine15", "create view mine15 as select password as p from customers where id = 1", "select p from mine15"}},
	}
}

// textWays are the same by other letters.
func textWays() []evasion {
	return []evasion{
		way("text: comments within", "select/**/password/*x*/||/*/* nested */*/'' from customers where id=1"),
		way("text: line comments", "select --\n password --\n || '' from customers where id = 1"),
		way("text: a comment that looks open", "select '/*', password || '' from customers where id = 1 --*/"),
		way("text: dollar quotes", "select $$'$$, password || $a$x$a$ from customers where id = 1"),
		way("text: dollar quotes within a name", "select 1 as a$b$c, password || '' as d$b$e from customers where id = 1"),
		way("text: an escape string", `select E'\'', password || E'\'' from customers where id = 1 --'`),
		way("text: a backslash in a string", `select '\', password || '' from customers where id = 1 --'`),
		way("text: a string continued on the next line", "select 'a'\n', password || ', password || 'b' from customers where id = 1"),
		way("text: a bit string and a national one", "select B'1', N'x' || password from customers where id = 1"),
		way("text: unicode in strings", `select U&'\0027', password || U&'\0027' from customers where id = 1`),
		way("text: tabs, vertical tabs and form feeds", "select\tpassword\v||\f'' from\rcustomers where id = 1"),
		way("text: upper case", "SELECT PASSWORD || '' FROM PUBLIC.CUSTOMERS WHERE ID = 1"),
		way("text: a name of 63 bytes and more", "select password || '' as "+strings.Repeat("x", 80)+" from customers where id = 1"),
		way("text: a statement of 900 KB", "select password || '' from customers where id = 1 and name <> '"+strings.Repeat("x", 900<<10)+"'"),
		way("text: a statement of 2 MB", "select password || '' from customers where id = 1 and name <> '"+strings.Repeat("x", 2<<20)+"'"),
		way("text: deep parentheses", "select "+strings.Repeat("(", 200)+"password || ''"+strings.Repeat(")", 200)+" from customers where id = 1"),
		way("text: the catalog's name", "select orders.public.customers.password || '' from orders.public.customers where id = 1"),
		way("text: numbers run together", "select 1password from customers").unmeant(),
		way("text: parameters run together", "select password||'' from customers where id=1and true").unmeant(),
		way("text: an operator that ends in a comment", "select password ||-- x\n'' from customers where id = 1"),
		way("text: a no-break space", "select password\u00a0 || '' from customers where id = 1").unmeant(),
		way("text: a zero-width space in a name", "select pass\u200bword || '' from customers where id = 1").unmeant(),
		way("text: a byte order mark", "\ufeffselect password || '' from customers where id = 1").unmeant(),
		way("text: letters that fold alike", "select passſord || '', ᴾassword from customers where id = 1").unmeant(),
	}
}

// ddlWays change the schema.
func ddlWays() []evasion {
	return []evasion{
		{claim: "ddl: rename the column", steps: []string{"alter table customers rename column password to p", "select p from customers where id = 1", "alter table customers rename column p to password"}},
		{claim: "ddl: rename the table", steps: []string{"alter table customers rename to c2", "select password from c2 where id = 1", "alter table c2 rename to customers"}},
		{claim: "ddl: move the table", steps: []string{"create schema mine16", "alter table customers set schema mine16", "select password from mine16.customers where id = 1", "alter table mine16.customers set schema public"}},
		{claim: "ddl: rename in a transaction", steps: []string{"begin", "alter table customers rename column password to p", "select p from customers where id = 1", "rollback"}},
		{claim: "ddl: a generated column", steps: []string{"alter table customers add column g text generated always as (password) stored", "select g from customers where id = 1"}},
		{claim: "ddl: a virtual column", steps: []string{"alter table customers add column h text generated always as (password) virtual", "select h from customers where id = 1"}},
		{claim: "ddl: change a type by USING", steps: []string{"alter table customers alter column phone type text using password", "select phone from customers where id = 1"}},
		{claim: "ddl: change a type to fail", steps: []string{"alter table payments alter column card_number type int using 1 / (left(card_number, 4)::int - 4000)"}},
		evasion{claim: "ddl: change the masked column's type", steps: []string{"alter table payments alter column card_number type varchar(4)"}}.unmeant(),
		{claim: "ddl: a check that guesses", steps: []string{"alter table customers add check (password like 's%' or password like 'x%')"}},
		{claim: "ddl: a foreign key that guesses", steps: []string{"create table guesses (g text primary key)", "insert into guesses select 'secret-password-' || i from generate_series(1, 1000) i", "alter table customers add foreign key (password) references guesses (g)"}},
		evasion{claim: "ddl: an exclusion constraint", steps: []string{"alter table customers add exclude using hash (password with =)"}}.unmeant(),
		{claim: "ddl: a parent", steps: []string{"create table mine17 (id int, name text, email text, phone text, password text, api_key text, note jsonb)", "alter table customers inherit mine17", "select password from mine17 limit 1", "alter table customers no inherit mine17"}},
		{claim: "ddl: a partition", steps: []string{"create table mine18 (id int not null, name text not null, email text not null, phone text, password text not null, api_key text not null, note jsonb) partition by range (password)", "alter table mine18 attach partition customers for values from ('s') to ('t')"}},
		{claim: "ddl: a partition by default", steps: []string{"create table mine19 (id int not null, name text not null, email text not null, phone text, password text not null, api_key text not null, note jsonb) partition by range (id)", "alter table mine19 attach partition customers default", "select password from mine19 where id = 1", "alter table mine19 detach partition customers"}},
		{claim: "ddl: a child that inherits", steps: []string{"create table mine20 () inherits (customers)", "insert into mine20 select * from customers where id = 1", "select password from mine20"}},
		{claim: "ddl: a built-in trigger that copies", steps: []string{"alter table customers add column v tsvector", "create trigger tv before update on customers for each row execute function tsvector_update_trigger('v', 'pg_catalog.simple', 'password', 'name')", "update customers set name = name || 'x' where id = 8", "select v from customers where id = 8", "drop trigger tv on customers", "alter table customers drop column v"}},
		{claim: "ddl: a trigger WHEN that guesses", steps: []string{"create trigger tw before update on customers for each row when (old.password like 's%') execute function suppress_redundant_updates_trigger()", "update customers set name = name where id = 1", "drop trigger tw on customers"}},
		evasion{claim: "ddl: a policy that guesses", steps: []string{"create policy po on work using (exists (select 1 from customers where customers.id = 1 and password like 's%'))", "alter table work enable row level security", "alter table work force row level security", "select count(*) from work", "alter table work disable row level security", "drop policy po on work"}}.unmeant(),
		{claim: "ddl: a rule", steps: []string{"create rule ru as on insert to audit do also insert into work select 7005, password from customers where id = 1", "insert into audit values (1)", "select note from work where id = 7005"}},
		evasion{claim: "ddl: an index, by order", steps: []string{"create index mine21 on customers (password, id)", "set enable_seqscan = off", "select id from customers limit 5", "drop index mine21"}}.unmeant(),
		evasion{claim: "ddl: CLUSTER by the masked column", steps: []string{"create index mine22 on customers (password)", "cluster customers using mine22", "select id from customers limit 5", "drop index mine22"}}.unmeant(),
		{claim: "ddl: a new table in place of the old", steps: []string{"begin", "alter table leads rename to leads2", "alter table customers rename to leads", "select password from leads where id = 1", "rollback"}},
	}
}

// protocolWays are what no SQL says.
func protocolWays() []evasion {
	return []evasion{
		{claim: "protocol: DDL and its use in one pipeline", run: func(ctx context.Context, c *pgconn.PgConn) {
			pipeline(ctx, c, "create view mine23 as select id, name as p from customers", "select p from mine23 where id = 1",
				"create or replace view mine23 as select id, password as p from customers", "select p from mine23 where id = 1")
		}},
		{claim: "protocol: standard_conforming_strings in one pipeline", run: func(ctx context.Context, c *pgconn.PgConn) {
			pipeline(ctx, c, "set standard_conforming_strings = off", `select '\'', password || $$x$$ from customers where id = 1 --'`)
		}},
		{claim: "protocol: standard_conforming_strings by set_config in one pipeline", run: func(ctx context.Context, c *pgconn.PgConn) {
			pipeline(ctx, c, "select set_config('standard_conforming_strings', 'off', false)", `select '\'', password || $$x$$ from customers where id = 1 --'`)
		}},
		{claim: "protocol: standard_conforming_strings by RESET ALL and BEGIN in one pipeline", run: func(ctx context.Context, c *pgconn.PgConn) {
			pipeline(ctx, c, "begin", "set local standard_conforming_strings to 0", `select '\'', password || $$x$$ from customers where id = 1 --'`, "commit")
		}},
		{claim: "protocol: a deferred trigger's error behind another batch", run: func(ctx context.Context, c *pgconn.PgConn) {
			p := c.StartPipeline(ctx)
			for range 3 {
				p.SendQueryParams("select count(*) from generate_series(1, 100000)", nil, nil, nil, nil)
				_ = p.Sync()
			}
			p.SendQueryParams("select touch_deferred()", nil, nil, nil, nil)
			_ = p.Sync()
			drainPipeline(p, 4)
			_ = p.Close()
		}},
		{claim: "protocol: a portal whose name a function's cursor takes after ROLLBACK TO", run: func(ctx context.Context, c *pgconn.PgConn) {
			portalTaken(ctx, c, "x", "rollback to a", "select open_passwords('x')")
		}},
		{claim: "protocol: a portal whose name a cursor takes by itself", run: func(ctx context.Context, c *pgconn.PgConn) {
			portalTaken(ctx, c, "<unnamed portal 1>", "rollback to a", "select open_someones()")
		}},
		{claim: "protocol: a portal that a function closes and opens", run: func(ctx context.Context, c *pgconn.PgConn) {
			portalTaken(ctx, c, "x", "select close_it('x')", "select open_passwords('x')")
		}},
		{claim: "protocol: a portal that a function closes and opens, in one batch", run: portalTakenInBatch},
		{claim: "protocol: a parameter of a type with an operator of its own", run: func(ctx context.Context, c *pgconn.PgConn) {
			oid := oidOf(ctx, c, "public.pair")
			c.ExecParams(ctx, "select $1 === $2", [][]byte{[]byte("s%"), []byte("(1,)")}, []uint32{25, oid}, nil, nil).Read()
		}},
		{claim: "protocol: a parameter of a domain that talks", run: func(ctx context.Context, c *pgconn.PgConn) {
			oid := oidOf(ctx, c, "public.talking")
			c.ExecParams(ctx, "select $1", [][]byte{[]byte("x")}, []uint32{oid}, nil, nil).Read()
		}},
		{claim: "protocol: a parameter of a table's row type", uncontrolled: "it shows what the client sent", run: func(ctx context.Context, c *pgconn.PgConn) {
			oid := oidOf(ctx, c, "public.customers")
			c.ExecParams(ctx, "select $1", [][]byte{[]byte("(1,a,b,c,d,e,{})")}, []uint32{oid}, nil, nil).Read()
		}},
		{claim: "protocol: a guess by a parameter", run: func(ctx context.Context, c *pgconn.PgConn) {
			c.ExecParams(ctx, "select id from customers where id = 1 and password = $1", [][]byte{[]byte("secret-password-1")}, nil, nil, nil).Read()
		}},
		{claim: "protocol: mixed result formats", run: func(ctx context.Context, c *pgconn.PgConn) {
			c.ExecParams(ctx, "select password, id, api_key from customers where id = 1", nil, nil, nil, []int16{1, 0, 1}).Read()
		}},
		{claim: "protocol: a portal fetched in pieces", run: func(ctx context.Context, c *pgconn.PgConn) {
			raw(ctx, c, parse("", "select id, password from customers order by id"), bind("f", "", 0), execute("f", 2), execute("f", 3), closing('P', "f"), execute("f", 1), sync3())
		}},
		{claim: "protocol: executed without Describe", run: func(ctx context.Context, c *pgconn.PgConn) {
			raw(ctx, c, parse("n", "select password from customers where id = 1"), bind("", "n", 1), execute("", 0), bind("", "n", 0), execute("", 0), sync3())
		}},
		{claim: "protocol: a name that is parsed again", run: func(ctx context.Context, c *pgconn.PgConn) {
			raw(ctx, c, parse("n", "select name from customers where id = 1"), closing('S', "n"), parse("n", "select password from customers where id = 1"), bind("", "n", 0), execute("", 0), sync3())
		}},
		{claim: "protocol: a name whose second Parse fails", run: func(ctx context.Context, c *pgconn.PgConn) {
			raw(ctx, c, parse("n", "select password from customers where id = 1"), sync3(), parse("n", "select name from customers where id = 1"), bind("", "n", 0), execute("", 0), sync3(), bind("", "n", 0), execute("", 0), sync3())
		}},
		{claim: "protocol: a name that DEALLOCATE frees in a batch", run: func(ctx context.Context, c *pgconn.PgConn) {
			raw(ctx, c, parse("n", "select name from customers where id = 1"), parse("", "deallocate n"), bind("", "", 0), execute("", 0),
				parse("n", "select password from customers where id = 1"), bind("", "n", 0), execute("", 0), sync3())
		}},
		{claim: "protocol: FunctionCall", run: func(ctx context.Context, c *pgconn.PgConn) {
			oid := oidOf(ctx, c, "customer_password(int)")
			raw(ctx, c, functionCall(oid, []byte("1")))
		}},
	}
}
