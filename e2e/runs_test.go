package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// ownCode is a kind of catalog entry that runs a function which no statement names. In setup and steps LEAK stands for
// the function (of any value, giving boolean), LEAKTEXT for one that gives text, LEAK_TRIGGER and so on for those of
// another shape, and N for what tells the objects of one way of leaking from those of another.
type ownCode struct {
	kind, setup, step string
	// after cleans up what would be in the way of everything else.
	after string
	// quiet: making it runs it, so that an error would be in the way.
	quiet bool
	// harmless: it cannot leak by what people without a C compiler can write, so it is only seen to be refused.
	harmless bool
}

// leaks are the ways by which a function gives away a secret. The functions say that they are immutable, so that
// indexes take them, and are not.
const leaks = `
create table drop_box (secret text);
create function a_secret() returns text language sql as $$ select password from public.customers where id = 1 $$;
create function put_away() returns void language plpgsql volatile as $$ begin insert into public.drop_box values (public.a_secret()); end $$;
create function leak_error() returns void language plpgsql as $$ begin raise exception 'it is %', public.a_secret() using errcode = '42501'; end $$;
create function leak_notice() returns void language plpgsql as $$ begin raise notice 'it is %', public.a_secret(); end $$;
create function leak_effect() returns void language plpgsql as $$ begin perform public.put_away(); end $$;
do $do$ declare way text; begin
foreach way in array array['error', 'notice', 'effect'] loop
	execute format($f$
create function leak_%1$s(anyelement) returns boolean language plpgsql immutable as $$ begin perform public.leak_%1$s(); return true; end $$;
create function leaktext_%1$s(anyelement) returns text language plpgsql immutable as $$ begin perform public.leak_%1$s(); return public.a_secret(); end $$;
create function leaktrigger_%1$s() returns trigger language plpgsql as $$ begin perform public.leak_%1$s(); return new; end $$;
create function leakevent_%1$s() returns event_trigger language plpgsql as $$ begin perform public.leak_%1$s(); end $$;
create type kept_%1$s as (a int);
create function leakcompare_%1$s(kept_%1$s, kept_%1$s) returns int language plpgsql immutable as $$ begin perform public.leak_%1$s(); return ($1).a - ($2).a; end $$;
create function leakbelow_%1$s(kept_%1$s, kept_%1$s) returns boolean language plpgsql immutable as $$ begin perform public.leak_%1$s(); return ($1).a < ($2).a; end $$;
create function leakdistance_%1$s(int, int) returns float8 language plpgsql immutable as $$ begin perform public.leak_%1$s(); return $1 - $2; end $$;
create type word_%1$s as enum ('x', 'y');
create function leakjson_%1$s(word_%1$s) returns json language plpgsql immutable as $$ begin perform public.leak_%1$s(); return to_json(public.a_secret()); end $$;
create function leakint_%1$s(text) returns point language plpgsql as $$ begin perform public.leak_%1$s(); return point(1, 1); end $$;
create function leakorder_%1$s(int, int) returns int language plpgsql immutable as $$ begin perform public.leak_%1$s(); return $1 - $2; end $$;
$f$, way);
end loop; end $do$;
grant all on all tables in schema public to public;
`

