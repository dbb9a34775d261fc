package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

const impliedPolicy = `
masks:
- {name: w, on: {targets: [wide]}, columns: ["public.w.v"], redact: {}}
rules:
- {name: more, who: {groups: [agents]}, on: {targets: [wide], sql: {effects: [PRIVILEGE, MAINTENANCE]}}, allow: {}}
- {name: vault, who: {groups: [agents]}, on: {targets: [wide], sql: {effects: [READ, DELETE, PRIVILEGE, MAINTENANCE], relations: [public.vault, public.mvault]}}, deny: {message: Not the vault.}}
`

// A definition changes more than it names: partitions go with their table, children have the columns of their parents, a
// schema that may be used no more leaves its names to the next, and a foreign key carries on what happens to a table.
func TestWhatADefinitionChangesWithoutNamingItIsWaitedForToo(t *testing.T) {
	const (
		slow  = "select count(*) from generate_series(1, 5000000)"
		own   = "create table orders_app.w(id int, v text);"
		child = "create table orders_app.p(id int, api_key text); create table orders_app.c() inherits (orders_app.p); insert into orders_app.c values (1, 'sk-live-copysecret');"
		part  = "create table orders_app.p(id int, api_key text, k int) partition by list(k); create table orders_app.c partition of orders_app.p default; insert into orders_app.c values (1, 'sk-live-copysecret', 1);"
		keys  = "alter table public.plain add primary key (id); create table public.mid(id int primary key references public.plain(id) on delete cascade on update cascade); insert into public.mid values (7);"
		view  = "create materialized view public.mplain as select v from public.plain; create materialized view public.mvault as select v from public.vault;"
	)
	s := ownStage(t, stage.Options{SQL: boundSQL})
	policyFile(t, s, "90-implied.yaml", impliedPolicy)
	direct := superuser(t, s)
	for name, c := range map[string]struct {
		before, attack string
		late           bool // the other's turn is between Bind and Execute, and not while the statement waits
		other          []string
		bad            string
		harm           string // what must not be true at the database
	}{
		"a schema that is revoked": {before: own, attack: "select upper(v) from w", other: []string{"revoke usage on schema orders_app from orders_app"}, bad: "MASKED-VALUE"},
		"a partition that goes with its table": {
			before: "create table orders_app.p(id int, v text) partition by list(id); create table orders_app.w partition of orders_app.p default;",
			attack: "select upper(v) from w", other: []string{"drop table orders_app.p"}, bad: "MASKED-VALUE",
		},
		"a sequence that goes with its table": {
			before: "create table orders_app.p(id int); create sequence orders_app.w owned by orders_app.p.id;",
			attack: "select upper(w::text) from w", other: []string{"drop table orders_app.p"}, bad: "MASKED-VALUE",
		},
		"columns of a child":     {before: child, attack: "copy orders_app.c to stdout", other: []string{"alter table orders_app.p drop column id, add column z text"}, bad: "sk-live-copysecret"},
		"columns of a partition": {before: part, attack: "copy orders_app.c to stdout", other: []string{"alter table orders_app.p drop column id, add column z text"}, bad: "sk-live-copysecret"},
		"a foreign key": {
			before: "alter table public.plain add primary key (id);", attack: "delete from public.plain",
			other: []string{"alter table public.vault add foreign key (id) references public.plain(id) on delete cascade"}, harm: "select count(*) = 0 from public.vault",
		},
		"a foreign key on what one leads to": {
			before: keys, attack: "delete from public.plain", harm: "select count(*) = 0 from public.vault",
			other: []string{"alter table public.vault add foreign key (id) references public.mid(id) on delete cascade"},
		},
		"a foreign key on what one updates": {
			before: keys, attack: "update public.plain set id = 8", harm: "select count(*) = 0 from public.vault where id = 7",
			other: []string{"alter table public.vault add foreign key (id) references public.mid(id) on update cascade"},
		},
		"a foreign key two steps away": {
			before: keys + "create table public.more(id int primary key references public.mid(id) on delete cascade); insert into public.more values (7);",
			attack: "delete from public.plain", harm: "select count(*) = 0 from public.vault",
			other: []string{"alter table public.vault add foreign key (id) references public.more(id) on delete cascade"},
		},
		"ANALYZE, executed": {attack: "analyze public.plain", late: true, other: []string{"alter table public.plain rename to gone", "alter table public.vault rename to plain"}, bad: "ANALYZE\x00"},
		"REINDEX, executed": {attack: "reindex table public.plain", late: true, other: []string{"alter table public.plain rename to gone", "alter table public.vault rename to plain"}, bad: "REINDEX\x00"},
		"GRANT, executed":   {attack: "grant select on public.plain to public", late: true, other: []string{"alter table public.plain rename to gone", "alter table public.vault rename to plain"}, bad: "GRANT\x00"},
		"REFRESH, executed": {
			before: view, attack: "refresh materialized view public.mplain", late: true,
			other: []string{"alter materialized view public.mplain rename to mgone", "alter materialized view public.mvault rename to mplain"}, bad: "REFRESH MATERIALIZED VIEW\x00",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := direct.Exec(t.Context(), "drop materialized view if exists public.mplain, public.mvault, public.mgone; drop schema if exists orders_app cascade; drop table if exists public.w, public.vault, public.held, public.plain, public.gone, public.mid, public.more cascade;"+
				boundSQL+"set role orders_app;"+c.before+"reset role"); err != nil {
				t.Fatal(err)
			}
			agent, other := wide(t, s), wide(t, s)
			time.Sleep(1200 * time.Millisecond) // the catalog of everybody is that of now
			attack, rest := group{queryOf(slow), queryOf(c.attack)}, group(nil)
			if c.late {
				attack, rest = group{parse("s", c.attack), bind("", "s", 0), &pgproto3.Flush{}}, group{execute("", 0), sync3()}
			}
			part := make(chan []byte, 1)
			go func() { part <- sayFor(t, agent, 2*time.Second, attack) }()
			time.Sleep(150 * time.Millisecond)
			for _, sql := range c.other {
				say(t, other, group{queryOf(sql)})
			}
			got := <-part
			if rest != nil {
				got = append(got, say(t, agent, rest)...)
			}
			if c.bad != "" && bytes.Contains(got, []byte(c.bad)) || c.harm != "" && one[bool](t, s, c.harm) {
				t.Errorf("got %q", got)
			}
		})
	}
}

