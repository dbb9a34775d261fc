package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/sluicegate/sluice/e2e/stack"
	"github.com/sluicegate/sluice/extproc/postgres/relcache"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

const catalogSQL = `
create database catalog;
\connect catalog
create role poor login password 'poor';
create role app login password 'app';
grant usage on schema public to app;
create schema a;
create schema "odd schema";
create function public.f() returns int language sql volatile as 'select 1';
create function public.g(int) returns int language sql immutable as 'select $1';
create function public.ok(int) returns boolean language sql immutable as 'select true';
create function public.trg() returns trigger language plpgsql as 'begin return new; end';
create function public.trg2() returns trigger language plpgsql as 'begin return null; end';

create table public.t (id int, x text);
create table a.t (y int);
create table "odd schema"."Odd.Table" ("a b" int);
create table public.pg_class (mine text);
create function public.lower(text) returns text language sql as 'select $1';

create table public.customers (id int primary key, name text, email text, password text);
create view public.v_name as select name from customers;
create view public.v_where as select id from customers where password = 'x';
create view public.v_view as select name as n from v_name;
create view public.v_row as select c from customers c;
create view public.v_rowcol as select c.id, c from customers c;
create view public.v_json as select to_json(c) from customers c;
create view public.v_jsonview as select to_json(v) from v_name v;
create view public.v_count as select count(*) from customers;
create view public.v_overcount as select * from v_count;
create view public.v_exists as select 1 as one where exists (select from customers where email = 'x');
create materialized view public.m_view as select password as secret from customers;
create view public.v_roles as select rolname from pg_authid;
create view public.v_shadow as select usename from pg_shadow;
create view public.v_call as select f() as x;
create view public.v_overcall as select count(*) from v_call;

create table public.base (id int, x text);
create table public.mid (y int) inherits (base);
create table public.leaf (z int) inherits (mid);
create table public.parted (id int, k int) partition by range (id);
create table public.parted_1 partition of parted for values from (0) to (10) partition by range (k);
create table public.parted_1a partition of parted_1 for values from (0) to (10);

create table public.plain (id serial, at timestamptz default now(), lo int default 1 + 1, big bigint generated always as (3 * 2) stored, virt int generated always as (4 * 5) virtual);
create table public.defaulted (id int default f());
create table public.stored (id int, x int generated always as (g(id)) stored);
create table public.checked (id int check (ok(id)));
create table public.indexed (id int); create index on public.indexed (g(id)) where ok(id);
create table public.keyed (id int) partition by range (g(id));
create table public.guarded (id int); alter table public.guarded enable row level security; create policy p on public.guarded using (ok(id));
create table public.unguarded (id int); create policy p on public.unguarded using (ok(id));
create view public.v_guarded as select count(*) from guarded;
create table public.ruled (id int); create rule r as on insert to public.ruled do also notify x;
create view public.v_ruled as select id from ruled;
create table public.triggered (id int); create trigger a before insert or update on public.triggered for each row execute function trg();
create trigger b after truncate on public.triggered for each statement execute function trg2();
create view public.v_triggered as select id from triggered;
`

// catalogMoreSQL follows where the one above would be hard to read.
const catalogMoreSQL = `
create table public.off (id int); create trigger a before insert on public.off for each row execute function trg(); alter table public.off disable trigger a;
create trigger a before delete on public.leaf for each row execute function trg();
create trigger a before insert on public.parted for each row execute function trg();

create table public.one (id int primary key);
create table public.two (id int primary key references public.one on delete cascade);
create table public.three (id int references public.two on delete set null);
create trigger a after update on public.three for each statement execute function trg2();
create table public.restricted (id int primary key);
create table public.refers (id int references public.restricted);
create trigger a after delete on public.refers for each statement execute function trg2();
create trigger b after truncate on public.refers for each statement execute function trg2();

create type public.mood as enum ('a', 'b');
create domain public.positive as int check (value > 0);
create type public.pair as (a int, b text);
create table public.enums (id int, m public.mood, n public.mood[]);
create table public.domains (d public.positive);
create table public.composites (p public.pair);
create table public.rows_in (c public.customers);

create function public.op(text, text) returns boolean language sql as 'select true';
create operator public.=== (leftarg = text, rightarg = text, function = public.op);
create function public.op(text, public.pair) returns boolean language sql as 'select true';
create operator public.==> (leftarg = text, rightarg = public.pair, function = public.op);
create operator public.~~ (leftarg = text, rightarg = public.pair, function = public.op);
create function public.op(public.pair, public.pair) returns boolean language sql as 'select true';
create operator public.==> (leftarg = public.pair, rightarg = public.pair, function = public.op);
create operator public.<=> (leftarg = public.pair, rightarg = public.pair, function = public.op);
`

