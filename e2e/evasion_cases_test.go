package e2e

import (
	"strings"
)

// evasionSQL is what others left in the database that an agent might use.
const evasionSQL = `
CREATE TABLE audit (id int);
CREATE TABLE nothing ();
CREATE TYPE pair AS (a int, b text);
CREATE FUNCTION fixed_password(int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT password FROM public.customers WHERE id = $1';
CREATE FUNCTION open_passwords(refcursor) RETURNS refcursor LANGUAGE plpgsql AS $$
BEGIN OPEN $1 FOR SELECT password FROM public.customers ORDER BY id; RETURN $1; END $$;
CREATE FUNCTION open_someones() RETURNS refcursor LANGUAGE plpgsql AS $$
DECLARE c refcursor; BEGIN OPEN c FOR SELECT password FROM public.customers ORDER BY id; RETURN c; END $$;
CREATE FUNCTION close_it(refcursor) RETURNS int LANGUAGE plpgsql AS $$ BEGIN CLOSE $1; RETURN 1; END $$;
CREATE FUNCTION notify_password(text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify($1, (SELECT password FROM public.customers WHERE id = 1)); RETURN 1; END $$;
CREATE FUNCTION names_password() RETURNS int LANGUAGE plpgsql AS $$
DECLARE s text; BEGIN SELECT password INTO s FROM public.customers WHERE id = 1;
RAISE EXCEPTION 'no' USING COLUMN = s, TABLE = s, SCHEMA = s, CONSTRAINT = s, DATATYPE = s, ERRCODE = '23505'; END $$;
CREATE FUNCTION notices(text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE s text; BEGIN SELECT password INTO s FROM public.customers WHERE id = 1;
RAISE NOTICE 'it is %', s USING ERRCODE = $1, DETAIL = s, HINT = s; RAISE WARNING 'it is %', s; RAISE INFO 'it is %', s; RETURN 1; END $$;
CREATE FUNCTION says_later() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE s text; BEGIN SELECT password INTO s FROM public.customers WHERE id = 1;
RAISE EXCEPTION 'it is %', s USING ERRCODE = '42501'; END $$;
CREATE TABLE deferred (id int);
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION says_later();
CREATE FUNCTION touch_deferred() RETURNS int LANGUAGE sql AS 'INSERT INTO public.deferred VALUES (1) RETURNING 1';
CREATE FUNCTION says_now(text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE s text; BEGIN SELECT password INTO s FROM public.customers WHERE id = 1;
RAISE EXCEPTION 'it is %', s USING ERRCODE = '42501'; END $$;
CREATE DOMAIN talking AS text CHECK (says_now(value));
CREATE TYPE talking_pair AS (a int, b talking);
CREATE FUNCTION takes(talking_pair) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION is_password(text, pair) RETURNS boolean LANGUAGE sql AS 'SELECT EXISTS (SELECT 1 FROM public.customers WHERE id = $2.a AND password LIKE $1)';
CREATE OPERATOR === (leftarg = text, rightarg = pair, function = is_password);
CREATE VIEW customer_edit AS SELECT id, name, password AS secret FROM customers;
CREATE VIEW customer_names AS SELECT id, secret AS name FROM customer_edit;
CREATE VIEW customer_safe WITH (security_barrier) AS SELECT id, api_key AS k FROM customers WHERE id < 10;
CREATE MATERIALIZED VIEW customer_copy AS SELECT id, password AS p FROM customers;
CREATE TABLE leads (LIKE customers);
CREATE TABLE parted (id int, name text) PARTITION BY RANGE (id);
GRANT ALL ON ALL TABLES IN SCHEMA public TO orders_app;
ALTER TABLE customers OWNER TO orders_app; ALTER TABLE payments OWNER TO orders_app; ALTER TABLE staff OWNER TO orders_app;
ALTER TABLE staff_eu OWNER TO orders_app; ALTER TABLE work OWNER TO orders_app; ALTER TABLE parted OWNER TO orders_app;
ALTER TABLE leads OWNER TO orders_app;
GRANT pg_read_server_files, pg_write_server_files, pg_execute_server_program, pg_read_all_stats TO orders_app;
ANALYZE;
`

// way makes an evasion of one statement.
func way(claim, sql string) evasion { return evasion{claim: claim, steps: []string{sql}} }

// nowhere is a way that leads nowhere on a bare database either.
func nowhere(claim, why string, steps ...string) evasion {
	return evasion{claim: claim, steps: steps, uncontrolled: why}
}

