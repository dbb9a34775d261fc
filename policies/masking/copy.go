package masking

import (
	"bytes"

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
}

// Copy plans for COPY; nil if all columns pass. A COPY of a query never reaches it with something masked.
func (v *View) Copy(c *sqlfacts.Copy) *CopyPlan {
	if v.Empty() || c == nil || c.Relation == nil {
		return nil
	}
	columns := make([]*hiding, len(c.Columns))
	found := false
	for i, col := range c.Columns {
		if m := v.Column(c.Relation, col.Name); m != nil {
			columns[i], found = &hiding{rule: m, text: isText(col.TypeOID)}, true
		}
	}
	if !found {
		return nil
	}
	return &CopyPlan{spec: c, columns: columns, started: c.Format != sqlfacts.CopyBinary && !c.Header}
}

// Rewrite appends the hidden form of a piece of the stream. Rows may be split over pieces in any way; an incomplete
// row waits for its rest. After ErrMalformed nothing of the piece is appended and nothing goes on: where a row begins
// is not known any more.
func (p *CopyPlan) Rewrite(dst, piece []byte) ([]byte, error) {
	if p.failed {
		return dst, ErrMalformed
	}
	out, err := p.rewrite(dst, piece)
	if err != nil {
		p.failed, p.held = true, nil
		return dst, err
	}
	return out, nil
}

func (p *CopyPlan) rewrite(dst, piece []byte) ([]byte, error) {
	data := piece
	if len(p.held) > 0 {
		p.held = append(p.held, piece...)
		data = p.held
	}
	offered := len(data)
	for len(data) > 0 {
		n, err := p.next(data)
		if err != nil {
			return dst, err
		}
		if n == 0 {
			break
		}
		p.scanned, p.inside = 0, false
		if dst, err = p.one(dst, data[:n]); err != nil {
			return dst, err
		}
		data = data[n:]
	}
	switch {
	case len(data) > maxCopyRow:
		return dst, ErrMalformed
	case len(data) == len(p.held) && len(data) == offered: // all of it is held already
	case len(data) == 0 && cap(p.held) > keptBuffer:
		p.held = nil
	default:
		p.held = append(p.held[:0], data...)
	}
	return dst, nil
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

// one appends one unit: a header, a row, or the trailer.
func (p *CopyPlan) one(dst, unit []byte) ([]byte, error) {
	if p.spec.Format == sqlfacts.CopyBinary {
		return p.binaryUnit(dst, unit)
	}
	line := unit[:len(unit)-1]
	if p.started && p.spec.Format == sqlfacts.CopyText && string(line) == `\.` {
		return append(dst, unit...), nil
	}
	if !p.split(line) {
		return dst, ErrMalformed
	}
	if !p.started {
		p.started = true
		if !p.isHeader() {
			return dst, ErrMalformed // a row taken for the header would pass in clear
		}
		return append(dst, unit...), nil
	}
	for i, field := range p.fields {
		if i > 0 {
			dst = append(dst, p.spec.Delimiter)
		}
		if p.spec.Format == sqlfacts.CopyCSV {
			dst = p.csvField(dst, p.columns[i], field)
		} else {
			dst = p.textField(dst, p.columns[i], field)
		}
	}
	return append(dst, '\n'), nil
}

// split cuts a line into fields, and reports whether it has as many as there are columns.
func (p *CopyPlan) split(line []byte) bool {
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
	return p.textEnd(line)
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