var ownCodes = []ownCode{
	{kind: "default of a column", setup: "create table default_N (a int, b text default LEAKTEXT(1))", step: "insert into default_N values (1) returning b"},
	{kind: "default by COPY", setup: "create table copied_N (a int, b text default LEAKTEXT(1))", step: "insert into copied_N (a) select 1"},
	{kind: "stored column", setup: "create table stored_N (a int, b text generated always as (LEAKTEXT(a)) stored)", step: "insert into stored_N values (1) returning b"},
	{kind: "virtual column", setup: "create table virtual_N (a int); alter table virtual_N add column b boolean generated always as (a = 1) virtual; create view over_virtual_N as select LEAKTEXT(a) as b from virtual_N; insert into virtual_N values (1)", step: "select b from over_virtual_N"},
	{kind: "check of a table", setup: "create table checked_N (a int check (LEAK(a)))", step: "insert into checked_N values (1)"},
	{kind: "check that the planner works out", setup: "create table planned_N (a int check (LEAK(1) or a > 0)); set constraint_exclusion = on", step: "set constraint_exclusion = on; select a from planned_N where a = 1"},
	{kind: "check of a domain", setup: "create domain talking_N as text check (LEAK(value))", step: "select 'x'::talking_N"},
	{kind: "check of a domain, of a column", setup: "create domain column_N as text check (LEAK(value)); create table columns_N (a column_N)", step: "insert into columns_N values ('x')"},
	{kind: "check of a domain over a domain", setup: "create domain inner_N as text check (LEAK(value)); create domain outer_N as inner_N", step: "select 'x'::outer_N"},
	{kind: "check of a domain in an array", setup: "create domain element_N as text check (LEAK(value)); create table arrays_N (a element_N[])", step: "insert into arrays_N values ('{x}')"},
	{kind: "check of a domain that an array makes of a constant", setup: "create domain made_N as text; create table makes_N (a made_N); insert into makes_N values ('y'); alter domain made_N add check (LEAK(value)) not valid", step: "select array_append(array_agg(a), 'x') from makes_N"},
	{kind: "check of a domain in a composite", setup: "create domain attribute_N as text check (LEAK(value)); create type composite_N as (a attribute_N)", step: "select '(x)'::composite_N"},
	{kind: "check of a domain in a row of a table", setup: "create domain row_N as text check (LEAK(value)); create table rows_N (a row_N)", step: "select json_populate_record(null::rows_N, '{\"a\": \"x\"}')"},
	{kind: "check of a domain in a range", setup: "create domain bound_N as int check (LEAK(value)); create type ranged_N as range (subtype = bound_N)", step: "select '[1,2)'::ranged_N"},
	{kind: "default of a domain", setup: "create domain given_N as text default LEAKTEXT(1); create table gives_N (a int, b given_N)", step: "insert into gives_N values (1) returning b"},
	{kind: "distance of a range", setup: "create type far_N as range (subtype = int, subtype_diff = leakdistance_N); create table fars_N (a far_N); create index on fars_N using gist (a)", step: "insert into fars_N select far_N(i, i + 1) from generate_series(1, 600) i"},
	{kind: "cast by assignment", setup: "create cast (word_N as json) with function leakjson_N(word_N) as assignment; create table assigned_N (j json)", step: "insert into assigned_N select 'x'::word_N"},
	{kind: "cast to json of a column", setup: "create table kept_in_N (a word_N); insert into kept_in_N values ('x')", step: "select row_to_json(k) from kept_in_N k"},
	{kind: "operator class of an index", setup: "create operator class order_N for type int using btree as function 1 leakorder_N(int, int), operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >; create table ordered_N (a int); create index on ordered_N (a order_N); insert into ordered_N values (3)", step: "insert into ordered_N values (1), (2)"},
	{kind: "operator class of a type", setup: "create operator <# (leftarg = kept_N, rightarg = kept_N, function = leakbelow_N); create operator <=# (leftarg = kept_N, rightarg = kept_N, function = leakbelow_N); create operator =# (leftarg = kept_N, rightarg = kept_N, function = leakbelow_N); create operator >=# (leftarg = kept_N, rightarg = kept_N, function = leakbelow_N); create operator ># (leftarg = kept_N, rightarg = kept_N, function = leakbelow_N); create operator class compare_N default for type kept_N using btree as operator 1 <#, operator 2 <=#, operator 3 =#, operator 4 >=#, operator 5 >#, function 1 leakcompare_N(kept_N, kept_N); create table sorted_N (a kept_N); insert into sorted_N values (row(1)), (row(2))", step: "select 1 from sorted_N order by a"},
	{kind: "index expression", setup: "create table indexed_N (a int); create index on indexed_N ((LEAK(a)))", step: "insert into indexed_N values (1)"},
	{kind: "index predicate", setup: "create table partial_N (a int); create index on partial_N (a) where LEAK(a)", step: "insert into partial_N values (1)"},
	{kind: "index predicate that the planner works out", setup: "create table predicate_N (a int); create index on predicate_N (a) where LEAK(1)", step: "select a from predicate_N where a = 1", quiet: true},
	{kind: "statistics", setup: "create table counted_N (a int); insert into counted_N select generate_series(1, 10); create statistics st_N on (LEAK(a)), a from counted_N", step: "analyze counted_N"},
	{kind: "partition key", setup: "create table keyed_N (a int) partition by list ((LEAK(a))); create table keyed_1_N partition of keyed_N for values in (true)", step: "insert into keyed_N values (1)"},
	{kind: "partition key of a partition", setup: "create table parted_N (a int) partition by list ((LEAK(a))); create table parted_1_N partition of parted_N for values in (true)", step: "insert into parted_1_N values (1)"},
	{kind: "rule", setup: "create table ruled_N (a int); create rule r as on insert to ruled_N do also select LEAKTEXT(1)", step: "insert into ruled_N values (1)"},
	{kind: "trigger", setup: "create table triggered_N (a int); create trigger t before insert on triggered_N for each row execute function leaktrigger_N()", step: "insert into triggered_N values (1)"},
	{kind: "trigger of a view", setup: "create view instead_N as select 1 as a; create trigger t instead of insert on instead_N for each row execute function leaktrigger_N()", step: "insert into instead_N values (1)"},
	{kind: "trigger of TRUNCATE", setup: "create table emptied_N (a int); create trigger t after truncate on emptied_N for each statement execute function leaktrigger_N()", step: "truncate emptied_N"},
	{kind: "trigger over a foreign key", setup: "create table one_N (a int primary key); create table many_N (a int references one_N on delete cascade); create trigger t after delete on many_N for each row execute function leaktrigger_N(); insert into one_N values (1); insert into many_N values (1)", step: "delete from one_N"},
	{kind: "trigger of a row that moves", setup: "create table moved_N (a int) partition by list (a); create table moved_1_N partition of moved_N for values in (1); create table moved_2_N partition of moved_N for values in (2); create trigger t before insert on moved_2_N for each row execute function leaktrigger_N(); insert into moved_N values (1)", step: "update moved_N set a = 2"},
	{kind: "index class behind a foreign key", setup: "create operator class looked_N for type int using btree as function 1 leakorder_N(int, int), operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >; create table looked_N (a int primary key); create table looks_N (a int references looked_N); create index on looked_N (a looked_N)", step: "insert into looks_N values (2)", harmless: true},
	{kind: "ANALYZE of everything", setup: "create table anything_N (a int); insert into anything_N select generate_series(1, 10); create statistics any_N on (LEAK(a)), a from anything_N", step: "analyze"},
	{kind: "REINDEX of an index", setup: "create table reindexed_N (a int); insert into reindexed_N values (1); create index reindexed_i_N on reindexed_N ((LEAK(a)))", step: "reindex index reindexed_i_N", quiet: true},
	{kind: "event trigger at REFRESH", setup: "create materialized view refreshed_N as select 1 as a; create event trigger e_N on ddl_command_start when tag in ('REFRESH MATERIALIZED VIEW') execute function leakevent_N()", step: "refresh materialized view refreshed_N", after: "drop event trigger e_N"},
	{kind: "row security", setup: "create table secured_N (a int); insert into secured_N values (1); alter table secured_N enable row level security; alter table secured_N force row level security; create policy p on secured_N using (LEAK(a))", step: "select a from secured_N"},
	{kind: "event trigger", setup: "create event trigger e_N on ddl_command_start when tag in ('CREATE SEQUENCE') execute function leakevent_N()", step: "create sequence s_N", after: "drop event trigger e_N"},
	{kind: "ON CONFLICT", setup: "create table conflicts_N (a int primary key, b boolean); insert into conflicts_N values (1, null); alter table conflicts_N add check (LEAK(b)) not valid", step: "insert into conflicts_N (a) values (1) on conflict (a) do update set b = true"},
	{kind: "WHERE of COPY", setup: "create table filtered_N (a int)", step: "copy filtered_N from stdin where LEAK(a)", harmless: true},
	{kind: "foreign table", setup: "create foreign data wrapper w_N; create server srv_N foreign data wrapper w_N; create foreign table foreign_N (a int) server srv_N; grant all on foreign_N to public", step: "select a from foreign_N", harmless: true},
	{kind: "input of a type", setup: "create type shaped_N; create function in_N(cstring) returns shaped_N language internal immutable strict as 'textin'; create function out_N(shaped_N) returns cstring language internal immutable strict as 'textout'; create type shaped_N (input = in_N, output = out_N, like = text); create function said_N(shaped_N) returns text language plpgsql as $$ begin return public.a_secret(); end $$; create cast (shaped_N as text) with function said_N(shaped_N) as implicit", step: "select upper('x'::shaped_N)"},
	{kind: "cast between plain types", setup: "create cast (text as point) with function leakint_N(text) as assignment; create table pointed_N (a point)", step: "insert into pointed_N select note from work limit 1", after: "drop cast (text as point)"},
}