func evasions() []evasion {
	var all []evasion
	for _, list := range [][]evasion{
		plainWays(), expressionWays(), rowWays(), predicateWays(), flowWays(), copyWays(), writeWays(), viewWays(),
		functionWays(), nestedWays(), errorWays(), catalogWays(), sessionWays(), textWays(), ddlWays(), protocolWays(),
	} {
		all = append(all, list...)
	}
	return all
}

func plainWays() []evasion {
	return []evasion{
		way("the column itself", "select password, api_key, email from customers where id = 1"),
		way("under another name", "select password as name, api_key as id from customers where id = 1"),
		way("through an alias of the table", "select c.password from customers as c where c.id = 1"),
		way("with schema and quotes", `select "public"."customers"."password" from "public"."customers" where id = 1`),
		way("with a unicode identifier", `select U&"\0070assword", U&"!0061pi_key" UESCAPE '!' from U&"c\0075stomers" where id = 1`),
		way("the whole table by star", "select * from customers where id = 1"),
		way("the star of one of two", "select c.*, p.* from customers c, payments p where c.id = 1 and p.id = 1"),
		way("TABLE", "table customers"),
		way("twice in one row", "select password, id, password from customers where id = 1"),
		way("in many rows with ORDER BY and LIMIT", "select id, password from customers order by id limit 20 offset 3"),
		way("FETCH FIRST WITH TIES", "select password from customers order by id fetch first 2 rows with ties"),
		way("FOR UPDATE", "select card_number from payments where id = 1 for update"),
		way("ONLY", "select api_key from only staff union all select api_key from staff"),
		way("a child of a masked table", "select * from staff_eu"),
		way("a parent that shows its child", "select api_key from staff"),
		way("TABLESAMPLE", "select id, password from customers tablesample system (100) order by id limit 2"),
		way("joined", "select c.password, o.total from customers c join orders o on o.customer_id = c.id where o.id = 3"),
		way("joined by LEFT JOIN", "select c.email from orders o left join customers c on c.id = o.customer_id where o.id = 3"),
		{claim: "several statements in one string", simple: true, steps: []string{"select 1; select password from customers where id = 1; select api_key from customers where id = 2"}},
		{claim: "a masked statement behind one that is not", simple: true, steps: []string{"select name from customers where id = 1; select password as name from customers where id = 1"}},
		{claim: "within a transaction", steps: []string{"begin", "select password from customers where id = 1", "savepoint a", "select api_key from customers where id = 1", "rollback to a", "select email from customers where id = 1", "commit"}},
	}
}

func expressionWays() []evasion {
	var out []evasion
	for _, x := range [][2]string{
		{"concatenation", "password || ''"},
		{"lower", "lower(password)"},
		{"upper", "upper(api_key)"},
		{"a cast to text", "password::text"},
		{"a cast to varchar(6)", "password::varchar(6)"},
		{"a cast to bytea", "password::bytea"},
		{"hexadecimal", "encode(password::bytea, 'hex')"},
		{"base64", "encode(convert_to(password, 'UTF8'), 'base64')"},
		{"md5", "md5(password)"},
		{"sha256", "sha256(password::bytea)"},
		{"reverse", "reverse(password)"},
		{"substring", "substring(password from 1 for 3)"},
		{"left", "left(card_number, 4)"},
		{"one letter's code", "ascii(password)"},
		{"its length", "length(regexp_replace(password, '[a-m]', '', 'g'))"},
		{"its size", "pg_column_size(password) + ascii(password)"},
		{"COALESCE", "coalesce(password, '')"},
		{"NULLIF", "nullif(password, 'secret-password-1')"},
		{"GREATEST", "greatest(password, '')"},
		{"CASE", "case when id = 1 then password end"},
		{"a guess by CASE", "case when password like 's%' then 1 else 0 end"},
		{"a guess by a boolean", "password = 'secret-password-1'"},
		{"a guess by regular expression", "password ~ '^secret'"},
		{"a guess by position", "position('secret' in password)"},
		{"COLLATE", `password collate "C"`},
		{"an array", "array[password]"},
		{"an element of an array", "(array[password])[1]"},
		{"a row", "row(password, 1)"},
		{"json_build_object", "json_build_object('a', password)"},
		{"JSON_OBJECT", "json_object('a': password)"},
		{"JSON_ARRAY", "json_array(password)"},
		{"JSON_SCALAR", "json_scalar(password)"},
		{"to_json", "to_json(password)"},
		{"xmlelement", "xmlelement(name a, password)"},
		{"xmlforest", "xmlforest(password)"},
		{"format", "format('%s', password)"},
		{"quote_literal", "quote_literal(password)"},
		{"repeat", "repeat(password, 2)"},
		{"translate", "translate(password, 's', 'z')"},
		{"string_to_array", "string_to_array(password, '-')"},
		{"regexp_replace", "regexp_replace(password, '-', '+')"},
		{"to_tsvector", "to_tsvector('simple', password)"},
		{"ts_headline", "ts_headline('simple', password, 'secret')"},
		{"a hash", "hashtext(password)"},
		{"unistr", "unistr(password)"},
		{"overlay", "overlay(password placing '' from 1 for 0)"},
		{"concat_ws", "concat_ws(',', id, password)"},
		{"a scalar subquery", "(select password)"},
	} {
		table := "customers"
		if strings.Contains(x[1], "card_number") {
			table = "payments"
		}
		out = append(out, way("expression: "+x[0], "select "+x[1]+" from "+table+" where id = 1"))
	}
	return append(
		out,
		way("a field of a row", "select (row(password, 1)).f1 from customers where id = 1"),
		way("an aggregate", "select max(password), min(api_key) from customers"),
		way("string_agg", "select string_agg(password, ',' order by id) from customers where id < 3"),
		way("array_agg", "select array_agg(password order by id) from customers where id < 3"),
		way("json_agg of a column", "select json_agg(password order by id) from customers where id < 3"),
		way("JSON_ARRAYAGG", "select json_arrayagg(password order by id) from customers where id < 3"),
		way("json_object_agg", "select json_object_agg(id, password) from customers where id < 3"),
		way("mode", "select mode() within group (order by password) from customers where id < 3"),
		way("percentile_disc", "select percentile_disc(0.5) within group (order by left(card_number, 4)::int) from payments where id < 3"),
		way("lag over a window", "select lag(password) over (order by id) from customers order by id limit 3"),
		way("first_value over a window", "select first_value(password) over (order by id) from customers limit 1"),
	)
}

