package e2e

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

func TestWhoMayDoEverythingMayDoWhatIsNotUnderstood(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL + movesSQL + "grant create, temporary on database orders to orders_app;"})
	const dba = "- name: dba\n  who: {groups: [dba]}\n  on: {targets: [orders]}\n  allow: {}\n"
	policyFile(t, s, "30-rules.yaml", generous+dba)
	c := connect(t, s, "alice") // whom no mask concerns
	for _, sql := range []string{
		"do $$ begin raise notice 'it is %', (select api_key from accounts limit 1); end $$",
		"create function plus_one(int) returns int language sql as 'select $1 + 1'", "select plus_one(1)",
		"create temp table mine (id int, api_key text)", "insert into mine select id, api_key from accounts", "select * from mine", "drop table mine",
		"create function fires() returns trigger language plpgsql as 'begin return new; end'", "comment on function plus_one(int) is 'x'",
	} {
		if _, err := c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if replay := replayOf(t, s, "demo:alice"); strings.Contains(replay, "sk-live") {
		t.Errorf("a secret is in the record:\n%s", replay)
	}
	_, err := connect(t, s, "mallory").Exec(t.Context(), "do $$ begin end $$", pgx.QueryExecModeSimpleProtocol)
	wantCode(t, err, "42501", "is not known")
	policyFile(t, s, "30-rules.yaml", generous+dba+"- name: vault\n  on: {targets: [orders], sql: {effects: [DELETE], relations: [public.vault]}}\n  deny: {message: The vault is closed.}\n")
	_, err = connect(t, s, "alice").Exec(t.Context(), "do $$ begin delete from vault; end $$", pgx.QueryExecModeSimpleProtocol)
	wantCode(t, err, "42501", "The vault is closed")
}
