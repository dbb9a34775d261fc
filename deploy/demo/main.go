// Command demo runs the whole of Sluice on one machine: up keeps it running, demo plays a story on it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/deploy/demo/story"
)

const (
	defaultDir  = ".demo"
	defaultBase = 15400
	// setUp is how long everything may take to start.
	setUp = 2 * time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: demo up|demo")
	}
	switch args[0] {
	case "up":
		return up(ctx)
	case "demo":
		return demo(ctx)
	}
	return fmt.Errorf("%q is not known: up or demo", args[0])
}

// up runs the stack in the foreground until it is interrupted.
func up(ctx context.Context) error {
	o := stage.Options{Dir: defaultDir, PortBase: defaultBase}
	if dir := os.Getenv("SLUICE_DEMO_DIR"); dir != "" {
		o.Dir = dir
	}
	if base := os.Getenv("SLUICE_DEMO_PORT_BASE"); base != "" {
		n, err := strconv.Atoi(base)
		if err != nil || n < 1024 || n > 65000 {
			return fmt.Errorf("SLUICE_DEMO_PORT_BASE %q is not a port between 1024 and 65000", base)
		}
		o.PortBase = n
	}
	starting, cancel := context.WithTimeout(ctx, setUp)
	defer cancel()
	s, err := stage.Start(starting, o)
	if err != nil {
		return err
	}
	defer s.Stop()
	fmt.Printf(`sluice is ready

  . %s/env
  PGPASSWORD=$(bin/sluice token --as agent) psql "$SLUICE_PG"

Approve from another terminal:
  export SLUICE_API SLUICE_TOKEN=$(bin/sluice token --as alice); bin/sluice approvals list; bin/sluice approve ID

Ctrl-C ends everything.
`, o.Dir)
	select {
	case <-ctx.Done():
		fmt.Println("ending")
		return nil
	case name := <-s.Done():
		return fmt.Errorf("%s has ended by itself; see %s", name, filepath.Join(s.Dir, "log"))
	}
}

// demo plays the story on a stack of its own.
func demo(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "sluice-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in the way of nobody
	starting, cancel := context.WithTimeout(ctx, setUp)
	defer cancel()
	s, err := stage.Start(starting, stage.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := story.Play(ctx, s, os.Stdout); err != nil {
		return fmt.Errorf("%w\n\nsluice's log:\n%s", err, story.Tail(s.SluiceLog()))
	}
	return nil
}
