package masking

import (
	"bytes"
	"slices"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

const (
	// maxCopyRow bounds a row of COPY that must be rewritten, in bytes.
	maxCopyRow = 64 << 20
	// keptBuffer is the largest buffer that is kept from one row to the next, in bytes.
	keptBuffer = 1 << 20
)

// CopyPlan hides columns in what COPY … TO STDOUT sends. It carries state from message to message: one for each COPY.
type CopyPlan struct {
	spec    *sqlfacts.Copy
	columns []*hiding
	// held is an incomplete row, or an incomplete part of a binary stream. Its first scanned bytes have no end of a
	// row; inside says whether they end within quotes.
	held    []byte
	scanned int
	inside  bool
	// started: the header of the format is behind.
	started bool
	failed  bool
	fields  [][]byte
	value   []byte
	unit    []byte
}

// Copy plans for COPY of a relation; nil if all columns pass. That of a query is CopyQuery's.
func (v *View) Copy(c *sqlfacts.Copy) *CopyPlan {
	if v.Passes() || c == nil || c.Relation == nil {
		return nil
	}
	columns := make([]*hiding, len(c.Columns))
	found := false
	for i, col := range c.Columns {
		if v.hidesColumns {
			if m := v.Column(c.Relation, col.Name); m != nil {
				columns[i], found = &hiding{rule: m, text: isText(col.TypeOID), longest: longestNamed(col.TypeOID, col.TypeName)}, true
				continue
			}
		}
		h := v.searching(v.searchedColumn(c.Relation, col.Name), col.Name, col.TypeOID, c.Format == sqlfacts.CopyBinary)
		if h != nil {
			columns[i], found = h, true
		}
	}
	if !found {
		return nil
	}
	return &CopyPlan{spec: c, columns: columns, started: c.Format != sqlfacts.CopyBinary && !c.Header}
}

// CopyQuery plans for a COPY whose columns are known by their number alone: that of a query, or of a relation that the
// catalog knows with other columns. All of it is hidden if what it reads is masked: for whom the view is, it is refused, but
// the record has a view of its own. nil if nothing is searched either.
func (v *View) CopyQuery(s *sqlfacts.Statement, columns int) *CopyPlan {
	if s.Copy == nil || columns == 0 {
		return nil
	}
	statements := []sqlfacts.Statement{*s}
	if v.Check(statements) != nil {
		// Of a type that is not known: a value that is to be binary is none.
		all := &hiding{rule: &unproven, text: s.Copy.Format != sqlfacts.CopyBinary}
		return &CopyPlan{spec: s.Copy, columns: slices.Repeat([]*hiding{all}, columns), started: s.Copy.Format != sqlfacts.CopyBinary}
	}
	if len(v.search.list) == 0 {
		return nil
	}
	set := v.searchedIn(statements, v.unprovable(statements))
	if r := s.Copy.Relation; r != nil {
		set |= v.searchedColumn(r, "*")
	}
	h := v.searching(set, "", 0, s.Copy.Format == sqlfacts.CopyBinary)
	if h == nil {
		return nil
	}
	// A header of names is searched as a row: which names it must have is not known.
	return &CopyPlan{spec: s.Copy, columns: slices.Repeat([]*hiding{h}, columns), started: s.Copy.Format != sqlfacts.CopyBinary}
}

// Rewrite appends the hidden form of a piece of the stream. Rows may be split over pieces in any way; an incomplete
// row waits for its rest. After ErrMalformed nothing of the piece is appended and nothing goes on: where a row begins
// is not known any more.
func (p *CopyPlan) Rewrite(dst, piece []byte) ([]byte, error) {
	out, same, err := p.Hide(dst, piece)
	if err == nil && same {
		out = append(out, piece...)
	}
	return out, err
}

// Hide is Rewrite, but that nothing is appended and same is true for a piece that is its own hidden form.
func (p *CopyPlan) Hide(dst, piece []byte) (out []byte, same bool, err error) {
	if p.failed {
		return dst, false, ErrMalformed
	}
	if out, same, err = p.hide(dst, piece); err != nil {
		p.failed, p.held = true, nil
		return dst, false, err
	}
	return out, same, nil
}

func (p *CopyPlan) hide(dst, piece []byte) (out []byte, same bool, err error) {
	data := piece
	same = len(p.held) == 0
	if !same {
		p.held = append(p.held, piece...)
		data = p.held
	}
	clean, at := 0, 0 // data[clean:at] passes as it is and is not yet copied
	for at < len(data) {
		n, err := p.next(data[at:])
		if err != nil {
			return dst, false, err
		}
		if n == 0 {
			break
		}
		p.scanned, p.inside = 0, false
		var passes bool
		if p.unit, passes, err = p.one(p.unit[:0], data[at:at+n]); err != nil {
			return dst, false, err
		}
		if !passes {
			dst = append(append(dst, data[clean:at]...), p.unit...)
			clean, same = at+n, false
		}
		at += n
	}
	if cap(p.unit) > keptBuffer {
		p.unit = nil
	}
	rest := data[at:]
	if same && len(rest) == 0 {
		return dst, true, nil
	}
	dst = append(dst, data[clean:at]...)
	switch {
	case len(rest) > maxCopyRow:
		return dst, false, ErrMalformed
	case at == 0 && len(rest) == len(p.held): // all of it is held already
	case len(rest) == 0 && cap(p.held) > keptBuffer:
		p.held = nil
	default:
		p.held = append(p.held[:0], rest...)
	}
	return dst, false, nil
}

// End reports whether the stream ended at the end of a row.
func (p *CopyPlan) End() error {
	if p.failed || len(p.held) > 0 {
		return ErrMalformed
	}
	return nil
}

// next is the length of the first whole unit of data, 0 if it is incomplete.
func (p *CopyPlan) next(data []byte) (int, error) {
	switch p.spec.Format {
	case sqlfacts.CopyBinary:
		return p.nextBinary(data)
	case sqlfacts.CopyCSV:
		return p.nextCSV(data), nil
	default:
		return p.nextText(data), nil
	}
}

// one appends one unit: a header, a row, or the trailer. If nothing of it is hidden, nothing is appended and passes is
// true.
func (p *CopyPlan) one(dst, unit []byte) (out []byte, passes bool, err error) {
	if p.spec.Format == sqlfacts.CopyBinary {
		return p.binaryUnit(dst, unit)
	}
	line := unit[:len(unit)-1]
	if p.started && p.spec.Format == sqlfacts.CopyText && string(line) == `\.` {
		return dst, true, nil
	}
	if !p.split(line) {
		return dst, false, ErrMalformed
	}
	if !p.started {
		p.started = true
		if !p.isHeader() {
			return dst, false, ErrMalformed // a row taken for the header would pass in clear
		}
		return dst, true, nil
	}
	clean, at := 0, 0 // unit[clean:at] passes as it is and is not yet copied
	passes = true
	for i, field := range p.fields {
		same := false
		if p.spec.Format == sqlfacts.CopyCSV {
			dst, same = p.csvField(dst, unit[clean:at], p.columns[i], field)
		} else {
			dst, same = p.textField(dst, unit[clean:at], p.columns[i], field)
		}
		at += len(field)
		if !same {
			clean, passes = at, false
		}
		at++ // the delimiter
	}
	if passes {
		return dst, true, nil
	}
	return append(dst, unit[clean:]...), false, nil
}

// split cuts a line into fields, and reports whether it has as many as there are columns.
func (p *CopyPlan) split(line []byte) bool {
	if p.spec.Format == sqlfacts.CopyText && endsOpen(p.spec.Null) {
		return p.splitOpen(line)
	}
	p.fields = p.fields[:0]
	for len(p.fields) < len(p.columns) {
		end := p.fieldEnd(line)
		p.fields = append(p.fields, line[:end])
		if end == len(line) {
			return len(p.fields) == len(p.columns)
		}
		line = line[end+1:]
	}
	return false
}

func (p *CopyPlan) fieldEnd(line []byte) int {
	if p.spec.Format == sqlfacts.CopyCSV {
		return p.csvEnd(line)
	}
	return textFieldEnd(line, p.spec.Delimiter)
}

// isHeader reports whether the fields are the columns' names.
func (p *CopyPlan) isHeader() bool {
	for i, field := range p.fields {
		if p.spec.Format == sqlfacts.CopyCSV {
			p.value = unquoteCSV(p.value[:0], field, p.spec.Quote, p.spec.Escape)
		} else {
			p.value = unescapeText(p.value[:0], field)
		}
		if !bytes.Equal(p.value, []byte(p.spec.Columns[i].Name)) {
			return false
		}
	}
	return true
}
