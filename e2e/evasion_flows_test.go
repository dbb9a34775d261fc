package e2e

import "strings"

// flowWays are values that pass through parts of a statement.
func flowWays() []evasion {
	return []evasion{
		way("flow: a subquery", "select p from (select password as p from customers where id = 1) s"),
		way("flow: a subquery of a star", "select * from (select * from customers where id = 1) s"),
		way("flow: a list of column aliases", "select s.p from customers as s (a, b, c, d, p, e, f) where s.a = 1"),
		way("flow: a list of aliases of a subquery", "select p from (select password from customers where id = 1) as s (p)"),
		way("flow: a CTE", "with s as (select password as p from customers where id = 1) select p from s"),
		way("flow: a materialized CTE of a star", "with s as materialized (select * from customers where id = 1) select * from s"),
		way("flow: a CTE named like a harmless table", "with orders as (select password as status from customers where id = 1) select status from orders"),
		way("flow: a CTE within a CTE", "with a as (with b as (select password from customers where id = 1) select * from b) select * from a"),
		way("flow: a recursive CTE", "with recursive r (n, p) as (select 1, password from customers where id = 1 union all select n + 1, substr(p, 2) from r where n < 9) select p from r"),
		way("flow: a CTE's name does not hide the table behind its schema", "with customers as (select 1 as id) select password || '' from public.customers where id = 1"),
		way("flow: a CTE that is not visible yet", "with a as (select password || '' as p from customers where id = 1), customers as (select 1) select p from a"),
		way("flow: UNION ALL", "select password from customers where id = 1 union all select 'x'"),
		way("flow: UNION of harmless first", "select name from customers where id = 1 union all select password from customers where id = 1"),
		way("flow: VALUES", "select * from (values ((select password from customers where id = 1))) v"),
		way("flow: an array of a subquery", "select array(select password from customers where id < 3 order by id)"),
		way("flow: unnest", "select u from customers c, unnest(array[c.password]) u where c.id = 1"),
		way("flow: regexp_split_to_table", "select r from customers c, regexp_split_to_table(c.password, '-') r where c.id = 1"),
		way("flow: xmltable", "select x.v from customers c, xmltable('/a' passing xmlelement(name a, c.password) columns v text path '.') x where c.id = 1"),
		way("flow: json_table", "select x.v from customers c, json_table(to_jsonb(c), '$' columns (v text path '$.password')) x where c.id = 1"),
		way("flow: ROWS FROM", "select * from rows from (generate_series(1, (select ascii(password) from customers where id = 1))) g (n) limit 200"),
		way("flow: a LATERAL VALUES", "select v.x from customers c, lateral (values (c.password)) v (x) where c.id = 1"),
		way("flow: an alias of USING", "select x.password from orders o join customers c using (id) join customers d using (id, password) as x where o.id = 1"),
		way("flow: a DELETE in a CTE", "with d as (delete from work where id = 906 returning *) select (select password from customers where id = 1) from d"),
		way("flow: an UPDATE … RETURNING in a CTE", "with u as (update customers set name = name where id = 1 returning password) select password from u"),
		way("flow: an INSERT … RETURNING in a CTE", "with i as (insert into leads select * from customers where id = 9 returning password) select password from i"),
		way("flow: a set-returning function over a subquery", "select generate_series(1, (select ascii(password) from customers where id = 1))"),
		way("flow: SELECT INTO", "select password as p into stolen1 from customers where id = 1; select p from stolen1").alone(),
	}
}

// alone keeps a way to the simple protocol.
func (e evasion) alone() evasion {
	e.simple = true
	return e
}

