package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	pgxdriver "github.com/jackc/pgx/v5"
)

// suite is a driver's own tests.
type suite interface {
	name() string
	// run runs them against a server. That tests fail is no error.
	run(ctx context.Context, s server) (map[string]outcome, error)
}

// outcome is what became of one test.
type outcome struct {
	passed, skipped bool
	took            time.Duration
	// why is the first line that it wrote when it failed.
	why string
}

func (s server) conninfo() string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s dbname=%s sslmode=disable", s.port, s.user, s.password, s.db)
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

// slower is how much longer a test may take through Sluice, slack what no test is measured within.
const (
	slower = 3
	slack  = 500 * time.Millisecond
)

// report prints what differs, and returns the share of what passes through Sluice.
func report(name string, direct, through map[string]outcome) float64 {
	passes, same := 0, 0
	causes := map[string][]string{}
	var slow []string
	for test, d := range direct {
		if !d.passed {
			continue
		}
		passes++
		t := through[test]
		if t.passed {
			same++
			if t.took > slower*d.took+slack {
				slow = append(slow, fmt.Sprintf("%s: %s, on the database %s", test, t.took, d.took))
			}
			continue
		}
		why := t.why
		if why == "" {
			why = "not run to its end"
		}
		causes[why] = append(causes[why], test)
	}
	share := 1.0
	if passes > 0 {
		share = float64(same) / float64(passes)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "%s\tpasses on the database\t%d\n\tof these through Sluice\t%d\t%.1f %%\n", name, passes, same, 100*share)
	_ = w.Flush()
	for _, why := range sortedByCount(causes) {
		tests := causes[why]
		slices.Sort(tests)
		fmt.Printf("  %d × %s\n      %s\n", len(tests), why, strings.Join(tests, "\n      "))
	}
	slices.Sort(slow)
	for _, s := range slow {
		fmt.Println("  slow:", s)
	}
	return share
}

func sortedByCount(causes map[string][]string) []string {
	keys := make([]string, 0, len(causes))
	for k := range causes {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if n := len(causes[b]) - len(causes[a]); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	return keys
}
