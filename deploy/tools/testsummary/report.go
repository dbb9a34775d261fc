package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of `go test -json` (cmd/test2json, and build-output and build-fail of go build -json).
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

// report gathers events and writes what matters as it comes.
type report struct {
	out             io.Writer
	running         map[name]*started
	packageOut      map[string][]string // of packages still running, outside of any test
	passed, failed  int
	failedPackages  int // failed with no failed test in them: build, init, exit status
	failedInPackage map[string]bool
	skips           []string
	faults          []string
}

type name struct{ pkg, test string }

// started is a test that has begun.
type started struct {
	output                     []string
	hasSubtests, failedSubtest bool
}

func newReport(out io.Writer) *report {
	return &report{
		out:             out,
		running:         map[name]*started{},
		packageOut:      map[string][]string{},
		failedInPackage: map[string]bool{},
	}
}

// line takes one line of output; what is not JSON is shown as it is.
func (r *report) line(line []byte) {
	var e event
	if err := json.Unmarshal(line, &e); err != nil || e.Action == "" {
		fmt.Fprintf(r.out, "%s\n", line)
		return
	}
	if e.Test == "" {
		r.ofPackage(e)
	} else {
		r.ofTest(e)
	}
}

func (r *report) ofPackage(e event) {
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		r.packageOut[e.Package] = append(r.packageOut[e.Package], e.Output)
	case "pass":
		fmt.Fprintf(r.out, "ok    %s %.1fs\n", e.Package, e.Elapsed)
		delete(r.packageOut, e.Package)
	case "skip":
		delete(r.packageOut, e.Package) // it has no tests: not a test that was skipped
	case "fail":
		r.finishPackage(e.Package)
		if !r.failedInPackage[e.Package] {
			r.failedPackages++
			r.faults = append(r.faults, e.Package)
		}
		fmt.Fprint(r.out, strings.Join(r.packageOut[e.Package], ""))
		fmt.Fprintf(r.out, "FAIL  %s %.1fs\n", e.Package, e.Elapsed)
		delete(r.packageOut, e.Package)
	}
}

func (r *report) ofTest(e event) {
	n := name{e.Package, e.Test}
	t := r.running[n]
	if t == nil {
		t = &started{}
		r.running[n] = t
	}
	parent := r.running[name{e.Package, parentOf(e.Test)}]
	switch e.Action {
	case "run":
		if parent != nil {
			parent.hasSubtests = true
		}
	case "output":
		t.output = append(t.output, e.Output)
	case "pass":
		if !t.hasSubtests {
			r.passed++
		}
		delete(r.running, n)
	case "skip":
		r.skips = append(r.skips, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(t.output)))
		delete(r.running, n)
	case "fail":
		r.fail(n, t)
	}
}

func (r *report) fail(n name, t *started) {
	if parent := r.running[name{n.pkg, parentOf(n.test)}]; parent != nil {
		parent.failedSubtest = true
	}
	if !t.failedSubtest { // else its subtest counts
		r.failed++
		r.faults = append(r.faults, n.pkg+" "+n.test)
	}
	r.failedInPackage[n.pkg] = true
	fmt.Fprint(r.out, strings.Join(t.output, ""))
	delete(r.running, n)
}

// finishPackage counts tests that began and never ended, for instance because one of them called
// os.Exit or the time was up.
func (r *report) finishPackage(pkg string) {
	var open []name
	for n := range r.running {
		if n.pkg == pkg {
			open = append(open, n)
		}
	}
	// Subtests first, so that they count rather than their parents.
	slices.SortFunc(open, func(a, b name) int { return strings.Compare(b.test, a.test) })
	for _, n := range open {
		r.fail(n, r.running[n])
	}
}

// unfinished does the same for packages that ended without a word.
func (r *report) unfinished() {
	for n := range r.running {
		r.finishPackage(n.pkg)
	}
}

// broken is a run that failed for another reason than a test.
func (r *report) broken(err error) {
	r.failedPackages++
	r.faults = append(r.faults, err.Error())
}

func (r *report) failures() int { return r.failed + r.failedPackages }

// close writes the summary, and says whether all is well.
func (r *report) close(noSkip bool) bool {
	for _, s := range r.skips {
		fmt.Fprintf(r.out, "skipped: %s\n", s)
	}
	for _, f := range r.faults {
		fmt.Fprintf(r.out, "failed: %s\n", f)
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failures(), len(r.skips))
	if noSkip && len(r.skips) > 0 {
		fmt.Fprintln(r.out, "SLUICE_NO_SKIP=1: a skip is a failure")
		return false
	}
	return r.failures() == 0
}

func parentOf(test string) string {
	i := strings.LastIndexByte(test, '/')
	return test[:max(i, 0)]
}

// reason is what t.Skip was told: the last logged line, without its file and line.
func reason(output []string) string {
	var text string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		text = line
	}
	if _, after, ok := strings.Cut(text, ".go:"); ok {
		if _, said, ok := strings.Cut(after, ": "); ok {
			return said
		}
	}
	if text == "" {
		return "no reason given"
	}
	return text
}
