// Command benchhttp measures what Sluice costs in front of an HTTP service: requests at a fixed rate through each arm in
// turn, in one run, without TLS everywhere; a large body; many held requests; and masking alone, in this process. It
// prints ratios, which hold from machine to machine better than times do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// options are what a run is asked for.
type options struct {
	rounds, seconds, megabytes, held int
	// floor is the most that sluice's median may be of the no-op arm's, at 1 KB.
	floor float64
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; each has every arm once, the median counts")
	flag.IntVar(&o.seconds, "seconds", 2, "seconds of one arm in one round")
	flag.IntVar(&o.megabytes, "megabytes", 500, "size of the large body; 0 for none")
	flag.IntVar(&o.held, "held", 2000, "requests held at once; 0 for none")
	flag.Float64Var(&o.floor, "floor", 1.4, "fail if sluice's p50 at 1 KB is more than this many times the no-op arm's")
	child := flag.String("child", "", "be a part of the bench: service or noop (the bench starts them itself)")
	address := flag.String("address", "", "where that part listens")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if *child != "" {
		err = beChild(ctx, *child, *address)
	} else {
		err = bench(ctx, o)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchhttp:", err)
		os.Exit(1)
	}
}

// bench runs all parts. Faults of one do not stop the others: the last is the worst news, not the first.
func bench(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "sluice-benchhttp-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in the way of nobody
	fmt.Printf("load of the machine before: %s\n", machineLoad())
	// Held requests have processes of their own: memory that an earlier part has left behind would hide what they take.
	var holding error
	if o.held > 0 {
		holding = within(ctx, filepath.Join(dir, "held"), func(p *place) error { return holds(ctx, p, o.held) })
	}
	rest := within(ctx, filepath.Join(dir, "rest"), func(p *place) error {
		faults := []error{masking(ctx, p)}
		if o.megabytes > 0 {
			faults = append(faults, largeBody(ctx, p, o.megabytes))
		}
		return errors.Join(append(faults, latencies(ctx, p, o))...)
	})
	fmt.Printf("\nload of the machine after: %s\n", machineLoad())
	return errors.Join(holding, rest)
}

// within sets up a place, runs a part in it and takes it down.
func within(ctx context.Context, dir string, part func(*place) error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p, err := newPlace(ctx, dir)
	defer p.stop()
	if err != nil {
		return err
	}
	return part(p)
}
