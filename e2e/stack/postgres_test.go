package stack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const patience = 30 * time.Second

// query returns the single text that sql answers.
func query(t *testing.T, conn, sql string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := pgx.Connect(ctx, conn)
	if err != nil {
		return "", err
	}
	defer c.Close(ctx)
	var answer string
	err = c.QueryRow(ctx, sql).Scan(&answer)
	return answer, err
}

func wantAnswer(t *testing.T, conn, sql, want string) {
	t.Helper()
	if got, err := query(t, conn, sql); err != nil || got != want {
		t.Errorf("%s: %q, %v; want %q", sql, got, err, want)
	}
}

const role = `create role app login password 'it''s \secret';
create database orders owner app;
\connect orders
create table public.t (x text); insert into t values ('kept'); grant select on t to app;`

const password = `it's \secret`

func TestPostgresAsksForSCRAMOverTLSAndKeepsItsData(t *testing.T) {
	Need(t, "postgresql")
	dir := filepath.Join(NewShortDir(t), "postgresql")
	o := PostgresOptions{Dir: dir, TLS: true, InitSQL: role, Settings: map[string]string{"application_name": "of the test"}}
	p := NewPostgres(t, o)
	app := p.ConnString("app", password, "orders")
	wantAnswer(t, app, "select x from t", "kept")
	wantAnswer(t, app, "select version from pg_stat_ssl where pid = pg_backend_pid()", "TLSv1.3")
	wantAnswer(t, app, "show server_version", "18.6")
	wantAnswer(t, p.Superuser("orders"), "select x from t", "kept")
	if _, err := query(t, p.ConnString("app", "wrong", "orders"), "select x from t"); err == nil {
		t.Error("a wrong password was let in")
	}
	if _, err := query(t, p.ConnString("postgres", "", "orders"), "select x from t"); err == nil {
		t.Error("the superuser was let in over TCP without a password")
	}

	p.Stop()
	if _, err := query(t, app, "select 1::text"); err == nil {
		t.Error("it answers after Stop")
	}
	o.Port = p.Port
	again := NewPostgres(t, o)
	wantAnswer(t, again.ConnString("app", password, "orders"), "select x from t", "kept")
	again.Kill()
	once := NewPostgres(t, o)
	wantAnswer(t, once.ConnString("app", password, "orders"), "select x from t", "kept")
	if err := once.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data is still there: %v", err)
	}
}

func TestAPausedPostgresHoldsConnectionsAndAnswersNothing(t *testing.T) {
	p := NewPostgres(t, PostgresOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := pgx.Connect(ctx, p.Superuser("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	p.Pause()
	answered := make(chan error, 1)
	go func() { answered <- c.Ping(ctx) }()
	select {
	case err := <-answered:
		t.Errorf("a paused server answered: %v", err)
	case <-time.After(200 * time.Millisecond):
		p.Resume()
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
}

// Where we are root, both ways not to be are tried, whichever one this machine would choose.
func TestPostgresRunsInEachWayThatThisUserHas(t *testing.T) {
	Need(t, "postgresql")
	bin, err := PostgresTool("")
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]func(dir string) (account, error){
		"as chosen": func(dir string) (account, error) { return newAccount(t.Context(), dir) },
	}
	if os.Geteuid() == 0 {
		ways["as another user"] = func(dir string) (account, error) { return changedUser(t.Context(), bin, dir) }
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			dir := NewShortDir(t)
			a, err := way(dir)
			if err != nil {
				t.Fatal(err)
			}
			p, err := startPostgresAs(t.Context(), a, PostgresOptions{Dir: dir, TLS: true, InitSQL: role})
			if err != nil {
				t.Fatal(err)
			}
			wantAnswer(t, p.ConnString("app", password, "orders"), "select x from t", "kept")
			if err := p.Remove(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(a.place, "data")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the data is still there: %v", err)
			}
		})
	}
}

func TestAPostgresThatCannotStartShowsItsLog(t *testing.T) {
	Need(t, "postgresql")
	o := PostgresOptions{Dir: NewShortDir(t), Settings: map[string]string{"no_such_setting": "1"}}
	if _, err := StartPostgres(t.Context(), o); err == nil || !strings.Contains(err.Error(), `unrecognized configuration parameter "no_such_setting"`) {
		t.Errorf("got %v", err)
	}
	o = PostgresOptions{Dir: NewShortDir(t), InitSQL: "select no_such_column"}
	if _, err := StartPostgres(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no_such_column") {
		t.Errorf("got %v", err)
	}
	if _, err := StartPostgres(t.Context(), PostgresOptions{Dir: "relative"}); err == nil {
		t.Error("a relative directory was taken")
	}
}
