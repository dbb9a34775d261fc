// Command peers runs the test suites of PostgreSQL drivers twice, against the database itself and through Sluice, for a
// principal to whom everything is allowed and nothing is hidden: what differs is Sluice's doing. Nothing of the suites is
// kept here: pgx's come with its module, asyncpg's with its source, psycopg's and node-postgres' from checkouts that
// PSYCOPG_DIR and NODE_PG_DIR name.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

// reach is how much of what passes on the database must pass through Sluice, where a suite has a bound.
const reach = 0.96

func main() {
	least := flag.Float64("least", reach, "fail below this share of what passes on the database")
	suites := flag.String("suites", "pgx,asyncpg,psycopg,node-postgres", "which suites to run")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, strings.Split(*suites, ","), *least); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, wanted []string, least float64) error {
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
	var results []result
	for _, s := range []suite{&pgx{}, &asyncpg{}, &psycopg{dir: os.Getenv("PSYCOPG_DIR")}, &nodePostgres{dir: os.Getenv("NODE_PG_DIR")}} {
		if !slices.Contains(wanted, s.name()) {
			continue
		}
		r, err := try(ctx, s, filepath.Join(dir, s.name()), place)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name(), err)
		}
		r.print()
		results = append(results, r)
	}
	return summary(results, least)
}

// try runs a suite both ways.
func try(ctx context.Context, s suite, dir string, p place) (result, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return result{}, err
	}
	err := s.prepare(ctx, dir)
	var not *notRun
	if errors.As(err, &not) {
		return result{suite: s, not: not.reason}, nil
	}
	if err != nil {
		return result{}, err
	}
	direct, err := s.run(ctx, p.direct, nil)
	if err != nil {
		return result{}, fmt.Errorf("on the database: %w", err)
	}
	through, err := s.run(ctx, p.through, nil)
	if err != nil {
		return result{}, fmt.Errorf("through Sluice: %w", err)
	}
	r := compare(s, direct, through)
	for range retries {
		if err := r.again(ctx, p); err != nil {
			return result{}, err
		}
	}
	return r, nil
}
