package main

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"time"
)

// suite is a driver's own tests.
type suite interface {
	name() string
	// bound: the share of what must pass counts.
	bound() bool
	// prepare gets ready to run; the error may be a *notRun. dir is the suite's own.
	prepare(ctx context.Context, dir string) error
	// run runs them against a server, all or only some. That tests fail is no error.
	run(ctx context.Context, s server, only []string) (map[string]outcome, error)
	// apart are tests that say nothing here, and why; slower are those that take longer for a reason that stays.
	apart() []apart
	slower() []apart
}

// What makes tests slower, and is as it is meant to be.
const (
	bySmallWrites = "thousands of small writes, each of which is on disk in the record before it runs"
	byRoundTrips  = "thousands of round trips of nearly nothing: a bare relay behind Envoy takes three times as long for each"
	byCancels     = "hundreds of cancels, each of which waits 3 ms for the statement that it may have overtaken"
)

// notRun says that a suite is not there, and how it would be.
type notRun struct{ reason string }

func (n *notRun) Error() string { return n.reason }

// outcome is what became of one test.
type outcome struct {
	passed, skipped bool
	took            time.Duration
	// why is the first line that it wrote when it failed.
	why string
}

// apart are tests that need something: another cluster, another database or an encoding other than UTF-8; or more time.
type apart struct {
	tests *regexp.Regexp
	needs string
}

const (
	otherDatabase = "another database"
	otherEncoding = "an encoding other than UTF-8"
)

// A test counts as slower if it takes more than slower times as long, and slack more than that, also in the best of three
// runs: what waits for a busy machine does not show there.
const (
	slower  = 3
	slack   = 500 * time.Millisecond
	retries = 2
)

// result is what a suite came to.
type result struct {
	suite           suite
	not             string
	direct, through map[string]outcome
	// counted pass on the database and say something here; same of them pass through Sluice.
	counted, same int
	// apart are the tests that need something else, by what; of these, passing pass through Sluice all the same.
	apart   map[string]int
	passing map[string]int
	// causes are the tests that fail through Sluice, by why.
	causes map[string][]string
	// slow take longer; must do so too, by why.
	slow []string
	must map[string][]string
}

func compare(s suite, direct, through map[string]outcome) result {
	r := result{suite: s, direct: direct, through: through, apart: map[string]int{}, passing: map[string]int{}, causes: map[string][]string{}, must: map[string][]string{}}
	for _, test := range slices.Sorted(maps.Keys(direct)) {
		d, t := direct[test], through[test]
		if !d.passed {
			continue
		}
		if needs := needs(s.apart(), test); needs != "" {
			r.apart[needs]++
			if t.passed {
				r.passing[needs]++
			}
			continue
		}
		r.counted++
		switch {
		case !t.passed:
			r.causes[cause(t)] = append(r.causes[cause(t)], test)
		case isSlower(d, t):
			if why := needs(s.slower(), test); why != "" {
				r.must[why] = append(r.must[why], test)
			} else {
				r.slow = append(r.slow, test)
			}
			r.same++
		default:
			r.same++
		}
	}
	return r
}

func needs(list []apart, test string) string {
	for _, a := range list {
		if a.tests.MatchString(test) {
			return a.needs
		}
	}
	return ""
}

func isSlower(d, t outcome) bool { return t.took > slower*d.took+slack }

var number = regexp.MustCompile(`\d+`)

// cause is why a test failed, without what differs from run to run.
func cause(t outcome) string {
	switch {
	case t.skipped:
		return "skipped: " + t.why
	case t.why == "":
		return "not run to its end"
	}
	return number.ReplaceAllString(t.why, "N")
}

// again runs what looks slower once more on both ways; the better of the times count.
func (r *result) again(ctx context.Context, p place) error {
	if len(r.slow) == 0 {
		return nil
	}
	for _, way := range []struct {
		server server
		times  map[string]outcome
	}{{p.direct, r.direct}, {p.through, r.through}} {
		more, err := r.suite.run(ctx, way.server, r.slow)
		if err != nil {
			return err
		}
		for _, test := range r.slow {
			if m := more[test]; m.passed && m.took < way.times[test].took {
				way.times[test] = m
			}
		}
	}
	r.slow = slices.DeleteFunc(r.slow, func(test string) bool { return !isSlower(r.direct[test], r.through[test]) })
	return nil
}
