package e2e

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

const portalsPolicy = `
rules:
- {name: vault, who: {groups: [agents]}, on: {targets: [wide], sql: {effects: [READ, INSERT, UPDATE, DELETE, TRUNCATE], relations: [public.vault]}}, deny: {message: Not the vault.}}
`

// A portal keeps what its names meant at Bind, and may be executed later than that, or a second time if the server has skipped the
// first: what it is decided by then is what runs, and not what the names have come to mean.
func TestAPortalIsDecidedAsWhatItWasBoundTo(t *testing.T) {
	const (
		insert = "insert into parted values (7, 'after')"
		attach = "alter table public.parted attach partition public.vault for values in (7)"
		shadow = "create table orders_app.parted(id int, v text)"
		copied = "create table orders_app.copied as select * from parted"
		fails  = "select 1 / (id - id) from plain"
	)
	s := ownStage(t, stage.Options{SQL: boundSQL})
	policyFile(t, s, "90-portals.yaml", portalsPolicy)
	direct := superuser(t, s)
	flush := &pgproto3.Flush{}
	bound := func(sql string) group { return group{parse("d", sql), bind("d", "d", 0), flush} }
	run := group{execute("d", 0), sync3()}
	skipped := group{parse("", fails), bind("", "", 0), execute("", 0), execute("d", 0), sync3()}
	savepoint := func(sql string) []group {
		return []group{{queryOf("begin")}, {parse("d", sql), bind("d", "d", 0), sync3()}, {queryOf("savepoint s")}, skipped, {queryOf("rollback to s")}}
	}
	for name, c := range map[string]struct {
		before []group
		other  []string
		after  []group
	}{
		"an INSERT behind another table of its name":         {[]group{bound(insert)}, []string{shadow, attach}, []group{run}},
		"an INSERT that is explained":                        {[]group{bound("explain analyze " + insert)}, []string{shadow, attach}, []group{run}},
		"an INSERT in a WITH":                                {[]group{bound("with i as (" + insert + " returning v) select v from i")}, []string{shadow, attach}, []group{run}},
		"a copy of a query behind another table of its name": {[]group{bound(copied)}, []string{shadow, attach}, []group{run}},
		"an INSERT that was skipped":                         {savepoint(insert), []string{attach}, []group{run, {queryOf("commit")}}},
		"an INSERT that was skipped, explained":              {savepoint("explain analyze " + insert), []string{attach}, []group{run, {queryOf("commit")}}},
		"a MERGE that was skipped":                           {savepoint("merge into parted using (values (7)) x(id) on false when not matched then insert values (x.id, 'after')"), []string{attach}, []group{run, {queryOf("commit")}}},
		"a copy of a query that was skipped":                 {savepoint(copied), []string{attach}, []group{run, {queryOf("commit")}}},
		"a child of one's own":                               {nil, nil, []group{{queryOf("begin")}, {queryOf("create table orders_app.plain() inherits (public.vault)")}, {queryOf("insert into plain values (7, 'after')")}, {queryOf("commit")}}},
		"a child of one's own, in one string":                {nil, nil, []group{{queryOf("create table orders_app.plain() inherits (public.vault); insert into plain values (7, 'after')")}}},
		"a partition of one's own":                           {[]group{{queryOf("alter table public.vault rename to old")}, {queryOf("create table public.vault(id int, v text) partition by list (id)")}}, nil, []group{{queryOf("create table orders_app.plain partition of public.vault for values in (7); insert into plain values (7, 'after')")}}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := direct.Exec(t.Context(), "drop schema if exists orders_app cascade; drop table if exists public.w, public.vault, public.held, public.plain, public.parted, public.old cascade;"+
				boundSQL+"set role orders_app; create table public.parted(id int, v text) partition by list (id); reset role"); err != nil {
				t.Fatal(err)
			}
			agent, other := wide(t, s), wide(t, s)
			time.Sleep(1200 * time.Millisecond) // the catalog of everybody is that of now
			got := say(t, agent, c.before...)
			for _, sql := range c.other {
				if _, err := other.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
					t.Fatalf("%s: %v", sql, err)
				}
			}
			got = append(got, say(t, agent, c.after...)...)
			if one[int](t, s, "select count(*) from public.vault where v = 'after'") > 0 ||
				one[bool](t, s, "select to_regclass('orders_app.copied') is not null") && one[int](t, s, "select count(*) from orders_app.copied") > 0 {
				t.Errorf("got %q", got)
			}
		})
	}
}