func rowWays() []evasion {
	var out []evasion
	for _, x := range [][2]string{
		{"the row", "c"},
		{"the row as text", "c::text"},
		{"row_to_json", "row_to_json(c)"},
		{"to_jsonb", "to_jsonb(c)"},
		{"row_to_json of a star", "row_to_json(c.*)"},
		{"jsonb_agg", "jsonb_agg(c)"},
		{"array_agg of rows", "array_agg(c)"},
		{"a field of the row", "(c).password"},
		{"all fields of the row", "(c).*"},
		{"a field of a row of a star", "(c.*).password"},
		{"function notation", "password(c)"},
		{"attribute notation", "c.to_json"},
		{"a row in a row", "row(c, 1)"},
		{"ROW of a star", "row(c.*)"},
		{"concat of a row", "concat(c)"},
		{"format of a row", "format('%s', c)"},
		{"xmlforest of a row", "xmlforest(c as a)"},
		{"jsonb_each", "jsonb_each_text(to_jsonb(c))"},
		{"json_populate_record", "json_populate_record(null::customers, row_to_json(c))"},
		{"hash_record", "hash_record(c)"},
		{"the row's size", "pg_column_size(c) + ascii(c::text) + length(c::text) + hashtext(c::text)"},
		{"a comparison of rows", "c > row(1, 'Customer 1', 'd', '', '', '', '{}'::jsonb)::customers"},
	} {
		out = append(out, way("whole row: "+x[0], "select "+x[1]+" from customers c where id = 1"))
	}
	return append(
		out,
		way("whole row: by its table's name", "select customers from customers where id = 1"),
		way("whole row: in a subquery", "select (select c from customers c where id = 1)"),
		way("whole row: of a join", "select j from (customers c join (select 1 as n) o on n = c.id) j"),
		way("whole row: passed through a subquery", "select (x).password from (select c as x from customers c where id = 1) s"),
		way("whole row: in EXISTS and ROW IN", "select id from customers c where id < 4 and c in (select d from customers d where d.password like 's%')"),
		way("whole row: DISTINCT ON", "select distinct on (row(c.password, c)) id from customers c where id < 4"),
		way("whole row: ordered by", "select id from customers c where id < 4 order by row(c.password, c)"),
		way("whole row: query_to_xml", "select query_to_xml('select * from customers where id = 1', true, true, '')"),
		way("whole row: table_to_xml", "select table_to_xml('staff_eu'::regclass, true, true, '')"),
		way("whole row: schema_to_xml", "select schema_to_xml('public', true, true, '')"),
	)
}

