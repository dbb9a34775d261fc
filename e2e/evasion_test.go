package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// evasion is one way to see, or to guess, what a mask hides. Two copies of everything are run, which differ in nothing
// but the hidden values: what an agent gets from both must be the same to the byte, whatever the way. So a secret, a
// part of one, its length, its order and a guess that comes true are all found alike. What the superuser gets on a
// direct connection must differ: that is the control.
type evasion struct {
	// claim names the way.
	claim string
	// steps are statements of one session; a failure does not stop the next. In the simple protocol one step may hold
	// several statements.
	steps []string
	// run is used in place of steps for what no SQL says.
	run func(ctx context.Context, c *pgconn.PgConn)
	// simple: for the simple protocol only.
	simple bool
	// commits: its control must not be rolled back, since it takes effect at COMMIT.
	commits bool
	// uncontrolled says why the way leads nowhere on a bare database either, or cannot be run on it.
	uncontrolled string
}

// modes are how statements are sent.
var modes = []string{"simple", "text", "binary"}

func (e evasion) modes() []string {
	if e.run != nil || e.simple {
		return modes[:1]
	}
	return modes
}

// attempt runs an evasion, whatever comes of it.
func (e evasion) attempt(ctx context.Context, c *pgconn.PgConn, mode string) {
	if e.run != nil {
		e.run(ctx, c)
		return
	}
	for i, sql := range e.steps {
		step(ctx, c, mode, i, sql, true)
	}
}

// step sends one statement; its bytes are what counts, not its outcome. A prepared one that has rows runs again.
func step(ctx context.Context, c *pgconn.PgConn, mode string, i int, sql string, again bool) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	switch mode {
	case "simple":
		_, _ = c.Exec(ctx, sql).ReadAll()
	case "text":
		c.ExecParams(ctx, sql, nil, nil, nil, nil).Read()
	default:
		name := fmt.Sprintf("s%d", i)
		if _, err := c.Prepare(ctx, name, sql, nil); err != nil {
			return
		}
		if r := c.ExecPrepared(ctx, name, nil, nil, []int16{1}).Read(); again && len(r.Rows) > 0 {
			c.ExecPrepared(ctx, name, nil, nil, []int16{1}).Read()
		}
	}
}

// wiretap keeps every byte that reaches a client.
type wiretap struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (w *wiretap) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

func (w *wiretap) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Reset()
}

func (w *wiretap) bytes() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Clone(w.buf.Bytes())
}

// tapped connects and taps what comes back.
func tapped(ctx context.Context, conn, password string) (*pgconn.PgConn, *wiretap, error) {
	cfg, err := pgx.ParseConfig(conn)
	if err != nil {
		return nil, nil, err
	}
	tap := &wiretap{}
	if password != "" {
		cfg.Password = password
	}
	cfg.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(io.TeeReader(r, tap), w)
	}
	c, err := pgconn.ConnectConfig(ctx, &cfg.Config)
	if err != nil {
		return nil, nil, err
	}
	tap.reset()
	return c, tap, nil
}

// seen runs an evasion on a connection of its own and returns all that came back.
func (e evasion) seen(t *testing.T, conn, password, mode string, wrap bool) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	c, tap, err := tapped(ctx, conn, password)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if wrap { // what the control changes does not stay
		_, _ = c.Exec(ctx, "begin").ReadAll()
		for i, sql := range e.steps {
			_, _ = c.Exec(ctx, "savepoint control").ReadAll()
			step(ctx, c, mode, i, sql, false)
			if c.TxStatus() == 'E' {
				_, _ = c.Exec(ctx, "rollback to control").ReadAll()
			}
		}
		_, _ = c.Exec(ctx, "rollback").ReadAll()
	} else {
		e.attempt(ctx, c, mode)
	}
	return steady(tap.bytes())
}

// volatile is what differs from run to run: times, and the numbers of sessions and processes.
var volatile = regexp.MustCompile(`(?:actual time=|Time: )\d+\.\d+(?:\.\.\d+\.\d+)?|sluice/mallory/[0-9a-zA-Z-]+|A\x00\x00\x00(?s:.{5})`)

func steady(b []byte) []byte { return volatile.ReplaceAll(b, []byte("~")) }

// secrets are what may appear in no form in what an agent gets: in clear, changed for the second copy, as hexadecimal,
// backwards.
var secrets = regexp.MustCompile(`(?i)secret-password|hvxivg-kzhhdliw|sk-live-key|hp-orev-pvb|4000-1234|5999-8765|customer\d+@|xfhglnvi\d+@|7365637265742d|6876786976672d|drowssap-terces`)

