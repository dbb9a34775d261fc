package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/sluicegate/sluice/e2e/stack"
)

// pytest runs tests of Python.
type pytest struct {
	// python is the interpreter, root where the tests are, scratch where results go.
	python, root, scratch string
	environment           []string
	arguments             []string
}

func (p *pytest) find(scratch string) (err error) {
	p.scratch = scratch
	p.python, err = stack.Tool("peers")
	return err
}

func (p *pytest) run(ctx context.Context, variables, only []string) (map[string]outcome, error) {
	file := filepath.Join(p.scratch, "results.xml")
	args := append([]string{
		"-m", "pytest", "--quiet", "--tb=native", "--timeout=60", "-o", "junit_family=xunit1", "--junitxml=" + file,
		"-o", "cache_dir=" + filepath.Join(p.scratch, "cache"),
	}, p.arguments...)
	if only == nil {
		only = []string{"tests"}
	}
	cmd := exec.CommandContext(ctx, p.python, append(args, only...)...)
	cmd.Dir = p.root
	cmd.Env = append(append(append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1"), p.environment...), variables...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 1) { // 1 is that some fail
		return nil, fmt.Errorf("%w: %s", err, tail(out))
	}
	written, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return cases(written)
}

func tail(out []byte) string { return string(out[max(0, len(out)-2000):]) }

// cases reads what pytest --junitxml writes. A test's name is what pytest takes to run it alone.
func cases(written []byte) (map[string]outcome, error) {
	type said struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	var report struct {
		Cases []struct {
			File    string  `xml:"file,attr"`
			Class   string  `xml:"classname,attr"`
			Name    string  `xml:"name,attr"`
			Time    float64 `xml:"time,attr"`
			Failure *said   `xml:"failure"`
			Error   *said   `xml:"error"`
			Skipped *said   `xml:"skipped"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.Unmarshal(written, &report); err != nil {
		return nil, err
	}
	found := map[string]outcome{}
	for _, c := range report.Cases {
		module := strings.ReplaceAll(strings.TrimSuffix(c.File, ".py"), "/", ".")
		in := strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(c.Class, module), "."), ".", "::")
		key := strings.Join(append(strings.Fields(c.File+" "+in), c.Name), "::")
		o := outcome{passed: true, took: time.Duration(c.Time * float64(time.Second))}
		switch {
		case c.Failure != nil:
			o.passed, o.why = false, lastError(c.Failure.Text)
		case c.Error != nil:
			o.passed, o.why = false, lastError(c.Error.Text)
		case c.Skipped != nil:
			o.passed, o.skipped, o.why = false, true, c.Skipped.Message
		}
		if before, twice := found[key]; !twice || before.passed {
			found[key] = o
		}
	}
	return found, nil
}

// raised is the first line of an exception in Python's words.
var raised = regexp.MustCompile(`(?m)^(?:E\s+)?([A-Za-z_.]*(?:Error|Exception|Exit|Timeout|Warning|Failed|[a-z]\.[A-Z]\w+)): (.*)$`)

// lastError is the exception that a traceback ends with.
func lastError(text string) string {
	if all := raised.FindAllStringSubmatch(text, -1); len(all) > 0 {
		last := all[len(all)-1]
		return last[1] + ": " + last[2]
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// asyncpg is the suite that comes with asyncpg's source, on the wheel of the same version.
type asyncpg struct{ pytest }

func (*asyncpg) name() string { return "asyncpg" }

func (*asyncpg) bound() bool { return true }

func (*asyncpg) apart() []apart {
	return []apart{
		{regexp.MustCompile(`::test_introspection_(loads_basetypes_of_domains|on_large_db)$`), otherDatabase},
		{regexp.MustCompile(`::test_(type|prepare)_cache_invalidation_in_pool$`), otherDatabase},
	}
}

func (*asyncpg) slower() []apart {
	return []apart{{regexp.MustCompile(`test_timeout_05$`), byCancels}}
}

func (a *asyncpg) prepare(_ context.Context, dir string) error {
	if err := a.find(dir); err != nil {
		return err
	}
	a.root = filepath.Join(filepath.Dir(a.python), "..", "suites", "asyncpg")
	return nil
}

func (a *asyncpg) run(ctx context.Context, s server, only []string) (map[string]outcome, error) {
	return a.pytest.run(ctx, s.variables(), only)
}

// psycopg is the suite of a checkout of psycopg, on what that holds: its implementation in Python, with the libpq of the
// pinned server. Tests that are marked as slow, most of which wait for a time, are left out.
type psycopg struct {
	pytest
	dir string
}

func (*psycopg) name() string { return "psycopg" }

func (*psycopg) bound() bool { return true }

func (*psycopg) apart() []apart {
	return []apart{
		{regexp.MustCompile(`(?i)latin\d|euc.?jp|sql_?ascii|-ascii\]$|badenc|::test_(load|text_array)_ascii\[|::test_set_encoding_unsupported`), otherEncoding},
		{regexp.MustCompile(`test_misc.py::test_error_message_encoding$|test_pgconn.py::test_encoding$`), otherEncoding},
	}
}

func (*psycopg) slower() []apart { return nil }

func (p *psycopg) prepare(_ context.Context, dir string) error {
	if p.dir == "" {
		return &notRun{"set PSYCOPG_DIR to a checkout of psycopg's repository"}
	}
	if err := p.find(dir); err != nil {
		return err
	}
	server, err := stack.Tool("postgresql")
	if err != nil {
		return err
	}
	if p.root, err = filepath.Abs(p.dir); err != nil {
		return err
	}
	p.environment = []string{
		"PYTHONPATH=" + filepath.Join(p.root, "psycopg") + string(os.PathListSeparator) + filepath.Join(p.root, "psycopg_pool"),
		"PSYCOPG_IMPL=python", "LD_LIBRARY_PATH=" + filepath.Join(filepath.Dir(server), "..", "lib"),
	}
	p.arguments = []string{"-m", "not slow"}
	return nil
}

func (p *psycopg) run(ctx context.Context, s server, only []string) (map[string]outcome, error) {
	return p.pytest.run(ctx, []string{"PSYCOPG_TEST_DSN=" + s.conninfo()}, only)
}