// copyWays send data by COPY.
func copyWays() []evasion {
	var out []evasion
	for _, x := range [][2]string{
		{"text", "copy customers to stdout"},
		{"csv", "copy customers to stdout (format csv, header)"},
		{"binary", "copy customers to stdout (format binary)"},
		{"a list of columns", "copy customers (password, id, api_key) to stdout"},
		{"one column", "copy payments (card_number) to stdout"},
		{"old syntax", "copy customers to stdout with csv"},
		{"old binary", "copy binary customers to stdout"},
		{"a delimiter", "copy customers to stdout (delimiter '-')"},
		{"a delimiter that a mask has", "copy customers (id, password, name) to stdout (delimiter '*')"},
		{"a letter as delimiter", "copy customers to stdout (format csv, delimiter 'q', quote 'm')"},
		{"an empty NULL", "copy customers to stdout (null '')"},
		{"a NULL that guesses", "copy customers (id, password) to stdout (null 'secret-password-1')"},
		{"a NULL that guesses, in csv", "copy customers (id, password) to stdout (format csv, null 'secret-password-1')"},
		{"a NULL like the mask", "copy customers (id, password) to stdout (null '[masked]')"},
		{"FORCE_QUOTE", "copy customers to stdout (format csv, force_quote *)"},
		{"FORCE_QUOTE of a column", "copy customers (id, password) to stdout (format csv, force_quote (password), quote '''', escape '~')"},
		{"a quote that is the mask's", "copy customers (password, id) to stdout (format csv, quote '[', escape ']')"},
		{"HEADER", "copy customers (api_key) to stdout (header true)"},
		{"a child", "copy staff_eu to stdout"},
		{"a materialized view", "copy customer_copy to stdout"},
		{"a query", "copy (select password from customers where id = 1) to stdout"},
		{"a table in a query", "copy (table customers) to stdout (format csv)"},
		{"a guess in a query", "copy (select id from customers where password like 's%') to stdout"},
		{"a RETURNING in a query", "copy (update customers set name = name where id = 1 returning password) to stdout"},
		{"a view in a query", "copy (select * from customer_view) to stdout"},
		{"a function in a query", "copy (select customer_password(1)) to stdout"},
	} {
		e := way("copy: "+x[0], x[1]+"")
		if x[0] == "a NULL like the mask" {
			e.uncontrolled = ""
		}
		out = append(out, e)
	}
	return append(
		out,
		nowhere("copy: the encoding", "another encoding still shows ASCII", "copy customers to stdout (encoding 'UTF16')"),
		nowhere("copy: a view", "COPY of a view is an error", "copy customer_view to stdout"),
		nowhere("copy: a file", "what it writes is on the server", "copy customers to '/tmp/sluice-evasion'", "select pg_read_file('/tmp/sluice-evasion')"),
		nowhere("copy: a program", "it is on the server", "copy customers (password) to program 'cat >/dev/null'"),
		nowhere("copy: from a program", "its table is the agent's own", "copy work (note) from program 'echo x'"),
		nowhere("copy: two in one string", "psql's own", "copy work to stdout; copy customers to stdout").alone().controlled(),
	)
}

func (e evasion) controlled() evasion {
	e.uncontrolled = ""
	return e
}

