package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// block is a piece of a file that is executed as one, from its first to before its last position.
type block struct {
	fromLine, fromColumn, toLine, toColumn int
	executed                               bool
}

// coverage is the blocks of the package's files.
type coverage map[string][]block

// readProfile reads what `go test -coverprofile` wrote, as far as it is of one package.
func readProfile(name, importPath string) (coverage, error) {
	f, err := os.Open(name) //nolint:gosec // a file of ours
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := coverage{}
	for lines := bufio.NewScanner(f); ; {
		if !lines.Scan() {
			return c, lines.Err()
		}
		file, rest, ok := strings.Cut(strings.TrimPrefix(lines.Text(), importPath+"/"), ":")
		if !ok || file == "mode" || strings.Contains(file, "/") {
			continue
		}
		var b block
		var statements, count int
		if _, err := fmt.Sscanf(rest, "%d.%d,%d.%d %d %d",
			&b.fromLine, &b.fromColumn, &b.toLine, &b.toColumn, &statements, &count); err != nil {
			return nil, fmt.Errorf("a line of the coverage profile, %q: %w", lines.Text(), err)
		}
		b.executed = count > 0
		c[file] = append(c[file], b)
	}
}

// mark tells a mutant that lived where its code ran from one whose code no test executes.
func (c coverage) mark(m *mutant) {
	if m.Status != lived && m.Status != runnable {
		return
	}
	executed, in := false, false
	for _, b := range c[m.file] {
		if b.holds(m.Line, m.Column) {
			in, executed = true, executed || b.executed
		}
	}
	if in && !executed {
		m.Status = notCovered
	}
}

func (b *block) holds(line, column int) bool {
	after := line > b.fromLine || line == b.fromLine && column >= b.fromColumn
	before := line < b.toLine || line == b.toLine && column < b.toColumn
	return after && before
}
