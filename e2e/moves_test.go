package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/extproc/postgres/relcache"
)

// movesSQL are objects that masks and rules name, to be moved by somebody whom nothing stops.
const movesSQL = `
create schema aside;
create table accounts (id int, api_key text, note text);
insert into accounts values (1, 'sk-live-key-1', 'x');
create table people (id int, api_key text);
create table people_eu () inherits (people);
create table people_2 (note text);
create table people_both () inherits (people, people_2);
insert into people_eu values (1, 'sk-live-key-eu');
insert into people_both values (1, 'sk-live-key-both');
create table loose () inherits (people);
insert into loose values (1, 'sk-live-key-loose');
create table parted (id int, api_key text) partition by list (id);
create table parted_1 partition of parted for values in (1);
insert into parted values (1, 'sk-live-key-part');
create type account_t as (id int, api_key text);
create table typed of account_t;
insert into typed values (1, 'sk-live-key-typed');
create table worked (id int, api_key text, stored text generated always as (upper(api_key)) stored, virtual text generated always as (reverse(api_key)) virtual);
insert into worked (id, api_key) values (1, 'sk-live-key-worked');
create table worked_2 (id int, api_key text, stored text generated always as ('x' || api_key) stored);
insert into worked_2 (id, api_key) values (1, 'sk-live-key-worked');
create table scratch (id int);
create table vault (id int);
create table ledger (id int primary key, api_key text) partition by range (id);
create table ledger_1 partition of ledger for values from (0) to (10);
insert into ledger values (1, 'sk-live-key-ledger');
create table vault_child () inherits (vault);
create view vault_view as select id from vault;
create view vault_over as select id from vault_view;
create table one_id (id int primary key);
create table vault_key (id int references one_id on delete cascade) ;
alter table vault_key inherit vault;
create table ruled_vault (id int);
create rule r as on insert to ruled_vault do also delete from vault;
create domain code12 as text;
create table coded (id int, api_key code12);
insert into coded values (1, 'sk-live-key-coded');
create table parted_key (api_key text) partition by list (api_key);
create table parted_key_1 partition of parted_key default;
insert into parted_key values ('sk-live-key-pk');
create table keyed (api_key text primary key);
insert into keyed values ('sk-live-key-keyed');
grant all on all tables in schema public to public;
do $$ declare r record; begin for r in select oid::regclass as t, relkind from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v') loop
	execute format('alter table %s owner to orders_app', r.t); end loop; end $$;
alter domain code12 owner to orders_app;
grant create on schema public to orders_app;
`

func TestMasksStayWithWhatTheyNamed(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL + movesSQL})
	policyFile(t, s, "30-rules.yaml", generous)
	c := connect(t, s, "mallory")
	if _, err := c.Exec(t.Context(), "select id from accounts", pgx.QueryExecModeSimpleProtocol); err != nil { // the catalog is read from now on
		t.Fatal(err)
	}
	for _, sql := range []string{
		"alter table accounts rename column api_key to harmless; alter table accounts rename to elsewhere; alter table elsewhere set schema aside; grant usage on schema aside to public",
		"alter table only people drop column api_key",
		"alter table loose no inherit people",
		"alter table parted detach partition parted_1; alter table parted_1 rename column api_key to k",
		"alter type account_t rename attribute api_key to k cascade",
		"alter table worked_2 alter column stored drop expression; alter table worked_2 drop column api_key",
	} {
		runSQL(t, s.Direct, sql)
	}
	time.Sleep(1200 * time.Millisecond)
	for _, sql := range []string{
		"select * from aside.elsewhere", "select harmless from aside.elsewhere", "table people_eu", "select api_key from people_both", "select api_key from loose",
		"select * from parted_1", "select * from typed", "select stored from worked", "select virtual from worked", "select * from worked_2",
		"copy worked_2 (stored) to stdout", "select id from worked where stored like 'S%'", "select id from worked order by virtual", "select id from aside.elsewhere where harmless like 'sk%'",
	} {
		got := leaked(t, s.PG, mustToken(t, s, "mallory"), sql, false)
		if strings.Contains(strings.ToLower(string(got)), "sk-live") || strings.Contains(string(got), "evil-ks") {
			t.Errorf("%s: it is in clear: %q", sql, got)
		}
		if strings.Contains(sql, " where ") || strings.Contains(sql, " order ") {
			if !strings.Contains(string(got), "is masked by") {
				t.Errorf("%s was not refused: %q", sql, got)
			}
		}
	}
}