// writeWays move values into what is not masked, or learn from writing.
func writeWays() []evasion {
	return []evasion{
		{claim: "write: INSERT … SELECT, then read", steps: []string{"insert into work select 7001, password from customers where id = 1", "select note from work where id = 7001"}},
		{claim: "write: INSERT … TABLE, then read", steps: []string{"insert into leads (id, name, email, phone, password, api_key, note) select id + 5000, password, email, phone, name, 'k', note from customers where id = 1", "select name from leads where id = 5001"}},
		{claim: "write: INSERT … VALUES of a subquery, then read", steps: []string{"insert into work values (7002, (select password from customers where id = 1))", "select note from work where id = 7002"}},
		{claim: "write: UPDATE SET, then read", steps: []string{"update work set note = password from customers where work.id = 900 and customers.id = 1", "select note from work where id = 900"}},
		{claim: "write: UPDATE of the same row, then read", steps: []string{"update customers set name = password where id = 2", "select name from customers where id = 2"}},
		{claim: "write: UPDATE SET of a row, then read", steps: []string{"update customers set (name, phone) = (password, api_key) where id = 3", "select name, phone from customers where id = 3"}},
		{claim: "write: UPDATE SET of a subquery, then read", steps: []string{"update customers set (name, phone) = (select password, api_key from customers where id = 4) where id = 4", "select name, phone from customers where id = 4"}},
		{claim: "write: UPDATE SET of a row behind columns of nothing, then read", steps: []string{"update work set (note) = row(z.*, c.password) from customers c, (select) z where work.id = 904 and c.id = 1", "select note from work where id = 904"}},
		{claim: "write: UPDATE SET of a row with a subquery behind columns of nothing, then read", steps: []string{"update work set (note) = row(z.*, (select password from customers where id = 1)) from (select) z where work.id = 904", "select note from work where id = 904"}},
		{claim: "write: UPDATE SET of a whole row behind columns of nothing, then read", steps: []string{"update work set (note) = row(z.*, z.*, c) from customers c, (select) z where work.id = 904 and c.id = 1", "select note from work where id = 904"}},
		{claim: "write: MERGE of a row behind columns of nothing, then read", steps: []string{"merge into work w using (select) z on w.id = 904 when matched then update set (note) = row(z.*, (select password from customers where id = 1))", "select note from work where id = 904"}},
		{claim: "write: ON CONFLICT of a row behind columns of nothing, then read", steps: []string{"insert into customers (id, name, email, password, api_key) values (5, 'x', 'y', 'z', 'k') on conflict (id) do update set (name) = row((null::nothing).*, customers.password)", "select name from customers where id = 5"}},
		{claim: "write: MERGE, then read", steps: []string{"merge into work w using customers c on c.id = 1 and w.id = 901 when matched then update set note = c.password", "select note from work where id = 901"}},
		{claim: "write: MERGE INSERT, then read", steps: []string{"merge into work w using customers c on w.id = c.id + 8000 when not matched and c.id = 1 then insert values (c.id + 8000, c.password)", "select note from work where id = 8001"}},
		{claim: "write: MERGE that guesses", steps: []string{"merge into work w using customers c on c.id = w.id when matched and c.id = 1 and c.password like 's%' then update set note = 'yes'", "select note from work where id = 1"}},
		{claim: "write: ON CONFLICT, then read", steps: []string{"insert into customers (id, name, email, password, api_key) values (5, 'x', 'y', 'z', 'k') on conflict (id) do update set name = customers.password", "select name from customers where id = 5"}},
		{claim: "write: ON CONFLICT WHERE that guesses", steps: []string{"insert into customers (id, name, email, password, api_key) values (6, 'x', 'y', 'z', 'k') on conflict (id) do update set phone = 'x' where customers.password like 's%' returning id"}},
		way("write: UPDATE … RETURNING", "update customers set name = name where id = 1 returning password, api_key"),
		way("write: RETURNING old", "update customers set name = name where id = 1 returning old.password, new.api_key"),
		way("write: RETURNING a computed value", "update customers set name = name where id = 1 returning old.password || ''"),
		way("write: RETURNING a row", "update customers set name = name where id = 1 returning old"),
		way("write: RETURNING to_json", "update customers set name = name where id = 1 returning to_json(new)"),
		way("write: RETURNING star", "update customers set name = name where id = 1 returning *"),
		way("write: UPDATE … FROM … RETURNING", "update work set note = 'x' from customers c where c.id = work.id and work.id = 907 returning c.password"),
		way("write: DELETE … RETURNING", "delete from payments where id = (select max(id) from payments) returning card_number"),
		way("write: DELETE … USING that guesses", "delete from work using customers c where c.id = work.id and c.id = 902 and c.password like 's%' returning work.id"),
		way("write: UPDATE … WHERE that guesses", "update work set note = note where id = 903 and exists (select 1 from customers where id = 1 and password like 's%')"),
		way("write: UPDATE of the masked column that guesses by its old value", "update customers set password = password || '' where id = 1 and password = 'secret-password-1'"),
		{claim: "write: RETURNING WITH, of PostgreSQL 18", steps: []string{"update customers set name = name where id = 1 returning with (old as o) o.password"}},
		{claim: "write: through a view that can be updated", steps: []string{"update customer_edit set name = secret where id = 7", "select name from customers where id = 7"}},
		{claim: "write: through a view, RETURNING", steps: []string{"update customer_edit set name = name where id = 7 returning secret"}},
		{claim: "write: CREATE TABLE AS, then read", steps: []string{"create table stolen2 as select id, password as p from customers", "select p from stolen2 where id = 1"}},
		{claim: "write: CREATE MATERIALIZED VIEW, then read", steps: []string{"create materialized view stolen3 as select password as p from customers where id = 1", "select p from stolen3"}},
		{claim: "write: a sequence set to a letter's code", steps: []string{"create sequence seq1", "select setval('seq1', (select ascii(password) from customers where id = 1))", "select last_value from seq1"}},
		{claim: "write: nextval as often as a letter's code", steps: []string{"create sequence seq2", "select nextval('seq2') from generate_series(1, (select ascii(password) from customers where id = 1))", "select currval('seq2')"}},
		{claim: "write: a setting, then read", steps: []string{"select set_config('my.x', (select password from customers where id = 1), false)", "show my.x"}},
		{claim: "write: the application's name", steps: []string{"select set_config('application_name', (select password from customers where id = 1), false)", "show application_name"}},
		{claim: "write: a large object", steps: []string{"select lo_from_bytea(4711, (select password::bytea from customers where id = 1))", "select lo_get(4711)"}},
		{claim: "write: NOTIFY", commits: true, steps: []string{"listen c", "select pg_notify('c', password) from customers where id = 1", "select 1"}},
		{claim: "write: an advisory lock", steps: []string{"select pg_advisory_lock(ascii(password)) from customers where id = 1", "select objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"}},
	}
}

