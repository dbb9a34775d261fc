package masking

import (
	"bytes"
	"slices"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

const (
	// maxCopyInRow is the longest row of COPY … FROM STDIN that is read; a longer one is hidden in whole.
	maxCopyInRow = 16 << 20
	// coveredBlock is how much of what is hidden in whole is gathered first, in bytes: the digest of a single byte would
	// tell it to whoever can compare.
	coveredBlock = 64 << 10
)

// endMark stands alone on a line behind the last row.
const endMark = `\.`

// CopyIn writes what a record has of the data of one COPY … FROM STDIN: with what goes into hidden columns hidden. A row
// stands there once its end has come. What cannot be followed is hidden in whole, and all that comes behind it: the server
// reads no further either.
type CopyIn struct {
	spec   *sqlfacts.Copy
	hidden []bool
	hide   func(value []byte) string
	// held is an incomplete row, of which line has seen a part; or, if lost, what is to be hidden in whole.
	held   []byte
	line   inputLine
	lost   bool
	header bool
	fields [][]byte
	value  []byte
}

// CopyIn plans what a record has of the data of a COPY … FROM STDIN of so many columns; nil if all of it. In doubt, the
// statement may be about anything.
func (v *View) CopyIn(c *sqlfacts.Copy, columns int, doubtful bool, hide func(value []byte) string) *CopyIn {
	if !v.HidesCopyIn(c, columns, doubtful) {
		return nil
	}
	p := &CopyIn{spec: c, hide: hide, header: c.Header}
	p.lost = doubtful || !readable(c, columns)
	for _, column := range c.Columns {
		p.hidden = append(p.hidden, !p.lost && v.Column(c.Relation, column.Name) != nil)
	}
	p.line.text = c.Format == sqlfacts.CopyText
	p.line.quote, p.line.escape = c.Quote, c.Escape
	return p
}

// HidesCopyIn reports whether something of the data of a COPY … FROM STDIN is to be hidden in a record.
func (v *View) HidesCopyIn(c *sqlfacts.Copy, columns int, doubtful bool) bool {
	switch {
	case v.Empty() || c == nil:
		return false
	case doubtful || c.Relation == nil || columns != len(c.Columns):
		return true
	}
	return slices.ContainsFunc(c.Columns, func(column sqlfacts.Column) bool { return v.Column(c.Relation, column.Name) != nil })
}

// readable reports whether rows can be read, and the catalog knows what stands in them.
func readable(c *sqlfacts.Copy, columns int) bool {
	return c.Relation != nil && columns == len(c.Columns) && c.Format != sqlfacts.CopyBinary
}

// Append appends what the record has of the next piece. Rows may be split over pieces in any way.
func (p *CopyIn) Append(dst, piece []byte) []byte {
	p.held = append(p.held, piece...)
	at := 0 // held[:at] is done with
	for !p.lost {
		end, ok := p.line.end(p.held[at:])
		switch {
		case end > 0:
			if dst, ok = p.row(dst, p.held[at:at+end]); ok {
				at += end
				continue
			}
		case ok && len(p.held)-at <= maxCopyInRow:
			p.held = p.held[:copy(p.held, p.held[at:])]
			return dst
		}
		p.lost = true
	}
	p.held = p.held[:copy(p.held, p.held[at:])]
	if len(p.held) >= coveredBlock {
		dst = p.cover(dst)
	}
	return dst
}

// End appends what the record has of what is left at the end of the data: its last row needs no end of a line.
func (p *CopyIn) End(dst []byte) []byte {
	if len(p.held) > 0 && !p.lost && !p.line.broken() {
		var ok bool
		if dst, ok = p.row(dst, p.held); ok {
			p.held = p.held[:0]
		}
	}
	p.lost = true
	return p.cover(dst)
}

// cover appends what stands for all that is held.
func (p *CopyIn) cover(dst []byte) []byte {
	if len(p.held) == 0 {
		return dst
	}
	dst = append(dst, p.hide(p.held)...)
	if cap(p.held) > keptBuffer {
		p.held = nil
	}
	p.held = p.held[:0]
	return dst
}

// row appends a line with what is hidden hidden, and reports whether it could be read.
func (p *CopyIn) row(dst, line []byte) (out []byte, ok bool) {
	end := len(line) - p.line.ending
	body := line[:end]
	p.line.next()
	if string(body) == endMark {
		p.lost = p.line.text // the server reads no further; with CSV some do
		return append(dst, line...), true
	}
	marked := p.line.marked || p.line.text && bytes.HasPrefix(body, []byte(endMark))
	ok = !marked && p.split(body)
	if p.header {
		p.header = false
		switch {
		case !ok: // a header may have any names, and any number of them
			return append(append(dst, p.hide(body)...), line[end:]...), true
		case p.isHeader():
			return append(dst, line...), true
		}
	}
	if !ok {
		return dst, false
	}
	for i, field := range p.fields {
		if i > 0 {
			dst = append(dst, p.spec.Delimiter)
		}
		if p.hidden[i] && !p.isNull(field) {
			dst = p.hiddenField(dst, field)
		} else {
			dst = append(dst, field...)
		}
	}
	return append(dst, line[end:]...), true
}

// isNull reports whether a field is NULL. In CSV, FORCE_NOT_NULL makes a value of the NULL string, which tells nothing if that
// is empty.
func (p *CopyIn) isNull(field []byte) bool {
	return string(field) == p.spec.Null && (p.line.text || p.spec.Null == "")
}

// split cuts a line into fields, and reports whether it has as many as there are columns, and all quotes end.
func (p *CopyIn) split(line []byte) bool {
	p.fields = p.fields[:0]
	for len(p.fields) < len(p.hidden) {
		var end int
		if p.line.text {
			end = textFieldEnd(line, p.spec.Delimiter)
		} else if end = p.csvFieldEnd(line); end < 0 {
			return false
		}
		p.fields = append(p.fields, line[:end])
		if end == len(line) {
			return len(p.fields) == len(p.hidden)
		}
		line = line[end+1:]
	}
	return false
}

// csvFieldEnd is the length of the first field, -1 if its quotes do not end (copyfromparse.c, CopyReadAttributesCSV).
func (p *CopyIn) csvFieldEnd(line []byte) int {
	inside := false
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case inside && b == p.spec.Escape && i+1 < len(line) && (line[i+1] == p.spec.Escape || line[i+1] == p.spec.Quote):
			i++
		case !inside && b == p.spec.Delimiter:
			return i
		case b == p.spec.Quote:
			inside = !inside
		}
	}
	if inside {
		return -1
	}
	return len(line)
}

// isHeader reports whether the fields are the columns' names.
func (p *CopyIn) isHeader() bool {
	for i, field := range p.fields {
		if string(p.plain(field)) != p.spec.Columns[i].Name {
			return false
		}
	}
	return true
}

// plain is the value that a field stands for.
func (p *CopyIn) plain(field []byte) []byte {
	if p.line.text {
		p.value = unescapeInput(p.value[:0], field)
	} else {
		p.value = unquoteCSV(p.value[:0], field, p.spec.Quote, p.spec.Escape)
	}
	return p.value
}

// hiddenField appends what stands for a field, written as the format has it.
func (p *CopyIn) hiddenField(dst, field []byte) []byte {
	mark := p.hide(p.plain(field))
	if cap(p.value) > keptBuffer {
		p.value = nil
	}
	if p.line.text {
		for i := range len(mark) {
			if mark[i] == p.spec.Delimiter || mark[i] == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, mark[i])
		}
		return dst
	}
	dst = append(dst, p.spec.Quote)
	for i := range len(mark) {
		if mark[i] == p.spec.Quote || mark[i] == p.spec.Escape {
			dst = append(dst, p.spec.Escape)
		}
		dst = append(dst, mark[i])
	}
	return append(dst, p.spec.Quote)
}