func predicateWays() []evasion {
	var out []evasion
	for _, x := range [][2]string{
		{"equality", "password = 'secret-password-1'"},
		{"LIKE", "password like 's%'"},
		{"ILIKE", "password ilike 'S%'"},
		{"a range", "password > 'm'"},
		{"BETWEEN", "password between 'r' and 't'"},
		{"IN", "password in ('secret-password-1')"},
		{"SIMILAR TO", "password similar to 's%'"},
		{"a regular expression", "password ~ '^s'"},
		{"IS DISTINCT FROM", "password is distinct from 'secret-password-1'"},
		{"the prefix operator", "password ^@ 's'"},
		{"ANY", "'secret-password-1' = any (array[password])"},
		{"a row", "(id, password) = (1, 'secret-password-1')"},
		{"NOT and OR", "not (password <> 'secret-password-1' or false)"},
		{"a subquery", "(select password like 's%')"},
		{"EXISTS", "exists (select 1 where password like 's%')"},
		{"an operator by its schema", "password operator(pg_catalog.~~) 's%'"},
		{"a cast", "left(password, 1)::\"char\" = 's'"},
		{"a range of another type", "ascii(password) between 110 and 120"},
		{"full text", "to_tsvector('simple', password) @@ to_tsquery('simple', 'secret')"},
	} {
		out = append(out, way("guess in WHERE: "+x[0], "select id from customers where id = 1 and "+x[1]))
	}
	return append(
		out,
		way("guess in WHERE: counted", "select count(*) from customers where password like 's%'"),
		way("guess in WHERE: an e-mail", "select count(*) from customers where email = 'customer1@example.com'"),
		way("guess in WHERE: a card", "select count(*) from payments where card_number like '4%'"),
		way("guess in HAVING", "select id from customers where id = 1 group by id having max(password) like 's%'"),
		way("guess in FILTER", "select count(*) filter (where password like 's%') from customers where id = 1"),
		way("guess in JOIN … ON", "select o.id from orders o join customers c on c.id = o.customer_id and c.password like 's%' where o.id = 1"),
		way("guess in USING", "select g.id from (select 1 as id, 'secret-password-1' as password) g join customers using (password)"),
		way("guess in NATURAL JOIN", "select id from customers natural join (select 1 as id, 'secret-password-1' as password) g"),
		way("guess in a set operation", "select password from customers where id = 1 intersect select 'secret-password-1'"),
		way("guess in EXCEPT", "select 'secret-password-1' except select password from customers"),
		way("guess by generate_series", "select g from generate_series(1, 30) g join customers c on c.id = 1 and substr(c.password, g, 1) = 's'"),
		way("guess by LATERAL", "select l.x from customers c, lateral (select ascii(c.password) as x) l where c.id = 1"),
		way("guess by LIMIT", "select id from orders order by id limit (select ascii(password) from customers where id = 1)"),
		way("guess by OFFSET", "select id from orders order by id offset (select ascii(password) from customers where id = 1) limit 1"),
		way("order: ORDER BY", "select id from customers where id < 40 order by password, id"),
		way("order: ORDER BY an expression", "select id from customers where id < 40 order by right(password, 2), id"),
		way("order: ORDER BY a number", "select id, password from customers where id < 40 order by 2, 1"),
		way("order: ORDER BY an output's name", "select id, password as p from customers where id < 40 order by p, id"),
		way("order: ORDER BY under another column's name", "select id as password, password as id from customers where id < 40 order by id, 1"),
		way("order: ORDER BY … USING", "select id from customers where id < 40 order by password using >"),
		way("order: LIMIT and OFFSET over a masked order", "select id from customers order by password limit 1 offset 17"),
		way("order: a window", "select id, row_number() over (order by password, id) from customers where id < 40 order by id"),
		way("order: a named window", "select id, rank() over w from customers where id < 40 window w as (order by password) order by id"),
		way("order: ntile", "select id, ntile(2) over (order by password) from customers where id < 4 order by id"),
		way("groups: GROUP BY", "select count(*), min(id) from customers where id < 40 group by ascii(right(password, 1)) < 51 order by 2"),
		way("groups: GROUP BY a number", "select left(password, 1), count(*) from customers group by 1"),
		way("groups: GROUPING SETS", "select left(password, 1), count(*) from customers group by grouping sets ((left(password, 1)), ())"),
		way("groups: DISTINCT", "select distinct left(password, 1) from customers"),
		way("groups: DISTINCT ON", "select distinct on (right(password, 1)) id from customers order by right(password, 1), id"),
		way("groups: PARTITION BY", "select id, count(*) over (partition by ascii(right(password, 1)) < 51) from customers where id < 13 order by id"),
		way("guess in a subquery of the output", "select exists (select 1 from customers where id = 1 and password like 's%')"),
		way("guess in ALL", "select 'm' < all (select password from customers where id = 1)"),
		way("guess in VALUES", "values ((select ascii(password) from customers where id = 1))"),
	)
}
