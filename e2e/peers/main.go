// Command peers runs the test suites of PostgreSQL drivers twice, against the database itself and through Sluice, for a
// principal to whom everything is allowed and nothing is hidden: what differs is Sluice's doing. Nothing of the suites is
// kept here; pgx's comes with its module.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/e2e/stack"
)

// reach is how much of what passes on the database must pass through Sluice.
const reach = 0.96

func main() {
	least := flag.Float64("least", reach, "fail below this share of what passes on the database")
	only := flag.String("run", "", "only tests that match, as go test has it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *least); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, least float64) error {
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	place, stop, err := start(ctx, dir)
	if err != nil {
		return err
	}
	defer stop()
	failed := false
	for _, s := range []suite{pgx{only}} {
		direct, err := s.run(ctx, place.direct)
		if err != nil {
			return fmt.Errorf("%s on the database: %w", s.name(), err)
		}
		through, err := s.run(ctx, place.through)
		if err != nil {
			return fmt.Errorf("%s through Sluice: %w", s.name(), err)
		}
		if share := report(s.name(), direct, through); share < least {
			failed = true
		}
	}
	if failed {
		return fmt.Errorf("less than %.0f %% of what passes on the database passes through Sluice", 100*least)
	}
	return nil
}

// place is one database, and the ways to it.
type place struct{ direct, through server }

type server struct {
	port               int
	user, password, db string
}

// peersSQL makes what the suites expect of a database. The role is a superuser's on both ways: what it may do is no
// difference.
const peersSQL = `
alter role orders_app superuser;
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
    database: orders
    via: DIRECT
    tls: {mode: DISABLE}
  credential: {static: {username: orders_app, password: {env: ORDERS_PASSWORD}}}
rules:
- {name: peers, who: {groups: [agents]}, on: {targets: [peers]}, allow: {}}
`

func start(ctx context.Context, dir string) (place, func(), error) {
	starting, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	s, err := stage.Start(starting, stage.Options{Dir: filepath.Join(dir, "stage"), Plaintext: true, SQL: peersSQL})
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
	text := fmt.Sprintf(peersPolicy, port, s.Postgres.Port)
	if err := os.WriteFile(filepath.Join(s.PolicyDir, "95-peers.yaml"), []byte(text), 0o600); err != nil {
		return place{}, err
	}
	token, err := s.Token(ctx, "agent")
	if err != nil {
		return place{}, err
	}
	p := place{
		direct:  server{s.Postgres.Port, "orders_app", "the-real-database-password", "orders"},
		through: server{port, "orders_app", token, "orders"},
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