// What is read for long is judged by the catalog of its end: somebody may change what it names meanwhile, and be done with that.
func TestWhatChangesWhileATextIsReadCounts(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: boundSQL})
	policyFile(t, s, "90-implied.yaml", impliedPolicy)
	direct := superuser(t, s)
	var list strings.Builder
	for i := range 120_000 {
		fmt.Fprintf(&list, ",%d", 1000+i)
	}
	long := " where id not in (0" + list.String() + ")"
	for name, c := range map[string]struct {
		attack group
		other  []string
	}{
		"a relation that goes":       {group{queryOf("select upper(v) from w" + long)}, []string{"drop table orders_app.w"}},
		"one that goes, prepared":    {group{parse("", "select upper(v) from w"+long), bind("", "", 0), execute("", 0), sync3()}, []string{"drop table orders_app.w"}},
		"a relation that is renamed": {group{queryOf("select upper(v) from orders_app.w" + long)}, []string{"alter table orders_app.w rename to gone", "alter table public.w set schema orders_app"}},
		"a schema that is revoked":   {group{queryOf("select upper(v) from w" + long)}, []string{"revoke usage on schema orders_app from orders_app"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := direct.Exec(t.Context(), "drop schema if exists orders_app cascade; drop table if exists public.w, public.vault, public.held, public.plain cascade;"+
				boundSQL+"set role orders_app; create table orders_app.w(id int, v text); reset role"); err != nil {
				t.Fatal(err)
			}
			agent, other := wide(t, s), wide(t, s)
			time.Sleep(1200 * time.Millisecond) // the catalog of everybody is that of now
			part := make(chan []byte, 1)
			go func() { part <- sayFor(t, agent, 10*time.Second, c.attack) }()
			time.Sleep(60 * time.Millisecond)
			for _, sql := range c.other {
				say(t, other, group{queryOf(sql)})
			}
			if got := <-part; bytes.Contains(got, []byte("MASKED-VALUE")) {
				t.Errorf("got %.200q", got)
			}
		})
	}
}

// Who is in which role decides about the schemas of a search_path: a session asks for it again behind a change.
func TestARoleThatIsRevokedTakesItsSchemasAlong(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: boundSQL + `
create table orders_app.w(id int, v text); insert into orders_app.w values (7, 'own-value'); grant select on orders_app.w to orders_app;
create role readers; alter schema orders_app owner to current_user; grant usage on schema orders_app to readers; grant readers to orders_app;`})
	policyFile(t, s, "90-implied.yaml", impliedPolicy)
	agent, direct := wide(t, s), superuser(t, s)
	if out := say(t, agent, group{queryOf("select upper(v) from w")}); !bytes.Contains(out, []byte("OWN-VALUE")) {
		t.Fatalf("got %q", out)
	}
	if _, err := direct.Exec(t.Context(), "revoke readers from orders_app"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	if out := say(t, agent, group{queryOf("select upper(v) from w")}); bytes.Contains(out, []byte("MASKED-VALUE")) || bytes.Contains(out, []byte("OWN-VALUE")) {
		t.Errorf("got %q", out)
	}
}
