package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// print tells what differs.
func (r *result) print() {
	if r.not != "" {
		fmt.Printf("%s: not run: %s\n\n", r.suite.name(), r.not)
		return
	}
	fmt.Printf("%s: %d of %d that pass on the database pass through Sluice (%.1f %%)\n", r.suite.name(), r.same, r.counted, 100*r.share())
	for _, needs := range slices.Sorted(maps.Keys(r.apart)) {
		fmt.Printf("  apart: %d need %s; %d of them pass\n", r.apart[needs], needs, r.passing[needs])
	}
	for _, why := range sortedByCount(r.causes) {
		fmt.Printf("  %d × %s\n      %s\n", len(r.causes[why]), why, strings.Join(r.causes[why], "\n      "))
	}
	for _, why := range sortedByCount(r.must) {
		fmt.Printf("  slower by %s\n", why)
		r.printTimes(r.must[why])
	}
	if len(r.slow) > 0 {
		fmt.Println("  slower")
		r.printTimes(r.slow)
	}
	fmt.Println()
}

func (r *result) printTimes(tests []string) {
	for _, test := range tests {
		fmt.Printf("      %s: %s, on the database %s\n", test, short(r.through[test].took), short(r.direct[test].took))
	}
}

func short(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func (r *result) share() float64 {
	if r.counted == 0 {
		return 0
	}
	return float64(r.same) / float64(r.counted)
}

func sortedByCount(causes map[string][]string) []string {
	return slices.SortedFunc(maps.Keys(causes), func(a, b string) int {
		if n := len(causes[b]) - len(causes[a]); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
}

// summary prints a line for each suite, and fails if one does not reach what it must.
func summary(results []result, least float64) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "suite\tpasses direct\tapart\tcounted\tthrough Sluice\t\tslower")
	var failed []error
	for i := range results {
		r := &results[i]
		name := r.suite.name()
		if r.not != "" {
			_, _ = fmt.Fprintf(w, "%s\tnot run\n", name)
			continue
		}
		set := 0
		for _, n := range r.apart {
			set += n
		}
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.1f %%\t%d\n", name, r.counted+set, set, r.counted, r.same, 100*r.share(), len(r.slow))
		if r.suite.bound() && r.share() < least {
			failed = append(failed, fmt.Errorf("%s: less than %.0f %% of what passes on the database passes through Sluice", name, 100*least))
		}
		if len(r.slow) > 0 {
			failed = append(failed, fmt.Errorf("%s: %d tests take more than %d times as long, and %s", name, len(r.slow), slower, slack))
		}
	}
	_ = w.Flush()
	return errors.Join(failed...)
}
