package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The fates of a mutant, by gremlins' names.
const (
	killed     = "KILLED"
	lived      = "LIVED"
	notCovered = "NOT COVERED"
	timedOut   = "TIMED OUT"
	notViable  = "NOT VIABLE" // it does not compile, and counts nowhere
	runnable   = "RUNNABLE"   // in a dry run: nothing was tried
)

// tree is a directory with a floor for the packages in it, in percent.
type tree struct {
	path  string
	floor float64
}

func (t tree) holds(name string) bool {
	return name == t.path || strings.HasPrefix(name, t.path+"/")
}

// count is how many mutants met which fate.
type count map[string]int

// all are the mutants that compile.
func (c count) all() int {
	n := 0
	for fate, of := range c {
		if fate != notViable {
			n += of
		}
	}
	return n
}

// share is the killed of all in percent. Tests that hang have noticed the mutant: it is killed.
func (c count) share() float64 {
	return 100 * float64(c[killed]+c[timedOut]) / float64(max(c.all(), 1))
}

// row is a line of the table.
type row struct {
	name string
	count
}

type table struct{ rows []row }

// add takes a package's mutants, and tells its survivors.
func (t *table) add(out io.Writer, p *pkg, mutants []mutant, dryRun bool) {
	r := row{p.name(), count{}}
	for _, m := range mutants {
		r.count[m.Status]++
	}
	t.rows = append(t.rows, r)
	if dryRun {
		return
	}
	slices.SortFunc(mutants, func(a, b mutant) int {
		return cmp.Or(strings.Compare(a.file, b.file), a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Type, b.Type))
	})
	fmt.Fprintf(out, "%s: %.1f %% of %d\n", r.name, r.share(), r.all())
	sources := map[string][]string{}
	for _, m := range mutants {
		if m.Status == killed || m.Status == notViable {
			continue
		}
		if sources[m.file] == nil {
			text, _ := os.ReadFile(filepath.Join(p.Dir, m.file)) // without it, only the line is not shown
			sources[m.file] = strings.Split(string(text), "\n")
		}
		fmt.Fprintf(out, "  %-11s  %s/%s:%d:%d  %s\n", strings.ToLower(m.Status), r.name, m.file, m.Line, m.Column,
			m.describe(sources[m.file]))
	}
}

// describe tells the mutation as "< for <=", with the line of the source where it is known.
func (m *mutant) describe(source []string) string {
	if m.Line < 1 || m.Line > len(source) || m.Column < 1 || m.Column > len(source[m.Line-1]) {
		return m.Type
	}
	line := source[m.Line-1]
	for _, c := range changes[m.Type] {
		if strings.HasPrefix(line[m.Column-1:], c.from) {
			return fmt.Sprintf("%s for %s in: %s", c.to, c.from, strings.TrimSpace(line))
		}
	}
	return m.Type + " in: " + strings.TrimSpace(line)
}

// changes are those of gremlins that are on by default; longer tokens come before their beginnings.
var changes = map[string][]struct{ from, to string }{
	"ARITHMETIC_BASE":       {{"+", "-"}, {"-", "+"}, {"*", "/"}, {"/", "*"}, {"%", "*"}},
	"CONDITIONALS_BOUNDARY": {{"<=", "<"}, {">=", ">"}, {"<", "<="}, {">", ">="}},
	"CONDITIONALS_NEGATION": {{"==", "!="}, {"!=", "=="}, {"<=", ">"}, {">=", "<"}, {"<", ">="}, {">", "<="}},
	"INCREMENT_DECREMENT":   {{"++", "--"}, {"--", "++"}},
	"INVERT_NEGATIVES":      {{"-", "+"}},
}

// close writes the table and the floors, and says whether no tree is below its own.
func (t *table) close(out io.Writer, dryRun bool) bool {
	sums := t.sums()
	rows := t.rows
	if len(rows) > 1 {
		rows = slices.Concat(rows, sums)
	}
	width := len("package")
	for _, r := range rows {
		width = max(width, len(r.name))
	}
	fmt.Fprintf(out, "%-*s  mutants  killed  lived  not covered  timed out  killed of all\n", width, "package")
	for _, r := range rows {
		r.write(out, width, dryRun)
	}
	good := true
	for i, s := range sums {
		if floor := trees[i].floor; s.all() > 0 && !dryRun {
			verdict := "holds"
			if s.share() < floor {
				good, verdict = false, "is missed"
			}
			fmt.Fprintf(out, "%s %.1f %%: the floor of %.0f %% %s\n", s.name, s.share(), floor, verdict)
		}
	}
	return good
}

// sums are the counts of each tree, in the order of trees.
func (t *table) sums() []row {
	sums := make([]row, len(trees))
	for i, tree := range trees {
		sums[i] = row{"all of " + tree.path, count{}}
		for _, r := range t.rows {
			if !tree.holds(r.name) {
				continue
			}
			for fate, n := range r.count {
				sums[i].count[fate] += n
			}
		}
	}
	return sums
}

func (r row) write(w io.Writer, width int, dryRun bool) {
	if r.all() == 0 {
		return
	}
	share := fmt.Sprintf("%.1f %%", r.share())
	if dryRun {
		share = "not tried"
	}
	fmt.Fprintf(w, "%-*s  %7d  %6d  %5d  %11d  %9d  %13s\n", width, r.name, r.all(), r.count[killed], r.count[lived],
		r.count[notCovered], r.count[timedOut], share)
}
