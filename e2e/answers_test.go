package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// TestWhatIsRefusedOrFailsSaysWhy: statements whose answers were of somebody else's words, or of none.
func TestWhatIsRefusedOrFailsSaysWhy(t *testing.T) {
	s := sharedStage(t)
	c := connectWith(t, s, "agent", func(cfg *pgx.ConnConfig) { cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol })
	for sql, want := range map[string]struct {
		code  string
		words []string
		not   string
	}{
		"explain execute p":                                            {"0A000", []string{"EXECUTE in SQL", "by the protocol"}, "migration"},
		"explain (analyze) execute p(1)":                               {"0A000", []string{"EXECUTE in SQL"}, "migration"},
		"create temp table x as execute p":                             {"0A000", []string{"EXECUTE in SQL"}, "migration"},
		"execute p":                                                    {"0A000", []string{"EXECUTE in SQL"}, ""},
		"set search_path = public":                                     {"42501", []string{"the effect of SET is not known", "Name schemas in your statements"}, ""},
		"set local search_path to pg_temp":                             {"42501", []string{"search_path", "Name schemas"}, ""},
		"do $$begin end$$":                                             {"42501", []string{"the effect of DO is not known", `rule "never-drop" could deny it`}, ""},
		"drop table customers":                                         {"42501", []string{"migration"}, "not known"},
		"set client_min_messages = panic":                              {"22023", []string{`"panic"`, "Available values"}, "withheld"},
		"set statement_timeout = abc":                                  {"22023", []string{`"abc"`}, "withheld"},
		"set work_mem = '1 parsec'; set jit = off":                     {"22023", []string{"parsec"}, "withheld"},
		"select name::int from customers":                              {"22P02", []string{"withheld"}, "Customer"},
		"set jit = on; select name::int from customers":                {"22P02", []string{"withheld"}, "Customer"},
		"select set_config('jit', name, false) from customers limit 1": {"22023", []string{"withheld"}, "Customer"},
		"select $2147483648":                                           {"42601", []string{"parameter number too large"}, ""},
	} {
		_, err := c.Exec(t.Context(), sql)
		var e *pgconn.PgError
		if !asPgError(err, &e) || e.Code != want.code {
			t.Errorf("%s: %v, want %s", sql, err, want.code)
			continue
		}
		text := fmt.Sprintf("%s\n%s\n%s", e.Message, e.Detail, e.Hint)
		for _, w := range want.words {
			if !strings.Contains(text, w) {
				t.Errorf("%s: %q is missing in: %s", sql, w, text)
			}
		}
		if want.not != "" && strings.Contains(text, want.not) {
			t.Errorf("%s: %s", sql, text)
		}
	}
}