// catalogReader is a cache of its own on a server, with a clock that can be moved.
type catalogReader struct {
	*relcache.Cache
	path  []string
	ahead atomic.Int64
	conn  atomic.Pointer[string]
}

// openCatalog opens a cache that ends, and leaves nothing, with the test.
func openCatalog(t *testing.T, conn string) *catalogReader {
	t.Helper()
	return openCatalogWith(t, conn, nil)
}

func openCatalogWith(t *testing.T, conn string, names *relcache.Names) *catalogReader {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t, goleak.IgnoreCurrent()) })
	r := &catalogReader{path: []string{"pg_catalog", "public"}}
	r.conn.Store(&conn)
	var version atomic.Uint64
	r.Cache = relcache.New("catalog", func(ctx context.Context) (*pgx.Conn, error) {
		return pgx.Connect(ctx, *r.conn.Load()+" application_name=catalog")
	}, names, func() uint64 { return version.Add(1) }, func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return r
}

func (r *catalogReader) snapshot(t *testing.T) sqlfacts.Catalog {
	t.Helper()
	c, err := r.Snapshot(patient(t), r.path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// catalogServer runs a server with the catalog of these tests.
func catalogServer(t *testing.T) *stack.Postgres {
	t.Helper()
	return stack.NewPostgres(t, stack.PostgresOptions{InitSQL: catalogSQL + catalogMoreSQL})
}

func runSQL(t *testing.T, conn, sql string) {
	t.Helper()
	c, err := pgx.Connect(patient(t), conn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(t.Context()))
	if _, err := c.Exec(patient(t), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func relationOf(t *testing.T, c sqlfacts.Catalog, schema, name string) *sqlfacts.Relation {
	t.Helper()
	rel, err := c.Relation(schema, name)
	if err != nil || rel == nil {
		t.Fatalf("%s.%s: %v, %v", schema, name, rel, err)
	}
	return rel
}

// namesOf gives relations by OID as "schema.name", sorted.
func namesOf(t *testing.T, c sqlfacts.Catalog, oids []uint32) []string {
	t.Helper()
	var out []string
	for _, oid := range oids {
		rel, err := c.RelationByOID(oid)
		if err != nil || rel == nil {
			t.Fatalf("%d: %v, %v", oid, rel, err)
		}
		out = append(out, rel.String())
	}
	slices.Sort(out)
	return out
}

// readsOf gives what a view reads as "schema.name.column", with * for the whole.
func readsOf(t *testing.T, c sqlfacts.Catalog, view *sqlfacts.Relation) string {
	t.Helper()
	var out []string
	for _, id := range view.Reads {
		rel, err := c.RelationByOID(id.Relation)
		if err != nil || rel == nil {
			t.Fatalf("%s reads %d: %v, %v", view, id.Relation, rel, err)
		}
		column := "*"
		if id.Number != 0 {
			column = rel.ColumnByNumber(id.Number).Name
		}
		out = append(out, strings.TrimPrefix(rel.String(), "public.")+"."+column)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// callsOf gives what runs as "function:touches", touches by their first letters.
func callsOf(rel *sqlfacts.Relation) string {
	var out []string
	for _, call := range rel.Calls {
		on := ""
		for i, letter := range "riudt+" {
			if call.On&(1<<i) != 0 {
				on += string(letter)
			}
		}
		out = append(out, strings.TrimPrefix(call.Function, "public.")+":"+on)
	}
	return strings.Join(out, " ")
}

func TestCatalogOfARealDatabase(t *testing.T) {
	pg := catalogServer(t)
	r := openCatalog(t, pg.Superuser("catalog"))
	c := r.snapshot(t)
	t.Run("names are found by the search_path", func(t *testing.T) {
		r.path = []string{"pg_catalog", "a", "public"}
		path := r.snapshot(t)
		r.path = []string{"pg_catalog", "public"}
		for _, w := range []struct {
			catalog            sqlfacts.Catalog
			schema, name, want string
		}{
			{c, "", "t", "public.t"},
			{path, "", "t", "a.t"},
			{path, "public", "t", "public.t"},
			{c, "", "pg_class", "pg_catalog.pg_class"},
			{c, "public", "pg_class", "public.pg_class"},
			{c, "odd schema", "Odd.Table", "odd schema.Odd.Table"},
			{c, "", "nothing", ""},
			{c, "nothing", "t", ""},
			{c, "a", "customers", ""},
		} {
			rel, err := w.catalog.Relation(w.schema, w.name)
			got := ""
			if rel != nil {
				got = rel.String()
			}
			if err != nil || got != w.want {
				t.Errorf("%s.%s: %q, %v; want %q", w.schema, w.name, got, err, w.want)
			}
		}
		if path.Version() == c.Version() {
			t.Error("two paths have one version")
		}
		if again := r.snapshot(t); again.Version() != c.Version() {
			t.Error("the same snapshot has two versions")
		}
	})
	t.Run("columns", func(t *testing.T) {
		rel := relationOf(t, c, "", "plain")
		var got []string
		for _, col := range rel.Columns {
			got = append(got, fmt.Sprintf("%d %s %s %v", col.Number, col.Name, col.TypeName, col.Generated))
		}
		want := []string{
			"1 id integer false", "2 at timestamp with time zone false", "3 lo integer false", "4 big bigint true", "5 virt integer true",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("inheritance and partitions are transitive", func(t *testing.T) {
		for name, want := range map[string][2][]string{
			"base":      {nil, {"public.leaf", "public.mid"}},
			"mid":       {{"public.base"}, {"public.leaf"}},
			"leaf":      {{"public.base", "public.mid"}, nil},
			"parted":    {nil, {"public.parted_1", "public.parted_1a"}},
			"parted_1a": {{"public.parted", "public.parted_1"}, nil},
		} {
			rel := relationOf(t, c, "", name)
			if diff := cmp.Diff(want, [2][]string{namesOf(t, c, rel.Parents), namesOf(t, c, rel.Children)}); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		if leaf := relationOf(t, c, "", "leaf"); relationOf(t, c, "", "mid").OID != leaf.Parents[0] {
			t.Error("the nearest parent is not the first")
		}
	})
	t.Run("views read columns", func(t *testing.T) {
		for name, want := range map[string]string{
			"v_name":      "customers.name",
			"v_where":     "customers.id customers.password",
			"v_view":      "customers.name v_name.name",
			"v_row":       "customers.*",
			"v_rowcol":    "customers.*",
			"v_json":      "customers.*",
			"v_jsonview":  "customers.name v_name.*",
			"v_count":     "",
			"v_overcount": "v_count.count",
			"v_exists":    "customers.email",
			"m_view":      "customers.password",
			"v_roles":     "pg_catalog.pg_authid.*",
			"customers":   "",
		} {
			if got := readsOf(t, c, relationOf(t, c, "", name)); got != want {
				t.Errorf("%s reads %q, want %q", name, got, want)
			}
		}
		// What PostgreSQL pins it notes no dependencies on.
		for _, name := range []string{"public.v_shadow", "pg_catalog.pg_shadow", "pg_catalog.pg_user"} {
			schema, view, _ := strings.Cut(name, ".")
			if got := readsOf(t, c, relationOf(t, c, schema, view)); !strings.Contains(got, "pg_catalog.pg_authid.*") {
				t.Errorf("%s reads %q", name, got)
			}
		}
	})
	t.Run("what runs when a relation is touched", func(t *testing.T) {
		for name, want := range map[string]string{
			"plain":       "",
			"customers":   "",
			"v_name":      "",
			"v_call":      "f:riud+",
			"v_overcall":  "f:riud",
			"defaulted":   "f:iu+",
			"stored":      "g:iu+",
			"checked":     "ok:riud+",
			"indexed":     "g:riud+ ok:riud+",
			"keyed":       "g:riud+",
			"guarded":     "ok:riud+",
			"unguarded":   "",
			"v_guarded":   "ok:riud",
			"triggered":   "trg:iu trg2:t",
			"v_triggered": "trg:iu",
			"off":         "",
			"leaf":        "trg:d",
			"mid":         "trg:d",
			"base":        "trg:d",
			"parted":      "trg:iu", // a row may move
			"parted_1a":   "trg:i",
			"three":       "trg2:u",
			"two":         "trg2:ud",
			"one":         "trg2:ud",
			"restricted":  "trg2:t",
			"refers":      "trg2:dt",
			"v_ruled":     "a rule:i",
			"ruled":       "a rule:i",
		} {
			if got := callsOf(relationOf(t, c, "", name)); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
	t.Run("types, operators, casts and functions", func(t *testing.T) {
		for name, want := range map[string]bool{"t": false, "enums": false, "domains": true, "composites": true, "rows_in": true} {
			if got := relationOf(t, c, "", name).UserTypes; got != want {
				t.Errorf("%s has user types: %v", name, got)
			}
		}
		for name, enum := range map[string]bool{"mood": true, "_mood": true, "positive": false, "pair": false, "int4": false, "customers": false} {
			typ, err := c.Type("", name)
			if err != nil || typ == nil || typ.Enum != enum {
				t.Errorf("type %s: %+v, %v", name, typ, err)
			}
		}
		if typ, err := c.Type("a", "mood"); typ != nil || err != nil {
			t.Errorf("a.mood: %v, %v", typ, err)
		}
		for name, want := range map[string]string{"===": "true", "==>": "false true", "~~": "false", "<=>": "false", "=": ""} {
			ops, err := c.Operators(name)
			var got []string
			for _, op := range ops {
				got = append(got, fmt.Sprint(op.CatalogArguments))
			}
			slices.Sort(got)
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("operator %s: plain values reach %v, want %q", name, got, want)
			}
		}
		for name, want := range map[string]string{"lower": "pg_catalog public", "upper": "pg_catalog", "f": "public", "nothing": ""} {
			list, err := c.Functions("", name)
			var got []string
			for _, f := range list {
				got = append(got, f.Schema)
			}
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("function %s: %v, want %q", name, got, want)
			}
		}
		if list, err := c.Functions("a", "f"); len(list) > 0 || err != nil {
			t.Errorf("a.f: %v, %v", list, err)
		}
		if c.UserCasts() {
			t.Error("there is no cast of a user's yet")
		}
	})
	t.Run("a role without privileges sees the same", func(t *testing.T) {
		poor := openCatalog(t, pg.ConnString("poor", "poor", "catalog")).snapshot(t)
		for _, name := range []string{"v_json", "v_overcall", "guarded", "leaf"} {
			if diff := cmp.Diff(relationOf(t, c, "", name), relationOf(t, poor, "", name)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})
}

// catalogSoon asks until it holds or two seconds are over.
func catalogSoon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func TestCatalogFollowsWhatOthersChange(t *testing.T) {
	pg := catalogServer(t)
	conn := pg.Superuser("catalog")
	r := openCatalog(t, conn)
	old := r.snapshot(t)
	has := func(name string) bool {
		rel, err := r.snapshot(t).Relation("", name)
		if err != nil {
			t.Fatal(err)
		}
		return rel != nil
	}
	for _, step := range []struct{ name, sql string }{
		{"a new table", "create table newer (id int)"},
		{"a new column", "alter table newer add column x text"},
		{"a renamed column", "alter table newer rename column x to y"},
		{"another type", "alter table newer alter column y type varchar"},
		{"a view that changes its body", "create or replace view v_name as select email::text as name from customers"},
		{"a trigger that is switched off", "alter table triggered disable trigger a"},
		{"row level security that is switched on", "alter table unguarded enable row level security"},
		{"a function that is replaced", "create or replace function f() returns int language sql as 'select 2'"},
		{"a cast", "create function to_point(text) returns point language sql as 'select null::point'; create cast (text as point) with function to_point(text)"},
		{"a schema that is renamed", "alter schema a rename to b"},
		{"a table that goes", "drop table newer"},
	} {
		before := r.snapshot(t).Version()
		runSQL(t, conn, step.sql)
		catalogSoon(t, step.name, func() bool { return r.snapshot(t).Version() != before })
	}
	if got := readsOf(t, r.snapshot(t), relationOf(t, r.snapshot(t), "", "v_name")); got != "customers.email" {
		t.Errorf("v_name reads %q", got)
	}
	if !r.snapshot(t).UserCasts() || old.UserCasts() {
		t.Error("a snapshot changed, or the new one does not know the cast")
	}
	t.Run("what changes no catalog keeps the snapshot", func(t *testing.T) {
		before := r.snapshot(t).Version()
		runSQL(t, conn, "insert into t select 1, 'x' from generate_series(1, 100)")
		runSQL(t, conn, "analyze t")
		r.Invalidate()
		if after := r.snapshot(t).Version(); after != before {
			t.Error("it was read again")
		}
	})
	t.Run("Invalidate counts at once", func(t *testing.T) {
		for i := range 5 {
			name := fmt.Sprintf("at_once_%d", i)
			runSQL(t, conn, "create table "+name+" (id int)")
			r.Invalidate()
			if !has(name) {
				t.Errorf("%s is not seen", name)
			}
		}
	})
	t.Run("an unknown OID is looked up", func(t *testing.T) {
		var oid uint32
		c, err := pgx.Connect(patient(t), conn)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.WithoutCancel(t.Context()))
		before := r.snapshot(t)
		if _, err := c.Exec(patient(t), "create table looked_up (id int)"); err != nil {
			t.Fatal(err)
		}
		if err := c.QueryRow(patient(t), "select 'looked_up'::regclass::oid").Scan(&oid); err != nil {
			t.Fatal(err)
		}
		rel, err := before.RelationByOID(oid)
		if err != nil || rel == nil || rel.Name != "looked_up" {
			t.Errorf("got %v, %v", rel, err)
		}
		if rel, err := before.RelationByOID(4_000_000_000); rel != nil || err != nil {
			t.Errorf("an OID of nothing: %v, %v", rel, err)
		}
	})
	t.Run("an object that goes while it is read is no fault", func(t *testing.T) {
		stop := make(chan struct{})
		var churn sync.WaitGroup
		churn.Go(func() {
			c, err := pgx.Connect(t.Context(), conn)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close(context.WithoutCancel(t.Context()))
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, sql := range strings.Split(going, ";") { // each by itself, or nobody else would see it
					if _, err := c.Exec(t.Context(), sql); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
		for range 200 {
			r.Invalidate()
			if _, err := r.Snapshot(patient(t), r.path); err != nil {
				t.Error(err)
			}
		}
		close(stop)
		churn.Wait()
		r.Invalidate()
		r.snapshot(t)
	})
}

// going makes and drops what the catalog's functions deparse.
const going = `
create function gone_f(int) returns int language sql immutable as 'select $1';
create table gone_t (id int default gone_f(1), x text generated always as ('x' || 'y') stored, check (gone_f(id) > 0));
create index on gone_t (gone_f(id)) where id > gone_f(2);
create statistics gone_s on (id + 1), (id + 2) from gone_t;
create view gone as select id, x from gone_t where x = 'x';
create rule r as on insert to gone_t do also notify x;
create domain gone_d as int check (gone_f(value) > 0);
drop domain gone_d; drop view gone; drop table gone_t; drop function gone_f`

// catalogConnections counts the caches' connections.
func catalogConnections(t *testing.T, conn string) (n int) {
	t.Helper()
	c, err := pgx.Connect(patient(t), conn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(t.Context()))
	if err := c.QueryRow(patient(t), "select count(*) from pg_stat_activity where application_name = 'catalog'").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCatalogClosesAnIdleConnection(t *testing.T) {
	pg := catalogServer(t)
	conn := pg.Superuser("catalog")
	r := openCatalog(t, conn)
	if n := catalogConnections(t, conn); n != 0 {
		t.Errorf("%d connections before anybody asked", n)
	}
	before := r.snapshot(t).Version()
	if n := catalogConnections(t, conn); n != 1 {
		t.Errorf("%d connections in use", n)
	}
	r.ahead.Store(int64(2 * time.Minute))
	catalogSoon(t, "the connection is closed", func() bool { return catalogConnections(t, conn) == 0 })
	if after := r.snapshot(t).Version(); after != before {
		t.Error("nothing changed, and it was read again")
	}
	runSQL(t, conn, "create table while_idle (id int)")
	r.ahead.Store(int64(5 * time.Minute))
	if rel, err := r.snapshot(t).Relation("", "while_idle"); rel == nil || err != nil {
		t.Errorf("what changed while it was idle is not seen: %v", err)
	}
}

func TestCatalogOfADatabaseThatIsAwayIsUnavailable(t *testing.T) {
	dir := stack.NewShortDir(t) + "/postgresql"
	o := stack.PostgresOptions{Dir: dir, InitSQL: catalogSQL}
	pg := stack.NewPostgres(t, o)
	r := openCatalog(t, pg.Superuser("catalog"))
	r.snapshot(t)
	unavailable := func(ctx context.Context) error {
		_, err := r.Snapshot(ctx, r.path)
		return err
	}

	t.Run("frozen", func(t *testing.T) {
		pg.Pause()
		defer pg.Resume()
		r.Invalidate()
		began := time.Now()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				defer cancel()
				if err := unavailable(ctx); !errors.Is(err, relcache.ErrUnavailable) {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("they waited for %s", took)
		}
	})
	r.Invalidate()
	r.snapshot(t)

	t.Run("locked", func(t *testing.T) {
		conn := pg.Superuser("catalog")
		c, err := pgx.Connect(patient(t), conn)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.WithoutCancel(t.Context()))
		if _, err := c.Exec(patient(t), "begin; lock table v_name in access exclusive mode"); err != nil {
			t.Fatal(err)
		}
		if before := r.snapshot(t); before == nil {
			t.Error("what did not change is read nevertheless")
		}
		runSQL(t, conn, "create table beside_a_lock (id int)")
		r.Invalidate()
		began := time.Now()
		if err := unavailable(patient(t)); !errors.Is(err, relcache.ErrUnavailable) || time.Since(began) > 8*time.Second {
			t.Errorf("got %v after %s", err, time.Since(began))
		}
		if _, err := c.Exec(patient(t), "rollback"); err != nil {
			t.Fatal(err)
		}
		relationOf(t, r.snapshot(t), "", "beside_a_lock")
	})

	pg.Stop()
	r.Invalidate()
	if err := unavailable(patient(t)); !errors.Is(err, relcache.ErrUnavailable) {
		t.Errorf("stopped: got %v", err)
	}
	if err := unavailable(patient(t)); !errors.Is(err, relcache.ErrUnavailable) {
		t.Errorf("stopped, a second time: got %v", err)
	}
	again := stack.NewPostgres(t, o)
	conn := again.Superuser("catalog") // another socket directory
	r.conn.Store(&conn)
	runSQL(t, conn, "create table after_restart (id int)")
	rel, err := r.snapshot(t).Relation("", "after_restart")
	if rel == nil || err != nil {
		t.Errorf("after a restart: %v, %v", rel, err)
	}
	// A connection that broke unseen is no fault.
	runSQL(t, conn, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'catalog'")
	r.Invalidate()
	r.snapshot(t)
}

func TestCatalogThatHasEndedIsUnavailable(t *testing.T) {
	pg := catalogServer(t)
	var version atomic.Uint64
	conn := pg.Superuser("catalog")
	c := relcache.New("catalog", func(ctx context.Context) (*pgx.Conn, error) {
		return pgx.Connect(ctx, conn+" application_name=catalog")
	},
		relcache.NewNames("", time.Now), func() uint64 { return version.Add(1) }, time.Now, slog.New(slog.DiscardHandler))
	if _, err := c.Snapshot(patient(t), []string{"pg_catalog"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Run(ctx)
	if _, err := c.Snapshot(patient(t), []string{"pg_catalog"}); !errors.Is(err, relcache.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	catalogSoon(t, "the connection is closed", func() bool { return catalogConnections(t, conn) == 0 })
}

func TestCatalogOfThousandsOfTables(t *testing.T) {
	pg := stack.NewPostgres(t, stack.PostgresOptions{InitSQL: `
do $$ begin
	for i in 1..2000 loop
		execute format('create table t%s (id int primary key, a text default ''x'', b text, c text, d text, e int check (e > 0), f timestamptz default now(), g jsonb)', i);
	end loop;
	for i in 1..200 loop
		execute format('create view v%s as select t.id, lower(t.a) as a, u.b from t%s t join t%s u on t.id = u.id where t.e > 3', i, i, i + 200);
	end loop;
end $$`})
	r := openCatalog(t, pg.Superuser("postgres"))
	began := time.Now()
	c := r.snapshot(t)
	load := time.Since(began)
	if rel := relationOf(t, c, "", "v200"); len(rel.Reads) != 5 {
		t.Errorf("v200 reads %v", rel.Reads)
	}
	r.Invalidate()
	began = time.Now()
	r.snapshot(t)
	compare := time.Since(began)
	runSQL(t, pg.Superuser("postgres"), "create table one_more (id int)")
	r.Invalidate()
	began = time.Now()
	r.snapshot(t)
	t.Logf("2,000 tables and 200 views: first reading %s, comparison %s, reading again %s", load, compare, time.Since(began))
	if load > 10*time.Second {
		t.Errorf("it took %s to read", load)
	}
}
