// Command mutants runs mutation tests with gremlins, package by package, and says which changes of
// the code no test notices; deploy/MUTANTS.md has how it counts and the last figures.
//
//	mutants [-workers N] [-dry-run] [-v] [PACKAGE...]
//
// It exits with 0 only if, in each tree that has a floor, the share of killed mutants is not below it.
// Gremlins finds and applies the mutants. It calls `go` for tests; mutants puts itself in that place
// (standin.go), for what gremlins takes from `go test` is not what is wanted here:
//
//   - A mutant that does not compile is no mutant. `go test` exits with 1 for it as for a failed test,
//     and gremlins would count it as killed.
//   - Conditions of `case` and declarations of packages are in no block of a coverage profile, and
//     gremlins would not try them. Here each mutant is tried; one that lives is "not covered" if its
//     block was never executed, else "lived".
//   - The limit of a run follows from how long the tests take without a mutation, not from how long a
//     build took that may have been in the cache.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// trees are the packages that `make mutants` is about, each with its floor: how many in a hundred of
// all mutants must be killed.
var trees = []tree{
	{"extproc/postgres/engine", 85},
	{"authz/guard", 88},
	{"authz/approval", 88},
	{"policies", 88},
}

func main() {
	if filepath.Base(os.Args[0]) == "go" {
		os.Exit(standIn(os.Args[1:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Stdout, os.Stderr, os.Args[1:])
	stop()
	os.Exit(code)
}

// run is main with its surroundings named; the result is the exit status.
func run(ctx context.Context, stdout, stderr io.Writer, args []string) int {
	var g gremlins
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&g.program, "gremlins", "gremlins", "the `program` of gremlins")
	flags.IntVar(&g.workers, "workers", 1, "how many mutants are tried at once")
	verbose := flags.Bool("v", false, "show each mutant as gremlins tells it")
	flags.BoolVar(&g.dryRun, "dry-run", false, "count mutants and try none")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if *verbose {
		g.progress = stderr
	}
	patterns := flags.Args()
	if len(patterns) == 0 {
		for _, t := range trees {
			patterns = append(patterns, "./"+t.path+"/...")
		}
	}
	total, err := all(ctx, stdout, &g, patterns)
	if err != nil {
		fmt.Fprintln(stderr, "mutants:", err)
		return 1
	}
	if !total.close(stdout, g.dryRun) {
		return 1
	}
	return 0
}

// all tries the packages one after the other; survivors are told as each is done.
func all(ctx context.Context, stdout io.Writer, g *gremlins, patterns []string) (*table, error) {
	packages, err := list(ctx, patterns)
	if err != nil {
		return nil, err
	}
	total := &table{}
	for _, p := range packages {
		if p.helpsTests() {
			continue
		}
		mutants, err := g.unleash(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name(), err)
		}
		if len(mutants) > 0 {
			total.add(stdout, p, mutants, g.dryRun)
		}
	}
	if len(total.rows) == 0 {
		return nil, fmt.Errorf("there is nothing to change in %s", strings.Join(patterns, " "))
	}
	return total, nil
}
