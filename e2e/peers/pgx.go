package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

const pgxModule = "github.com/jackc/pgx/v5"

// pgx is the suite of pgx, in the version that go.mod has.
type pgx struct{ dir string }

func (*pgx) name() string { return "pgx" }

func (*pgx) bound() bool { return true }

func (*pgx) apart() []apart {
	return []apart{
		{regexp.MustCompile(`^ TestConnSimpleProtocolRefusesNonUTF8ClientEncoding$`), otherEncoding},
	}
}

func (*pgx) slower() []apart {
	const long = "a statement of 1 MB, which is read before it goes on"
	return []apart{
		{regexp.MustCompile(`^ TestListenNotifyWhileBusyIsSafe$|^/pgconn TestConnCopyToLarge$`), bySmallWrites},
		{regexp.MustCompile(`^/pgconn TestConnStress$|^/pgtype TestNumericCodecFuzz$`), byRoundTrips},
		{regexp.MustCompile(`^/pgconn (TestConnExec(Params|Prepared)MaxNumberOfParams|TestConnLargeResponseWhileWritingDoesNotDeadlock|TestConnExecPreparedTooManyParams)$`), long},
	}
}

func (p *pgx) prepare(ctx context.Context, _ string) error {
	where, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", pgxModule).Output()
	p.dir = strings.TrimSpace(string(where))
	return err
}

// run runs the tests with go test. The tests that are asked for are run package by package.
func (p *pgx) run(ctx context.Context, s server, only []string) (map[string]outcome, error) {
	if only == nil {
		return p.test(ctx, s, "./...")
	}
	packages := map[string][]string{}
	for _, test := range only {
		in, name, _ := strings.Cut(test, " ")
		top, _, _ := strings.Cut(name, "/")
		packages["."+in] = append(packages["."+in], regexp.QuoteMeta(top))
	}
	found := map[string]outcome{}
	for _, in := range slices.Sorted(maps.Keys(packages)) {
		some, err := p.test(ctx, s, in, "-run", "^("+strings.Join(packages[in], "|")+")$")
		if err != nil {
			return nil, err
		}
		maps.Copy(found, some)
	}
	return found, nil
}

func (p *pgx) test(ctx context.Context, s server, args ...string) (map[string]outcome, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-count=1", "-p", "1", "-timeout", "15m"}, args...)...)
	cmd.Dir = p.dir
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

// directory is that of a test, which is another each time.
var directory = regexp.MustCompile(`'/tmp/[^']*'`)

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
		key := strings.TrimPrefix(e.Package, pgxModule) + " " + directory.ReplaceAllString(e.Test, "DIR")
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

// said is what testify says of a failure.
var said = regexp.MustCompile(`(?s)Error:\s+(.*?)\n\s*(?:Test|Messages):`)

// firstWord is what a failed test's output says first: an error of the server's, else whatever it is.
func firstWord(out string) string {
	for l := range strings.Lines(out) {
		for _, severity := range []string{"ERROR:", "FATAL:"} {
			if at := strings.Index(l, severity); at >= 0 {
				return strings.TrimSpace(l[at:])
			}
		}
	}
	if m := said.FindStringSubmatch(out); m != nil {
		words := strings.Join(strings.Fields(m[1]), " ")
		return words[:min(len(words), 200)]
	}
	for l := range strings.Lines(out) {
		l = strings.TrimSpace(l)
		if l != "" && !strings.HasPrefix(l, "===") && !strings.HasPrefix(l, "---") {
			return l
		}
	}
	return ""
}