var leakWays = []string{"error", "notice", "effect"}

func TestWhatRunsByItselfLeaksNothing(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL + leaks + "GRANT ALL ON SCHEMA public TO orders_app;"})
	policyFile(t, s, "30-rules.yaml", generous)
	token, err := s.Token(t.Context(), "mallory")
	if err != nil {
		t.Fatal(err)
	}
	var together, alone []ownCase
	for _, o := range ownCodes {
		for _, way := range leakWays {
			switch {
			case o.quiet && way == "error", o.harmless && way != "error":
			case o.after != "":
				alone = append(alone, ownCase{o, way})
			default:
				together = append(together, ownCase{o, way})
			}
		}
	}
	const seen = 1100 * time.Millisecond // until Sluice sees what was defined past it (LIMITS)
	for _, c := range together {
		c.prepare(t, s)
	}
	runSQL(t, s.Direct, "truncate drop_box")
	time.Sleep(seen)
	for _, c := range together {
		t.Run(c.kind+"/"+c.way, func(t *testing.T) { c.leaksNothing(t, s, token) })
	}
	for _, c := range alone {
		t.Run(c.kind+"/"+c.way, func(t *testing.T) {
			c.prepare(t, s)
			defer runSQL(t, s.Direct, c.with(c.after))
			time.Sleep(seen)
			c.leaksNothing(t, s, token)
		})
	}
}

