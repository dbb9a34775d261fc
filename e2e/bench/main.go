// Command bench measures what Sluice costs: pgbench and COPY through each arm in turn, in one run, without TLS
// everywhere. It prints ratios, which hold from machine to machine better than times do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/e2e/stack"
)

func main() {
	rounds := flag.Int("rounds", 9, "rounds; each has every arm once, the median counts")
	seconds := flag.Int("seconds", 2, "seconds of one pgbench run")
	megabytes := flag.Int("megabytes", 1000, "size of the COPY")
	copies := flag.Int("copies", 5, "rounds of the COPY")
	floor := flag.Float64("floor", 0.70, "fail if sluice via DIRECT is slower than this part of the relay")
	copyFloor := flag.Float64("copy-floor", 0.60, "the same for the COPY")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := bench(ctx, *rounds, *seconds, *floor, func(arms []arm) error {
		return copyOut(ctx, arms, *copies, *megabytes, *copyFloor)
	})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// arm is one way to the database.
type arm struct {
	name     string
	conninfo string
	password func(context.Context) (string, error)
	// pid is of the process whose memory counts; 0 for none.
	pid int
}

func fixed(password string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return password, nil }
}

const (
	databasePassword = "the-real-database-password"
	direct, relayed  = "direct", "envoy + relay"
	viaDirect        = "sluice via DIRECT"
)

func bench(ctx context.Context, rounds, seconds int, floor float64, copies func([]arm) error) error {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in the way of nobody
	arms, end, err := setUp(ctx, dir)
	defer end()
	if err != nil {
		return err
	}
	faults := []error{}
	for _, mode := range []string{"simple", "prepared"} {
		for _, clients := range []int{1, 8} {
			all, err := measure(ctx, arms, rounds, func(a arm) (float64, error) { return pgbench(ctx, a, mode, clients, seconds) })
			if err != nil {
				return err
			}
			fmt.Printf("\npgbench -S -M %s, %d clients (medians of %d rounds: transactions a second, ratios within a round)\n", mode, clients, rounds)
			report(arms, all)
			if r := all.ratio(viaDirect, relayed); r < floor {
				faults = append(faults, fmt.Errorf("%s, %d clients: sluice via DIRECT is %.2f of the relay, the floor is %.2f", mode, clients, r, floor))
			}
		}
	}
	faults = append(faults, copies(arms))
	return errors.Join(faults...)
}

// setUp starts a stage for each way of Sluice's, each with a database of its own, and the plain Envoy.
func setUp(ctx context.Context, dir string) (arms []arm, end func(), err error) {
	var stops []func()
	end = func() {
		for _, stop := range slices.Backward(stops) {
			stop()
		}
	}
	starting, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	const prepare = `
CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
INSERT INTO pgbench_accounts SELECT i, 1, i, '' FROM generate_series(1, 100000) i;
CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
INSERT INTO pgbench_branches VALUES (1, 0, '');
VACUUM ANALYZE;
`
	stages := map[string]*stage.Stage{}
	for _, via := range []string{"DIRECT", "ENVOY"} {
		s, err := stage.Start(starting, stage.Options{Dir: filepath.Join(dir, strings.ToLower(via)), Via: via, Plaintext: true, SQL: prepare})
		if err != nil {
			return nil, end, err
		}
		stops = append(stops, s.Stop)
		stages[via] = s
	}
	database := stages["DIRECT"].Postgres.Port
	sockets, err := stack.ShortDir()
	if err != nil {
		return nil, end, err
	}
	stops = append(stops, func() { _ = os.RemoveAll(sockets) })
	socket := filepath.Join(sockets, "relay.sock")
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return nil, end, err
	}
	stops = append(stops, func() { _ = l.Close() })
	go relay(ctx, l, fmt.Sprintf("127.0.0.1:%d", database))
	var ports [2]int
	for i := range ports {
		if ports[i], err = stack.FreePort(ctx); err != nil {
			return nil, end, err
		}
	}
	e, err := startPlainEnvoy(starting, dir, ports[0], ports[1], database, socket)
	if err != nil {
		return nil, end, err
	}
	stops = append(stops, e.Stop)
	plain := func(port int) string {
		return fmt.Sprintf("host=127.0.0.1 port=%d dbname=orders user=orders_app sslmode=disable", port)
	}
	agent := func(s *stage.Stage) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) { return s.Token(ctx, "agent") }
	}
	return []arm{
		{direct, plain(database), fixed(databasePassword), 0},
		{"envoy", plain(ports[0]), fixed(databasePassword), e.PID()},
		{relayed, plain(ports[1]), fixed(databasePassword), os.Getpid()},
		{viaDirect, stages["DIRECT"].PG, agent(stages["DIRECT"]), stages["DIRECT"].SluicePID()},
		{"sluice via ENVOY", stages["ENVOY"].PG, agent(stages["ENVOY"]), stages["ENVOY"].SluicePID()},
	}, end, nil
}

// results are what each arm did in each round.
type results map[string][]float64

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// ratio compares two arms round by round: what slows the machine for a while slows both.
func (r results) ratio(a, b string) float64 {
	ratios := make([]float64, len(r[a]))
	for i := range ratios {
		ratios[i] = r[a][i] / r[b][i]
	}
	return median(ratios)
}

// measure runs every arm once a round.
func measure(ctx context.Context, arms []arm, rounds int, run func(arm) (float64, error)) (results, error) {
	all := results{}
	for range rounds {
		for _, a := range arms {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			v, err := run(a)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", a.name, err)
			}
			all[a.name] = append(all[a.name], v)
		}
	}
	return all, nil
}

func report(arms []arm, all results) {
	for _, a := range arms {
		fmt.Printf("  %-20s %10.0f   %.2f of direct   %.2f of the relay\n", a.name, median(all[a.name]), all.ratio(a.name, direct), all.ratio(a.name, relayed))
	}
}

var tpsLine = regexp.MustCompile(`tps = ([0-9.]+)`)

func (a arm) command(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
	path, err := stack.PostgresTool(program)
	if err != nil {
		return nil, err
	}
	password, err := a.password(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	return cmd, nil
}

func pgbench(ctx context.Context, a arm, mode string, clients, seconds int) (float64, error) {
	cmd, err := a.command(ctx, "pgbench", "-n", "-S", "-s", "1", "-M", mode, "-c", strconv.Itoa(clients), "-j", strconv.Itoa(min(clients, 2)), "-T", strconv.Itoa(seconds), a.conninfo)
	if err != nil {
		return 0, err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	m := tpsLine.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("pgbench did not print its rate: %s", out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}
