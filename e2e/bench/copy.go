package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// maxPeak is how much memory Sluice may use at most, in bytes.
const maxPeak = 200 << 20

// copyOut streams a large result through each arm, a few times, and looks at the memory that it took.
func copyOut(ctx context.Context, arms []arm, rounds, megabytes int, floor float64) error {
	fmt.Printf("\nCOPY of %d MB to the client (medians of %d rounds, ratios of speed within a round)\n", megabytes, rounds)
	// 1,000 bytes a row, made by the server as it goes.
	sql := fmt.Sprintf("COPY (SELECT i, repeat('x', 990) FROM generate_series(1, %d) i) TO STDOUT", megabytes*1000)
	all, err := measure(ctx, arms, rounds, func(a arm) (float64, error) {
		start := time.Now()
		n, err := a.discard(ctx, sql)
		return float64(n) / 1e6 / time.Since(start).Seconds(), err
	})
	if err != nil {
		return err
	}
	var faults []error
	for _, a := range arms {
		memory := "-"
		if a.pid != 0 {
			peak, err := peakMemory(a.pid)
			if err != nil {
				return err
			}
			memory = fmt.Sprintf("%d MB", peak>>20)
			if strings.HasPrefix(a.name, "sluice") && peak > maxPeak {
				faults = append(faults, fmt.Errorf("%s: peak memory %d MB, the limit is %d MB", a.name, peak>>20, maxPeak>>20))
			}
		}
		fmt.Printf("  %-20s %5.0f MB/s   %.2f of direct   %.2f of the relay   peak memory %s\n", a.name, median(all[a.name]), all.ratio(a.name, direct), all.ratio(a.name, relayed), memory)
	}
	if r := all.ratio(viaDirect, relayed); r < floor {
		faults = append(faults, fmt.Errorf("COPY: sluice via DIRECT is %.2f of the relay, the floor is %.2f", r, floor))
	}
	return errors.Join(faults...)
}

// discard runs psql and throws away what it prints.
func (a arm) discard(ctx context.Context, sql string) (int64, error) {
	cmd, err := a.command(ctx, "psql", "-XqAtc", sql, a.conninfo)
	if err != nil {
		return 0, err
	}
	var errText strings.Builder
	cmd.Stderr = &errText
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, bufio.NewReaderSize(out, 1<<20))
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return n, fmt.Errorf("%w: %s", err, errText.String())
	}
	return n, nil
}

// peakMemory is the peak resident memory of a process, in bytes (proc(5), VmHWM).
func peakMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(l, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("no VmHWM in /proc: this needs Linux")
}
