package pgmodel

import (
	"strconv"
	"strings"
)

// simple is exec_simple_query.
func (b *Backend) simple(text string) *failure {
	b.start()
	delete(b.statements, "")
	if b.censor.RefuseText != nil && b.censor.RefuseText(text) {
		return refused()
	}
	list, ok := Parse(text)
	if !ok {
		return unparsed(text)
	}
	if len(list) == 0 {
		b.put([]byte{'I', 0, 0, 0, 4})
	}
	for _, s := range list {
		if len(list) > 1 {
			b.beginImplicit()
		}
		if b.block == blockFailed && !s.exits() {
			return &failure{code: "25P02"}
		}
		switch {
		case s.parameters > 0:
			return &failure{code: "42P02"}
		case s.failsAtPlan != "":
			return &failure{code: s.failsAtPlan}
		}
		p := &portal{text: text, run: run{statement: s}}
		b.portals[""] = p // what fails leaves it behind
		if s.action == actionRows {
			b.put(rowDescription(s.fields))
		}
		if _, err := b.run(&p.run, 0); err != nil {
			return err
		}
		delete(b.portals, "")
		b.put(complete(p.tag))
	}
	if len(list) > 1 {
		b.endImplicit()
	}
	b.finish()
	b.ready()
	return nil
}

// run is a statement that is being executed.
type run struct {
	statement *Statement
	row       int
	tag       string
	// value is the parameter, if there is one.
	value string
}

// run goes on with a statement, to its end or for at most so many rows (0: all). more reports that it stopped before.
func (b *Backend) run(r *run, most int) (more bool, err *failure) {
	s := r.statement
	r.tag = s.tag
	switch s.action {
	case actionRows:
		return b.rows(r, most)
	case actionCopyOut:
		b.copyOut(s, most)
		r.tag = "COPY " + strconv.Itoa(len(s.rows))
	case actionCopyIn:
		n, err := b.copyIn()
		r.tag = "COPY " + strconv.Itoa(n)
		return false, err
	case actionBegin:
		if b.block == blockOpen {
			b.notice("25001")
		}
		b.block = blockOpen
	case actionCommit, actionRollback:
		if b.block == blockNone || b.block == blockImplicit {
			b.notice("25P01")
		}
		if b.block == blockFailed {
			r.tag = "ROLLBACK"
		}
		b.endTransaction()
	case actionDeallocate:
		if b.statements[s.name] == nil {
			return false, &failure{code: "26000"}
		}
		delete(b.statements, s.name)
	case actionDeallocateAll:
		unnamed := b.statements[""] // it stands apart
		clear(b.statements)
		if unnamed != nil {
			b.statements[""] = unnamed
		}
	}
	return false, nil
}

func (b *Backend) rows(r *run, most int) (more bool, err *failure) {
	s := r.statement
	rows := s.rows
	if s.parameters > 0 {
		rows = nil
		if n, err := strconv.Atoi(r.value); err == nil && n >= 1 && n <= 3 {
			rows = [][]string{{r.value}}
		}
	}
	sent := 0
	for r.row < len(rows) && (most == 0 || sent < most) {
		b.put(dataRow(b.hidden(s, rows[r.row], most)))
		r.row++
		sent++
	}
	if most > 0 && sent == most {
		return true, nil
	}
	if s.failsAtRow != "" {
		return false, &failure{code: s.failsAtRow}
	}
	r.tag = "SELECT " + strconv.Itoa(sent)
	return false, nil
}

func (b *Backend) hidden(s *Statement, row []string, most int) []string {
	if b.censor.Hide == nil || !s.Masked || b.censor.Lifted != nil && b.censor.Lifted(most) {
		return row
	}
	out := append([]string(nil), row...)
	for i, f := range s.fields {
		if f == vaultKey {
			out[i] = b.censor.Hide(row[i])
		}
	}
	return out
}

func (b *Backend) copyOut(s *Statement, most int) {
	b.put(copyResponse('H', len(s.fields)))
	for _, row := range s.rows {
		b.put(message('d', []byte(strings.Join(b.hidden(s, row, most), "\t")+"\n")))
	}
	b.put([]byte{'c', 0, 0, 0, 4})
}

// copyIn is CopyGetData and what reads lines from it (copyfromparse.c): a line is judged once it is whole, or at the
// end. Sync and Flush are ignored, and anything else but data ends the connection.
func (b *Backend) copyIn() (rows int, err *failure) {
	b.put(copyResponse('G', 1))
	b.flush()
	var data []byte
	for {
		switch b.readType() {
		case 'd', 'c', 'f', 'H', 'S':
		default:
			b.put((&failure{code: "08P01"}).encode("ERROR"))
			b.fatal("08P01")
		}
		kind, body := b.read()
		switch kind {
		case 'd':
			data = append(data, body...)
		case 'c':
			if len(data) > 0 {
				if _, err := strconv.Atoi(string(data)); err != nil {
					return 0, &failure{code: "22P02"}
				}
				rows++
			}
			return rows, nil
		case 'f':
			return 0, &failure{code: "57014"}
		}
		for {
			line, rest, whole := strings.Cut(string(data), "\n")
			if !whole {
				break
			}
			if _, err := strconv.Atoi(line); err != nil {
				return 0, &failure{code: "22P02"}
			}
			rows++
			data = []byte(rest)
		}
	}
}
