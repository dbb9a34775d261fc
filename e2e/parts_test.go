package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicegate/sluice/e2e/stack"
	"github.com/sluicegate/sluice/envoy"
)

const patience = 30 * time.Second

// patient is a context that ends a hanging test.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestEnvoyPostgresAndValkeyRunSideBySide(t *testing.T) {
	stack.Need(t, "envoy", "postgresql", "valkey", "python")
	dir := stack.NewShortDir(t)
	postgres := stack.NewPostgres(t, stack.PostgresOptions{
		TLS: true, InitSQL: "create role app login password 'secret'",
	})
	valkey := stack.NewValkey(t, stack.ValkeyOptions{Password: "secret"})
	c := envoy.Default()
	c.XDS.Socket, c.Admin.Socket = filepath.Join(dir, "x"), filepath.Join(dir, "a")
	bootstrap, err := envoy.Bootstrap(c)
	if err != nil {
		t.Fatal(err)
	}
	bootstrap.DynamicResources = nil // no control plane in this test
	proxy := stack.NewEnvoy(t, stack.EnvoyOptions{Bootstrap: bootstrap})

	conn := postgres.ConnString("app", "secret", "postgres")
	t.Run("psql", func(t *testing.T) {
		psql, err := stack.PostgresTool("psql")
		if err != nil {
			t.Fatal(err)
		}
		wantOutput(t, "PostgreSQL 18.", psql, "--no-psqlrc", "-At", "-c", "select version()", conn)
	})
	t.Run("psycopg", func(t *testing.T) {
		wantOutput(t, "PostgreSQL 18.", python(t), "-c",
			"import sys, psycopg; print(psycopg.connect(sys.argv[1]).execute('select version()').fetchone()[0])", conn)
	})
	t.Run("asyncpg", func(t *testing.T) {
		wantOutput(t, "PostgreSQL 18.", python(t), "-c", `
import asyncio, asyncpg, ssl, sys
async def main():
    c = await asyncpg.connect(host="127.0.0.1", port=int(sys.argv[1]), user="app", password="secret",
                              database="postgres", ssl=ssl.create_default_context(cafile=sys.argv[2]))
    print(await c.fetchval("select version()"))
asyncio.run(main())`, strconv.Itoa(postgres.Port), postgres.CAFile())
	})
	t.Run("valkey", func(t *testing.T) {
		client := redis.NewClient(valkey.Options())
		defer client.Close()
		if err := client.Ping(patient(t)).Err(); err != nil {
			t.Error(err)
		}
	})
	t.Run("envoy", func(t *testing.T) {
		if err := proxy.Ready(patient(t)); err != nil {
			t.Fatal(err)
		}
		info, err := proxy.Admin(patient(t), "/server_info")
		if err != nil || !strings.Contains(string(info), "/"+envoy.Version+"/") {
			t.Errorf("server info: %v, %.300s", err, info)
		}
	})
}

func python(t *testing.T) string {
	t.Helper()
	path, err := stack.Tool("python")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// wantOutput runs a client and wants its output to begin so.
func wantOutput(t *testing.T, want, program string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(patient(t), program, args...).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("%s: %v: %s; want %s…", filepath.Base(program), err, out, want)
	}
}
