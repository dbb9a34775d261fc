package e2e

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

func TestSecretsInSettingsAndOptionsAreNotShownWhereMasksApply(t *testing.T) {
	s := ownStage(t, stage.Options{SQL: extraSQL + `
alter database orders set app.jwt_secret = 'sk-live-key-jwt';
alter role orders_app set app.role_secret = 'sk-live-key-role';
create foreign data wrapper w options (password 'sk-live-key-fdw');
create server srv foreign data wrapper w options (password 'sk-live-key-srv');
create user mapping for orders_app server srv options (password 'sk-live-key-map');
create foreign table far (a int options (password 'sk-live-key-col')) server srv options (password 'sk-live-key-tab');
grant all on all tables in schema public to public;
grant usage on foreign server srv to orders_app; grant usage on foreign data wrapper w to orders_app;
`})
	policyFile(t, s, "30-rules.yaml", generous)
	for _, sql := range []string{
		"select current_setting('app.jwt_secret')", "show app.jwt_secret", "select current_setting(s) from (values ('app.jwt_secret')) v(s)",
		"select 1 where current_setting('app.role_secret') like 'sk%'", "select pg_catalog.current_setting('APP.jwt_secret', true)",
		"select * from pg_db_role_setting", "select rolconfig from pg_roles where rolname = 'orders_app'", "select * from pg_roles", "select useconfig from pg_user",
		"select ftoptions from pg_foreign_table", "select srvoptions from pg_foreign_server", "select umoptions from pg_user_mapping", "select umoptions from pg_user_mappings",
		"select fdwoptions from pg_foreign_data_wrapper", "select attfdwoptions from pg_attribute where attfdwoptions is not null", "select * from pg_attribute",
		"select * from information_schema.foreign_table_options", "select * from information_schema.foreign_server_options", "select * from information_schema.user_mapping_options",
		"select * from information_schema.column_options", "select * from information_schema.foreign_data_wrapper_options",
		"select * from pg_options_to_table((select ftoptions from pg_foreign_table limit 1))",
	} {
		got := leaked(t, s.PG, mustToken(t, s, "mallory"), sql, false)
		if strings.Contains(string(got), "sk-live") {
			t.Errorf("%s: it is in clear: %q", sql, around(got, []byte("sk-live")))
		}
	}
	c := connect(t, s, "mallory")
	for _, sql := range []string{
		"select current_setting('server_version_num')", "show search_path", "select rolname from pg_roles", "select attname from pg_attribute limit 1",
		"select set_config('app.tenant', '7', false)", "set app.tenant = '8'", "show all",
	} {
		if _, err := c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	policyFile(t, s, "30-rules.yaml", generous+`
- name: tenant
  who: {subjects: [mallory]}
  on: {targets: [orders], sql: {effects: [SESSION], relations: [app.tenant]}}
  allow: {}
`)
	var tenant string
	if err := c.QueryRow(t.Context(), "select current_setting('app.tenant')", pgx.QueryExecModeSimpleProtocol).Scan(&tenant); err != nil || tenant != "8" {
		t.Errorf("what a rule names: %q, %v", tenant, err)
	}
}
