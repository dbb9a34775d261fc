// Command testsummary runs `go test -json` once for each group of its arguments and shows what a
// person needs: a line for each package and the output of what failed, as it happens, and at the
// end every skip with its reason and the totals.
//
//	testsummary -- -race ./a/... -- -timeout 20m ./e2e/...
//
// It exits with 0 only if everything passed; with SLUICE_NO_SKIP=1 a skip counts as a failure.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// maxLine is the longest line of `go test -json` in bytes; a longer one ends the run as a failure.
const maxLine = 16 << 20

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Stdout, os.Stderr, os.Args[1:], os.Getenv("SLUICE_NO_SKIP") == "1")
	stop()
	os.Exit(code)
}

// run is main with its surroundings named; the result is the exit status.
func run(ctx context.Context, stdout, stderr io.Writer, args []string, noSkip bool) int {
	groups := split(args)
	if len(groups) == 0 {
		fmt.Fprintln(stderr, "usage: testsummary -- ARGUMENTS OF GO TEST [-- ARGUMENTS OF GO TEST]...")
		return 2
	}
	r := newReport(stdout)
	for _, group := range groups {
		if err := test(ctx, r, stderr, group); err != nil {
			r.broken(err)
		}
	}
	if !r.close(noSkip) {
		return 1
	}
	return 0
}

// split cuts the arguments into the groups between "--".
func split(args []string) (groups [][]string) {
	for _, a := range args {
		switch {
		case a == "--":
			groups = append(groups, nil)
		case len(groups) == 0:
			return nil
		default:
			groups[len(groups)-1] = append(groups[len(groups)-1], a)
		}
	}
	return groups
}

// test runs one group. Failed tests are in the report; the error is of anything that the report
// does not already hold as a failure, such as `go test` that could not run at all.
func test(ctx context.Context, r *report, stderr io.Writer, args []string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...) //nolint:gosec // what the caller asks for
	cmd.Stderr = stderr
	// go test needs its time to end the tests it started.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	failedBefore := r.failures()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		r.line(lines.Bytes())
	}
	scanErr := lines.Err()
	if scanErr != nil {
		_, _ = io.Copy(io.Discard, out)
	}
	r.unfinished()
	err = cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); ok && r.failures() > failedBefore && ctx.Err() == nil {
		err = nil
	}
	if err := errors.Join(scanErr, err); err != nil {
		return fmt.Errorf("go test %v: %w", args, err)
	}
	return nil
}