func mustToken(t *testing.T, s *stage.Stage, as string) string {
	t.Helper()
	token, err := s.Token(t.Context(), as)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestDefinitionsThatReadOrFreeAMaskedColumnAreRefused(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL + movesSQL})
	policyFile(t, s, "30-rules.yaml", generous)
	c := connect(t, s, "mallory")
	for _, sql := range []string{
		"alter table accounts alter column api_key type regclass using api_key::regclass", "alter table accounts alter column api_key type varchar(12)",
		"alter table accounts alter api_key set not null", "alter table accounts add check (api_key <> 'x')", "alter table accounts add column k text generated always as (upper(api_key)) stored",
		"alter domain code12 add check (value::regclass is not null)", "alter domain code12 add constraint c check (length(value) > 12)", "alter domain code12 set not null",
		"create table guess partition of parted_key for values in ('sk-live-key-pk')", "create table guesses (k text references keyed)", "create table guesses (k text references keyed (api_key))",
		"create index on accounts (api_key)", "create statistics st on note, api_key from accounts", "alter table accounts rename to x", "alter index accounts rename to x",
		"alter table accounts rename column api_key to x", "alter table accounts set schema aside", "alter table only people drop column api_key", "alter table people drop column api_key",
		"alter table people_eu no inherit people", "alter table parted detach partition parted_1", "create table child () inherits (accounts)", "alter table worked alter stored drop expression",
		"explain select api_key from accounts", "explain (analyze, buffers) select id from accounts", "explain (analyze, buffers off, wal) update accounts set note = 'y'",
		"explain (analyze, buffers off, serialize text) select * from accounts", "create view v as select api_key from accounts", "create table copied as select * from accounts",
		"cluster accounts", "alter type account_t rename attribute api_key to x cascade", "alter table typed not of",
	} {
		_, err := c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		wantCode(t, err, "42501", "masked")
		if t.Failed() {
			t.Fatal(sql)
		}
	}
	for _, sql := range []string{
		"alter table accounts alter column note type varchar(20)", "alter table accounts add check (id > 0)", "create index on accounts (note)", "explain select id from accounts where id = 1",
		"explain (analyze, buffers off, timing off) select id from accounts", "alter table accounts add column more int not null default 1", "create table fine (id int references one_id)",
		"alter table accounts drop column more", "analyze accounts",
	} {
		if _, err := c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestRulesMatchWhatIsReached(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL + movesSQL})
	policyFile(t, s, "30-rules.yaml", generous+`
- name: dba
  who: {groups: [dba]}
  on: {targets: [orders]}
  allow: {}
- name: vault
  on: {targets: [orders], sql: {relations: [public.vault]}}
  deny: {message: The vault is closed.}
- name: ledger
  on: {targets: [orders], sql: {effects: [UPDATE, DELETE], relations: [public.ledger]}}
  deny: {message: The ledger is closed.}
`)
	c := connect(t, s, "mallory")
	for _, sql := range []string{
		"select id from vault", "select id from vault_view", "select count(*) from vault_over", "select id from vault_child", "copy vault_child to stdout", "delete from one_id",
		"insert into ruled_vault values (1)", "with x as (select id from vault_over) select 1 from x", "update ledger_1 set id = 2", "delete from ledger_1", "insert into vault_view values (1)",
		"drop table vault_child", "truncate vault_child", "lock table vault_view", "explain select id from vault_view",
		"grant select on vault_view to public", "grant select on vault_over to public", "revoke select on vault_over from public", "alter view vault_view owner to orders_app",
	} {
		_, err := c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		wantCode(t, err, "42501", "is closed")
		if t.Failed() {
			t.Fatal(sql)
		}
	}
	if _, err := c.Exec(t.Context(), "select id from ledger_1", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Errorf("reading is not what the rule denies: %v", err)
	}
	runSQL(t, s.Direct, "alter table ledger rename to book; alter table vault rename to cellar")
	time.Sleep(1200 * time.Millisecond)
	for _, sql := range []string{"delete from book", "delete from ledger_1", "select id from cellar", "select id from vault_view"} {
		_, err := c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		wantCode(t, err, "42501", "is closed")
	}
	// Within a transaction, nobody else can see what a name means now. No mask concerns alice.
	c = connect(t, s, "alice")
	for _, begin := range []string{"begin", "begin; savepoint s"} {
		if _, err := c.Exec(t.Context(), begin+"; alter table scratch rename to aside_1; alter table book rename to scratch", pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
		_, err := c.Exec(t.Context(), "delete from scratch", pgx.QueryExecModeSimpleProtocol)
		wantCode(t, err, "0A000", "renamed or moved")
		if _, err := c.Exec(t.Context(), "rollback", pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	for _, sql := range []string{
		"alter table book rename to scratch_2; delete from scratch_2", "create table kid partition of book for values from (20) to (30); update kid set id = 23",
		"create table kid() inherits (scratch); delete from kid",
	} {
		_, err := c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		wantCode(t, err, "0A000", "renamed or moved")
	}
	if _, err := c.Exec(t.Context(), "delete from scratch where id = 1", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Errorf("behind the end of the transaction: %v", err)
	}
	out, err := s.Sluice(t.Context(), "mallory", "policy", "explain", "--target", "orders", "select id from vault_over")
	if err != nil && !strings.Contains(out, "reached") || !strings.Contains(out, "(reached)") {
		t.Errorf("explain does not show what is reached: %v\n%s", err, out)
	}
}

func TestNamesOutliveAProcessAndARename(t *testing.T) {
	pg := catalogServer(t)
	conn := pg.Superuser("catalog")
	dir := t.TempDir()
	r := openCatalogWith(t, conn, relcache.NewNames(dir, time.Now))
	r.snapshot(t)
	runSQL(t, conn, "alter table customers rename column password to p; alter table customers rename to clients; alter table base rename to ground")
	again := openCatalogWith(t, conn, relcache.NewNames(dir, time.Now))
	r.Invalidate()
	r.snapshot(t)
	c := again.snapshot(t)
	rel := relationOf(t, c, "public", "clients")
	if len(rel.Former) != 1 || rel.Former[0].Name != "customers" || strings.Join(rel.Column("p").Former, " ") != "password" {
		t.Errorf("it was forgotten: %+v", rel)
	}
	kin := ""
	for _, name := range relationOf(t, c, "public", "leaf").FormerKin {
		kin += name.Name + " "
	}
	if !strings.Contains(kin, "base ") || !strings.Contains(kin, "mid ") {
		t.Errorf("leaf was kin of %q", kin)
	}
}

func TestErrorsOfDefinitionsQuoteNothingMaskedWhateverTheirClass(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL + movesSQL})
	policyFile(t, s, "30-rules.yaml", generous+`
- name: dba
  who: {groups: [dba]}
  on: {targets: [orders]}
  allow: {}
`)
	c := connect(t, s, "alice") // whom no mask concerns: she sees the value, the record does not
	for _, sql := range []string{
		"alter table accounts alter column api_key type regclass using api_key::regclass", "alter domain code12 add check (value::regclass is not null)",
		"select api_key::regclass from accounts", "create table copied as select api_key::regclass from accounts", "create index on accounts ((api_key::regclass::oid))",
		"alter table accounts add column r regclass generated always as (api_key::regclass) stored",
	} {
		_, err := c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		if err == nil {
			t.Errorf("%s: no error", sql)
		}
	}
	_, err := c.Exec(t.Context(), "select api_key::regclass from accounts", pgx.QueryExecModeSimpleProtocol)
	if err == nil || !strings.Contains(err.Error(), "sk-live") {
		t.Errorf("this proves nothing: %v", err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if replay := replayOf(t, s, "demo:alice"); strings.Contains(replay, "sk-live") || !strings.Contains(replay, "withheld") {
		t.Errorf("the record quotes it:\n%s", replay)
	}
}