// viewWays go through views.
func viewWays() []evasion {
	return []evasion{
		way("view: its column", "select password from customer_view where id is not null limit 1"),
		way("view: its column, all rows", "select * from customer_view"),
		way("view: renamed", "select secret from customer_edit"),
		way("view: over a view", "select name from customer_names"),
		way("view: a security barrier", "select k from customer_safe"),
		way("view: of a parent", "select api_key from staff_view"),
		way("view: a materialized one", "select p from customer_copy order by p"),
		way("view: a materialized one, unordered", "select id, p from customer_copy"),
		way("view: a guess", "select count(*) from customer_view where password like 's%'"),
		way("view: a guess by a join", "select count(*) from customer_names n join (values ('secret-password-1')) g (name) using (name)"),
		way("view: an expression", "select secret || '' from customer_edit"),
		way("view: a row", "select v from customer_names v where id = 1"),
		{claim: "view: a new one", steps: []string{"create view mine1 as select password as p from customers", "select p from mine1 limit 1"}},
		{claim: "view: a new one over a view", steps: []string{"create view mine2 as select name as p from customer_names", "select p from mine2 limit 1"}},
		{claim: "view: a new one of a star", steps: []string{"create view mine3 as select * from customers", "select password from mine3 limit 1"}},
		{claim: "view: a new one that guesses", steps: []string{"create view mine4 as select id from customers where password like 's%'", "select count(*) from mine4"}},
		{claim: "view: CREATE RECURSIVE VIEW", steps: []string{"create recursive view mine5 (p) as select password from customers where id = 1", "select p from mine5"}},
		evasion{claim: "view: replaced in one string", steps: []string{"create view mine6 as select id, name as p from customers; create or replace view mine6 as select id, password as p from customers; select p from mine6 where id = 1"}}.alone(),
		{claim: "view: defined and used in one transaction", steps: []string{"begin", "create table mine7 (id int, password text)", "alter table customers inherit mine7", "select password from mine7 limit 1", "rollback"}},
	}
}