// ownCase is one way of leaking by one kind of entry.
type ownCase struct {
	ownCode
	way string
}

func (c ownCase) with(text string) string {
	text = strings.NewReplacer("LEAKTEXT(", "public.leaktext_"+c.way+"(", "LEAK(", "public.leak_"+c.way+"(").Replace(text)
	return strings.ReplaceAll(text, "_N", "_"+c.way)
}

func (c ownCase) prepare(t *testing.T, s *stage.Stage) {
	t.Helper()
	runSQL(t, s.Direct, c.with(c.setup)+"; grant all on all tables in schema public to public; grant create on schema public to public")
}

func (c ownCase) leaksNothing(t *testing.T, s *stage.Stage, token string) {
	t.Helper()
	got := leaked(t, s.PG, token, c.with(c.step), false)
	if found := secrets.Find(got); found != nil {
		t.Errorf("%q came back:\n%q", found, around(got, found))
	}
	if n := one[int](t, s, "select count(*) from drop_box"); n != 0 {
		t.Error("it ran: the secret lies in a table that nothing masks")
		runSQL(t, s.Direct, "truncate drop_box")
	}
	if c.harmless {
		if !strings.Contains(string(got), "masks apply to you here") {
			t.Errorf("it was not refused: %q", got)
		}
		return
	}
	if got := leaked(t, s.Direct, "", c.with(c.step), true); !secrets.Match(got) {
		t.Errorf("a bare database tells nothing either, so this proves nothing:\n%q", got)
	}
}

// leaked is all that comes back of a step and of a look into the drop box.
func leaked(t *testing.T, conn, password, step string, undo bool) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, tap, err := tapped(ctx, conn, password)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if undo { // with the rights that Sluice has, so that row security counts
		_, _ = c.Exec(ctx, "begin; set local role orders_app").ReadAll()
	}
	_, _ = c.Exec(ctx, step).ReadAll()
	_, _ = c.Exec(ctx, "select secret from drop_box").ReadAll()
	if undo {
		_, _ = c.Exec(ctx, "rollback").ReadAll()
	}
	return tap.bytes()
}

func TestTypesOfUsersWithoutCodeAreAllowed(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL + `
create type contact as (name text, phone text);
create domain code as text check (value ~ '^[A-Z]{3}$');
create type mood as enum ('good', 'bad');
create type span as range (subtype = int4);
create table typed (id int, c contact, k code, m mood, s span, ks code[]);
insert into typed values (1, row('a', 'b'), 'ABC', 'good', '[1,2)', '{ABC}');
grant all on all tables in schema public to public;`})
	policyFile(t, s, "30-rules.yaml", generous)
	c := connect(t, s, "mallory")
	for _, sql := range []string{
		"select null::contact", "select 'ABC'::code", "select 'good'::mood", "select '[1,2)'::span", "select '{ABC}'::code[]",
		"select row_to_json(t) from typed t", "select to_jsonb(c), array_agg(m) from typed group by c",
		"insert into typed values (2, '(a,b)', 'DEF', 'bad', '[1,3)', '{DEF}') returning k, m", "update typed set k = 'GHI', c.name = 'x' where m = 'bad'",
		"select k, m, s, c, ks from typed where m = 'good' order by m, k", "select name, setting from pg_settings where name = 'work_mem'",
	} {
		if _, err := c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
