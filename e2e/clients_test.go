package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sluicegate/sluice/e2e/stack"
)

func TestPythonClients(t *testing.T) {
	stack.Need(t, "python")
	s := sharedStage(t)
	python, err := stack.Tool("python")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range []string{"psycopg_agent.py", "asyncpg_agent.py", "httpx_agent.py"} {
		t.Run(script, func(t *testing.T) {
			token, err := s.Token(t.Context(), "agent")
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), python, "clients/"+script)
			cmd.Env = append(os.Environ(), "SLUICE_PG="+s.PG, "PGPASSWORD="+token, "SLUICE_CA="+s.CA, fmt.Sprintf("SLUICE_PORT=%d", s.Port), "TOKEN="+token, "SLUICE_HTTP="+s.HTTP, "SLUICE_HTTP_CA="+s.HTTPCA)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "every claim holds") {
				t.Errorf("%v:\n%s", err, out)
			}
		})
	}
}

func TestPsql(t *testing.T) {
	s := sharedStage(t)
	for _, c := range []struct {
		name, script string
		want         []string
	}{
		{"select 1", "select 1;", []string{"(1 row)"}},
		{"a transaction", "begin;\nselect count(*) from orders;\ncommit;", []string{"BEGIN", "COMMIT"}},
		{"backslash d", `\d`, []string{"customers", "orders", "payments", "customer_view"}},
		{"backslash d of a table", `\d customers`, []string{"password", "customers_pkey"}},
		{"backslash d of a view with its text", `\d+ customer_view`, []string{"View definition", "customers"}},
		{"roles", `\du`, []string{"orders_app"}},
		{"functions", `\df`, []string{"customer_password"}},
		{"sizes", `\dt+`, []string{"kB"}},
		{"settings", "show server_version;\nset statement_timeout = '5s';\nshow statement_timeout;", []string{"18.", "5s"}},
		{"conninfo", `\conninfo`, []string{"TLS"}},
		{"copy", `\copy (select id, name from customers order by id limit 2) to stdout`, []string{"1\tCustomer 1"}},
		{"masked", "select * from customers where id = 5;", []string{"[masked]", "***@example.com"}},
		{"a masked view", "select * from customer_view limit 1;", []string{"[masked]"}},
		{"a view of what is not masked", "select orders.id, name from orders join customers on customers.id = customer_id where orders.id = 9;", []string{"Customer 9"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd, err := s.PsqlCommand(t.Context(), "agent", "-X", "-v", "ON_ERROR_STOP=1")
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdin = strings.NewReader(c.script)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v:\n%s", err, out)
			}
			for _, w := range c.want {
				if !strings.Contains(string(out), w) {
					t.Errorf("%q is missing in:\n%s", w, out)
				}
			}
			if strings.Contains(string(out), "secret-password") || strings.Contains(string(out), "sk-live") {
				t.Errorf("a secret is in:\n%s", out)
			}
		})
	}
}

func TestPgxInEachMode(t *testing.T) {
	s := sharedStage(t)
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			c := connectWith(t, s, "agent", func(cfg *pgx.ConnConfig) { cfg.DefaultQueryExecMode = mode })
			for i := 1; i <= 3; i++ {
				var id int
				var password string
				if err := c.QueryRow(t.Context(), "select id, password from customers where id = $1", i).Scan(&id, &password); err != nil {
					t.Fatal(err)
				}
				if id != i || password != "[masked]" {
					t.Errorf("got %d %q", id, password)
				}
			}
			batch := &pgx.Batch{}
			for i := range 20 {
				batch.Queue("select $1::int + 1", i)
			}
			if err := c.SendBatch(t.Context(), batch).Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestADBASeesInClearAndTheRecordDoesNot(t *testing.T) {
	s := sharedStage(t)
	c := connect(t, s, "alice")
	var password string
	if err := c.QueryRow(t.Context(), "select password from customers where id = 1").Scan(&password); err != nil {
		t.Fatal(err)
	}
	if password != "secret-password-1" {
		t.Errorf("a DBA is excepted from the mask, but got %q", password)
	}
	var n int
	if err := c.QueryRow(t.Context(), "select count(*) from customers where password = 'secret-password-2' or api_key = $1", "sk-live-key-000003").Scan(&n); err != nil || n != 2 {
		t.Errorf("got %d, %v", n, err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	replay := replayOf(t, s, "demo:alice")
	for _, secret := range []string{"secret-password-1", "secret-password-2", "sk-live-key-000003"} {
		if strings.Contains(replay, secret) {
			t.Errorf("%q is in the record:\n%s", secret, replay)
		}
	}
	if strings.Contains(replay, "with masks") {
		t.Errorf("masks are named that do not apply to a DBA:\n%s", replay)
	}
	if strings.Contains(replay, "  2\n") {
		t.Error("the record has an answer about what is masked")
	}
	for _, w := range []string{"[masked]", "‹hidden, 17 bytes", "‹hidden, 18 bytes", "  count\n"} {
		if !strings.Contains(replay, w) {
			t.Errorf("%q is missing in:\n%s", w, replay)
		}
	}
}