// generous lets the agent do whatever a rule can allow, so that only masks are in the way.
const generous = `rules:
- name: generous
  who: {subjects: [mallory]}
  on: {targets: [orders]}
  allow: {}
- name: named
  who: {subjects: [mallory]}
  on:
    targets: [orders]
    sql:
      relations: [pg_catalog.query_to_xml, pg_catalog.table_to_xml, pg_catalog.schema_to_xml, pg_catalog.database_to_xml, pg_catalog.cursor_to_xml,
        pg_catalog.query_to_xml_and_xmlschema, pg_catalog.ts_stat, pg_catalog.ts_rewrite, pg_catalog.pg_read_file, pg_catalog.pg_read_binary_file, pg_catalog.pg_ls_dir,
        pg_catalog.lo_import, pg_catalog.lo_export, pg_catalog.lo_from_bytea, pg_catalog.lo_get, pg_catalog.loread, pg_catalog.lo_open, pg_catalog.tsvector_update_trigger,
        pg_catalog.tsvector_update_trigger_column, pg_catalog.json_populate_record, pg_catalog.jsonb_populate_record, pg_catalog.jsonb_populate_recordset, pg_catalog.pg_sleep, pg_catalog.lastval,
        pg_catalog.pg_input_is_valid, pg_catalog.pg_input_error_info, pg_catalog.pg_log_backend_memory_contexts, pg_catalog.suppress_redundant_updates_trigger,
        pg_catalog.json_populate_recordset, pg_catalog.json_to_record, pg_catalog.jsonb_to_record, public.dblink]
  allow: {}
`

// twoWorlds are two stages that differ in the hidden values only.
func twoWorlds(t *testing.T) (worlds [2]*stage.Stage, tokens [2]string) {
	t.Helper()
	for i, to := range []string{letters, mirrored} {
		change := fmt.Sprintf(`
UPDATE customers SET password = translate(password, %[1]s, %[2]s), api_key = translate(api_key, %[1]s, %[2]s),
	email = translate(split_part(email, '@', 1), %[1]s, %[2]s) || '@' || split_part(email, '@', 2);
UPDATE payments SET card_number = translate(card_number, %[1]s, %[2]s);
UPDATE staff SET api_key = translate(api_key, %[1]s, %[2]s);
CLUSTER customers USING customers_pkey; CLUSTER payments USING payments_pkey;
REFRESH MATERIALIZED VIEW customer_copy;
`, "'"+letters+"'", "'"+to+"'")
		s := ownStage(t, stage.Options{SQL: extraSQL + evasionSQL + change})
		policyFile(t, s, "30-rules.yaml", generous)
		token, err := s.Token(t.Context(), "mallory")
		if err != nil {
			t.Fatal(err)
		}
		worlds[i], tokens[i] = s, token
	}
	return worlds, tokens
}

const (
	letters  = "abcdefghijklmnopqrstuvwxyz0123456789"
	mirrored = "zyxwvutsrqponmlkjihgfedcba9876543210"
)

func TestWhatAMaskHidesCannotBeSeenOrGuessed(t *testing.T) {
	all := evasions()
	worlds, tokens := twoWorlds(t)
	only := os.Getenv("SLUICE_EVASION") // for whoever looks into one
	attempts := 0
	for _, e := range all {
		if only != "" && !strings.Contains(e.claim, only) {
			continue
		}
		for _, mode := range e.modes() {
			attempts++
			t.Run(e.claim+"/"+mode, func(t *testing.T) {
				var got [2][]byte
				for i, s := range worlds {
					got[i] = e.seen(t, s.PG, tokens[i], mode, false)
					if found := secrets.Find(got[i]); found != nil {
						t.Errorf("%q came back:\n%q", found, around(got[i], found))
					}
				}
				if !bytes.Equal(got[0], got[1]) {
					t.Errorf("what comes back depends on what is hidden:\n%s", difference(got[0], got[1]))
				}
				if t.Failed() || testing.Verbose() && only != "" {
					t.Logf("%q", got[0][:min(len(got[0]), 2000)])
				}
			})
		}
	}
	if attempts < 90 && only == "" {
		t.Errorf("%d attempts", attempts)
	}
	for _, e := range all {
		if only != "" && !strings.Contains(e.claim, only) || e.uncontrolled != "" {
			continue
		}
		for _, mode := range e.modes() {
			t.Run("control of "+e.claim+"/"+mode, func(t *testing.T) {
				wrap := e.run == nil && !e.commits
				a, b := e.seen(t, worlds[0].Direct, "", mode, wrap), e.seen(t, worlds[1].Direct, "", mode, wrap)
				if bytes.Equal(a, b) {
					t.Errorf("a bare database tells nothing either, so this proves nothing:\n%q", a[:min(len(a), 2000)])
				}
			})
		}
	}
	noSecretIn(t, worlds[0].SluiceLog())
	noSecretIn(t, worlds[1].SluiceLog())
}

// noSecretIn checks a log.
func noSecretIn(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	if found := secrets.Find(text); found != nil {
		t.Errorf("%s has %q: %s", path, found, around(text, found))
	}
}

func around(b, found []byte) []byte {
	i := bytes.Index(b, found)
	return b[max(0, i-200):min(len(b), i+200)]
}

// difference shows where two streams part.
func difference(a, b []byte) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	from := max(0, i-100)
	return fmt.Sprintf("%q\n%q", a[from:min(len(a), i+200)], b[from:min(len(b), i+200)])
}
