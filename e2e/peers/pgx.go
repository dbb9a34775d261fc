package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"
)

// pgx is the suite of github.com/jackc/pgx/v5, in the version that go.mod has.
type pgx struct{ only string }

func (pgx) name() string { return "pgx" }

func (p pgx) run(ctx context.Context, s server) (map[string]outcome, error) {
	where, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/jackc/pgx/v5").Output()
	if err != nil {
		return nil, err
	}
	args := []string{"test", "-json", "-count=1", "-p", "1", "-timeout", "15m", "./..."}
	if p.only != "" {
		args = append(args, "-run", p.only)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = strings.TrimSpace(string(where))
	cmd.Env = append(os.Environ(), "PGX_TEST_DATABASE="+s.conninfo(), "PGX_TEST_TCP_CONN_STRING="+s.conninfo(), "GOFLAGS=-mod=mod")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	found := events(out)
	if len(found) == 0 {
		return nil, errors.New("no test ran: " + errs.String())
	}
	return found, nil
}

// events reads what go test -json writes.
func events(out []byte) map[string]outcome {
	found, wrote := map[string]outcome{}, map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct {
			Action, Package, Test, Output string
			Elapsed                       float64
		}
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Test == "" {
			continue
		}
		key := strings.TrimPrefix(e.Package, "github.com/jackc/pgx/v5") + " " + e.Test
		took := time.Duration(e.Elapsed * float64(time.Second))
		switch e.Action {
		case "output":
			wrote[key] += e.Output
		case "pass":
			found[key] = outcome{passed: true, took: took}
		case "skip":
			found[key] = outcome{skipped: true, took: took}
		case "fail":
			found[key] = outcome{took: took, why: firstWord(wrote[key])}
		}
	}
	return found
}

// firstWord is the first line of a failed test's output that says something.
func firstWord(out string) string {
	for l := range strings.Lines(out) {
		l = strings.TrimSpace(l)
		if at := strings.Index(l, "ERROR:"); at >= 0 {
			return l[at:]
		}
		if at := strings.Index(l, "FATAL:"); at >= 0 {
			return l[at:]
		}
	}
	for l := range strings.Lines(out) {
		l = strings.TrimSpace(l)
		if l != "" && !strings.HasPrefix(l, "===") && !strings.HasPrefix(l, "---") && !strings.HasPrefix(l, "Error Trace") {
			return l
		}
	}
	return ""
}
