package e2e

import (
	"bytes"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// What a write does beside what it names is found when it is executed: foreign keys and partitions that have come since Bind
// carry it on to what is denied.
func TestAWriteIsDecidedByWhatItLeadsToWhenItIsExecuted(t *testing.T) {
	const (
		keyed  = "alter table public.plain add primary key (id);"
		parted = "create table public.parted(id int, v text) partition by list (id);"
		refers = "alter table public.vault add foreign key (id) references public.plain(id) on delete cascade on update cascade"
		attach = "alter table public.parted attach partition public.vault for values in (7)"
		insert = "insert into public.parted values (7, 'after')"
	)
	s := ownStage(t, stage.Options{SQL: boundSQL})
	policyFile(t, s, "90-bound.yaml", boundPolicy)
	direct := superuser(t, s)
	for name, c := range map[string]struct {
		before, write, change string
		others                bool // another session makes the change
	}{
		"a key that deletes":                     {keyed, "delete from public.plain", refers, false},
		"a key that updates":                     {keyed, "update public.plain set id = 8", refers, false},
		"a partition":                            {parted, insert, attach, false},
		"a partition that another session makes": {parted, insert, attach, true},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := direct.Exec(t.Context(), "drop schema if exists orders_app cascade; drop table if exists public.w, public.vault, public.held, public.plain, public.parted cascade;"+
				boundSQL+"set role orders_app;"+c.before+"reset role"); err != nil {
				t.Fatal(err)
			}
			agent, other := wide(t, s), wide(t, s)
			time.Sleep(1200 * time.Millisecond) // the catalog of everybody is that of now
			first := group{parse("d", c.write), bind("d", "d", 0), &pgproto3.Flush{}}
			if !c.others {
				first = group{parse("d", c.write), bind("d", "d", 0), parse("a", c.change), bind("", "a", 0), execute("", 0), &pgproto3.Flush{}}
			}
			got := say(t, agent, first)
			if c.others {
				if out := say(t, other, group{queryOf(c.change)}); !bytes.Contains(out, []byte("ALTER TABLE\x00")) {
					t.Fatalf("the other session: %q", out)
				}
			}
			got = append(got, say(t, agent, group{execute("d", 0), sync3()})...)
			if n := one[int](t, s, "select count(*) from public.vault where id = 7 and v = 'vault-row'"); n != 1 || one[int](t, s, "select count(*) from public.vault") != 1 {
				t.Errorf("got %q", got)
			}
		})
	}
}
