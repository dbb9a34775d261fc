package stack

import (
	"os"
	"path/filepath"
	"testing"
)

// Need skips the test, with the reason, unless each tool is installed. The names are those of
// deploy/tools/install.
func Need(t testing.TB, tools ...string) {
	t.Helper()
	for _, name := range tools {
		if _, err := Tool(name); err != nil {
			t.Skip(err.Error())
		}
	}
}

// NewShortDir is ShortDir for a test, at whose end it is removed.
func NewShortDir(t testing.TB) string {
	t.Helper()
	dir, err := ShortDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// NewPostgres is StartPostgres for a test, at whose end the server stops. An empty Dir means one of
// its own, which is removed.
func NewPostgres(t testing.TB, o PostgresOptions) *Postgres {
	t.Helper()
	Need(t, "postgresql")
	own := o.Dir == ""
	if own {
		o.Dir = filepath.Join(NewShortDir(t), "postgresql")
	}
	p, err := StartPostgres(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		finish(t, p.Stop, p.LogFile())
		if own {
			_ = p.Remove()
		}
	})
	return p
}

// NewValkey is StartValkey for a test, at whose end the server stops. An empty Dir means one of its
// own, which is removed.
func NewValkey(t testing.TB, o ValkeyOptions) *Valkey {
	t.Helper()
	Need(t, "valkey")
	if o.Dir == "" {
		o.Dir = filepath.Join(NewShortDir(t), "valkey")
	}
	v, err := StartValkey(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { finish(t, v.Stop, v.LogFile()) })
	return v
}

// NewEnvoy is StartEnvoy for a test, at whose end it stops. An empty LogFile means one of its own.
func NewEnvoy(t testing.TB, o EnvoyOptions) *Envoy {
	t.Helper()
	Need(t, "envoy")
	if o.LogFile == "" {
		o.LogFile = filepath.Join(NewShortDir(t), "envoy.log")
	}
	e, err := StartEnvoy(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { finish(t, e.Stop, e.LogFile()) })
	return e
}

// finish stops a server; a failed test shows what it said.
func finish(t testing.TB, stop func(), logFile string) {
	t.Helper()
	stop()
	if t.Failed() {
		t.Logf("%s ends:\n%s", logFile, tail(logFile))
	}
}