// functionWays call what others have defined.
func functionWays() []evasion {
	var out []evasion
	const f = "customer_password(1)"
	for _, x := range [][2]string{
		{"its result", f},
		{"by its schema", "public." + f},
		{"cast", f + "::varchar"},
		{"concatenated", f + " || ''"},
		{"lower", "lower(" + f + ")"},
		{"a guess", f + " like 's%'"},

		{"a subquery", "(select " + f + ")"},
		{"an array", "array[" + f + "]"},
		{"a row", "row(" + f + ")"},
		{"json", "to_json(" + f + ")"},
		{"a length", "length(" + f + ") + ascii(" + f + ")"},
		{"an aggregate", "string_agg(" + f + ", '')"},
		{"a filter", "count(*) filter (where " + f + " like 's%')"},
		{"jsonb_path", "jsonb_path_query_array(to_jsonb(" + f + "), '$')"},
	} {
		out = append(out, way("function: "+x[0], "select "+x[1]))
	}
	return append(
		out,
		way("function: in FROM", "select * from customer_password(1)"),
		way("function: in FROM with its name", "select p from customer_password(1) as p"),
		way("function: in WHERE", "select id from work where id = 1 and customer_password(1) like 's%'"),
		way("function: in ORDER BY", "select id from work where id < 4 order by customer_password(id)"),
		way("function: ordered by its output's number", "select id, customer_password(id) from work where id < 4 order by 2"),
		way("function: DISTINCT", "select distinct left(customer_password(id), 1) from work where id < 4"),
		way("function: GROUP BY", "select count(*), min(id) from work where id < 40 group by ascii(right(customer_password(id), 1)) < 51 order by 2"),
		way("function: LIMIT", "select id from work order by id limit ascii(customer_password(1))"),
		way("function: VALUES", "values (customer_password(1))"),
		way("function: UNION", "select customer_password(1) union all select 'x'"),
		way("function: a CTE", "with s as (select customer_password(1) as p) select p from s"),
		way("function: as a column of a row", "select c.customer_password from (select 1) c (id)").unmeant(),
		evasion{claim: "function: NOTIFY", commits: true, steps: []string{"listen c", "select pg_notify('c', customer_password(1))", "select 1"}},
		evasion{claim: "function: NOTIFY on a channel of its name", commits: true, steps: []string{`listen "secret-password-1"`, "select pg_notify(customer_password(1), '')", "select 1"}},
		evasion{claim: "function: INSERT, then read", steps: []string{"insert into work values (7003, customer_password(1))", "select note from work where id = 7003"}},
		evasion{claim: "function: INSERT … SELECT, then read", steps: []string{"insert into work select 7004, customer_password(1)", "select note from work where id = 7004"}},
		evasion{claim: "function: UPDATE, then read", steps: []string{"update work set note = customer_password(1) where id = 904", "select note from work where id = 904"}},
		way("function: RETURNING", "update work set note = note where id = 905 returning customer_password(1)"),
		evasion{claim: "function: a default, then read", steps: []string{"create table mine8 (id int, p text default customer_password(1))", "insert into mine8 (id) values (1)", "select p from mine8"}},
		evasion{claim: "function: a new column's default, then read", steps: []string{"alter table work add column p text default customer_password(1)", "select p from work limit 1"}},
		evasion{claim: "function: an index, by order", steps: []string{"create index on work (fixed_password(id))", "select id from work where id < 4"}}.unmeant(),
		way("function: EXPLAIN shows constants", "explain (verbose, costs off) select fixed_password(1)"),
		way("function: EXPLAIN ANALYZE shows constants", "explain (analyze, verbose, costs off, timing off, summary off, buffers off) select fixed_password(1)"),
		way("function: EXPLAIN of a condition", "explain (costs off) select id from work where note = fixed_password(1)"),
		way("function: EXPLAIN of a false condition", "explain (costs off) select id from work where fixed_password(1) like 's%'"),
		evasion{claim: "function: dblink", steps: []string{"select * from dblink('host=/tmp dbname=orders', 'select password from customers where id = 1') as t (p text)"}, uncontrolled: "the extension is not part of the tools"},
		evasion{claim: "function: a cursor, then FETCH", steps: []string{"begin", "select open_passwords('c')", "fetch all from c", "commit"}},
		evasion{claim: "function: a cursor, then MOVE", steps: []string{"begin", "select open_passwords('c')", "move forward all from c", "commit"}, uncontrolled: "MOVE shows nothing"},
		evasion{claim: "function: a function that notifies", commits: true, steps: []string{"listen d", "select notify_password('d')", "select 1"}},
		way("function: cursor_to_xml", "begin; select open_passwords('c'); select cursor_to_xml('c', 10, true, true, ''); commit").alone(),
		way("function: ts_stat", "select ts_stat('select to_tsvector(''simple'', password) from customers where id = 1')"),
		way("function: query_to_xml guesses", "select query_to_xml('select 1 where (select password from customers where id = 1) like ''s%''', true, true, '')"),
	)
}

