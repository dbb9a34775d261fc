package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	pgxdriver "github.com/jackc/pgx/v5"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/e2e/stack"
)

// place is one database, and the ways to it.
type place struct{ direct, through server }

// server is where a suite connects to, and as whom.
type server struct {
	port               int
	user, password, db string
}

func (s server) conninfo() string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s dbname=%s sslmode=disable", s.port, s.user, s.password, s.db)
}

// variables are what libpq and its kin read.
func (s server) variables() []string {
	return []string{
		"PGHOST=127.0.0.1", fmt.Sprintf("PGPORT=%d", s.port), "PGUSER=" + s.user, "PGPASSWORD=" + s.password, "PGDATABASE=" + s.db,
	}
}

func (s server) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgxdriver.Connect(ctx, s.conninfo())
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// database is the one that suites expect to be there.
const database = "postgres"

// roleSQL makes the role a superuser's on both ways: what it may do is no difference.
const roleSQL = "alter role orders_app superuser;"

// peersSQL makes what the suites expect of the database.
const peersSQL = `
create extension if not exists hstore;
create extension if not exists ltree;
create domain uint64 as numeric(20,0);
create user " tricky, ' } "" \\ test user " superuser password 'secret';
`

const peersPolicy = `targets:
- name: peers
  listener: {address: 127.0.0.1, port: %d, allow_plaintext: true}
  postgres:
    endpoints: [{host: 127.0.0.1, port: %d}]
    database: ` + database + `
    via: DIRECT
    tls: {mode: DISABLE}
  credential: {static: {username: orders_app, password: {env: ORDERS_PASSWORD}}}
rules:
- {name: peers, who: {groups: [agents]}, on: {targets: [peers]}, allow: {}}
`

func start(ctx context.Context, dir string) (place, func(), error) {
	starting, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	s, err := stage.Start(starting, stage.Options{Dir: filepath.Join(dir, "stage"), Plaintext: true, SQL: roleSQL})
	if err != nil {
		return place{}, nil, err
	}
	p, err := openTo(starting, s)
	if err != nil {
		s.Stop()
		return place{}, nil, err
	}
	return p, s.Stop, nil
}

// openTo adds the target for which nothing is denied, held or hidden, and waits until it lets somebody in.
func openTo(ctx context.Context, s *stage.Stage) (place, error) {
	port, err := stack.FreePort(ctx)
	if err != nil {
		return place{}, err
	}
	token, err := s.Token(ctx, "agent")
	if err != nil {
		return place{}, err
	}
	p := place{
		direct:  server{s.Postgres.Port, "orders_app", "the-real-database-password", database},
		through: server{port, "orders_app", token, database},
	}
	if err := p.direct.fill(ctx); err != nil {
		return place{}, err
	}
	text := fmt.Sprintf(peersPolicy, port, s.Postgres.Port)
	if err := os.WriteFile(filepath.Join(s.PolicyDir, "95-peers.yaml"), []byte(text), 0o600); err != nil {
		return place{}, err
	}
	for {
		err := p.through.answers(ctx)
		if err == nil {
			return p, nil
		}
		select {
		case <-ctx.Done():
			return place{}, errors.Join(errors.New("the target does not let anybody in"), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// fill makes what the suites expect.
func (s server) fill(ctx context.Context) error {
	conn, err := pgxdriver.Connect(ctx, s.conninfo())
	if err != nil {
		return err
	}
	_, err = conn.PgConn().Exec(ctx, peersSQL).ReadAll()
	return errors.Join(err, conn.Close(ctx))
}