// unmeant marks what a bare database does not answer as the claim would have it.
func (e evasion) unmeant() evasion {
	e.uncontrolled = "a bare database refuses it too, or shows nothing"
	return e
}

// errorWays are errors and notices that carry values.
func errorWays() []evasion {
	var out []evasion
	for _, x := range [][2]string{
		{"a cast to int", "select password::int from customers where id = 1"},
		{"a cast to date", "select cast(password as date) from customers where id = 1"},
		{"a cast to regclass", "select password::regclass from customers where id = 1"},
		{"a cast to json", "select password::json from customers where id = 1"},
		{"a cast to an enum's kin", "select password::inet from customers where id = 1"},
		{"a division", "select 1 / (ascii(password) - 115) from customers where id = 1"},
		{"to_number", "select 1 / (to_number(left(card_number, 1), '9') - 4) from payments where id = 1"},
		{"a regular expression", "select 'x' ~ repeat('(', ascii(password) - 110) from customers where id = 1"},
		{"xml", "select ('<' || password)::xml from customers where id = 1"},
		{"a duplicate key", "insert into work select ascii(password), '' from customers where id = 1"},
		{"a failing row", "insert into work (id, note) select null, password from customers where id = 1"},
		{"a failing row of the same table", "update customers set name = null where id = 1"},
		{"a duplicate key of the same table", "update customers set id = 2 where id = 1"},
		{"a check by a view", "update customers set note = 'x' where id = 1"},
		{"a numeric overflow", "select repeat(password, 1000000000) from customers where id = 1"},
		{"a time zone", "select now() at time zone password from customers where id = 1"},
		{"a setting", "select set_config(password, 'x', false) from customers where id = 1"},
		{"a type's name", "select to_regtype(password), format_type(password::regtype, 0) from customers where id = 1"},
		{"jsonb_path", "select jsonb_path_query(to_jsonb(password), '$.double()') from customers where id = 1"},
		{"a foreign key", "update customers set id = 100001 where id = 1"},
	} {
		out = append(out, way("error: "+x[0], x[1]))
	}
	for i := range out {
		switch strings.TrimPrefix(out[i].claim, "error: ") {
		case "a duplicate key of the same table", "a check by a view", "a numeric overflow", "a foreign key":
			out[i].uncontrolled = "its text has no hidden value"
		}
	}
	for _, code := range []string{"42501", "42P01", "57014", "57P01", "40001", "25000", "53100", "08000", "P0001", "22012", "00000", "01000", "02000"} {
		out = append(out, way("error: raised with "+code, "select raises('"+code+"')"), way("notice: raised with "+code, "select notices('"+code+"')"))
	}
	return append(
		out,
		way("error: names of objects", "select names_password()"),
		way("error: raised in a subquery", "select (select raises('42501'))"),
		way("error: raised in WHERE", "select 1 where raises('42501') = 1"),
		way("error: raised in FROM", "select * from raises('42501')"),
		evasion{claim: "error: raised in a transaction, then COMMIT", steps: []string{"begin", "select raises('42501')", "commit"}},
		evasion{claim: "error: raised by a deferred trigger at COMMIT", steps: []string{"begin", "select touch_deferred()", "commit"}},
		evasion{claim: "error: raised by a deferred trigger at once", commits: true, steps: []string{"select touch_deferred()"}},
		evasion{claim: "error: raised by a deferred trigger of its own table", commits: true, steps: []string{"insert into deferred values (1)"}},
		way("error: a domain's check", "select 'x'::talking"),
		way("error: a domain's check in an argument", "select takes('(1,x)')"),
		way("error: a domain's check by row", "select row(1, 'x')::talking_pair"),
		way("error: pg_input_error_info", "select * from pg_input_error_info('x', 'talking')"),
		way("operator: of the user's own", "select 's%'::text === '(1,)'::pair"),
		way("operator: of the user's own, by its schema", "select 's%'::text operator(public.===) row(1, '')::pair"),
	)
}
