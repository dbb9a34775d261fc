package masking

import (
	"bytes"
	"encoding/binary"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// maxCopyRow bounds a row of COPY that must be rewritten, in bytes.
const maxCopyRow = 64 << 20

// CopyPlan hides columns in what COPY … TO STDOUT sends. It carries state from message to message: one for each COPY.
type CopyPlan struct {
	spec    *sqlfacts.Copy
	columns []*hiding
	// held is an incomplete row, or an incomplete part of a binary stream.
	held []byte
	// started: the header of the format is behind.
	started bool
	row     []byte
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
// row waits for its rest.
func (p *CopyPlan) Rewrite(dst, piece []byte) ([]byte, error) {
	data := piece
	if len(p.held) > 0 {
		p.held = append(p.held, piece...)
		data = p.held
	}
	for len(data) > 0 {
		n, err := p.next(data)
		if err != nil {
			return dst, err
		}
		if n == 0 {
			break
		}
		if dst, err = p.one(dst, data[:n]); err != nil {
			return dst, err
		}
		data = data[n:]
	}
	if len(data) > maxCopyRow {
		return dst, ErrMalformed
	}
	p.held = append(p.held[:0], data...)
	return dst, nil
}

// End reports whether the stream ended at the end of a row.
func (p *CopyPlan) End() error {
	if len(p.held) > 0 {
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
		return endOfCSV(data, p.spec.Quote, p.spec.Escape), nil
	default:
		return bytes.IndexByte(data, '\n') + 1, nil // a newline in a value stands as \n
	}
}

// one appends one unit: a header, a row, or the trailer.
func (p *CopyPlan) one(dst, unit []byte) ([]byte, error) {
	if !p.started {
		p.started = true
		return append(dst, unit...), nil
	}
	switch p.spec.Format {
	case sqlfacts.CopyBinary:
		return p.binaryRow(dst, unit)
	case sqlfacts.CopyCSV:
		return p.csvRow(dst, unit)
	default:
		return p.textRow(dst, unit)
	}
}

// textRow hides fields between delimiters; a backslash takes the next byte with it (PostgreSQL, COPY, "Text Format").
func (p *CopyPlan) textRow(dst, row []byte) ([]byte, error) {
	line := row[:len(row)-1]
	if bytes.Equal(line, []byte(`\.`)) {
		return append(dst, row...), nil
	}
	column := 0
	for {
		end := 0
		for end < len(line) && line[end] != p.spec.Delimiter {
			if line[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end, len(line))
		if column >= len(p.columns) {
			return dst, ErrMalformed
		}
		dst = p.textField(dst, p.columns[column], line[:end])
		column++
		if end == len(line) {
			break
		}
		dst = append(dst, p.spec.Delimiter)
		line = line[end+1:]
	}
	if column != len(p.columns) {
		return dst, ErrMalformed
	}
	return append(dst, '\n'), nil
}

// defaultNull cannot be mistaken for a value: a backslash in a value is doubled.
const defaultNull = `\N`

// textField hides one field. With another NULL string a value that equals it looks like NULL, so that somebody could
// guess values by it: then all fields of a hidden column are masked alike.
func (p *CopyPlan) textField(dst []byte, h *hiding, field []byte) []byte {
	if h == nil || (string(field) == p.spec.Null && p.spec.Null == defaultNull) {
		return append(dst, field...)
	}
	if !h.text {
		return append(dst, p.spec.Null...)
	}
	p.row = h.value(p.row[:0], unescapeText(nil, field))
	for _, b := range p.row {
		switch b {
		case '\\', p.spec.Delimiter:
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, b)
		}
	}
	return dst
}

// unescapeText undoes the escapes that COPY TO writes.
func unescapeText(dst, field []byte) []byte {
	for i := 0; i < len(field); i++ {
		b := field[i]
		if b == '\\' && i+1 < len(field) {
			i++
			switch field[i] {
			case 'b':
				b = '\b'
			case 'f':
				b = '\f'
			case 'n':
				b = '\n'
			case 'r':
				b = '\r'
			case 't':
				b = '\t'
			case 'v':
				b = '\v'
			default:
				b = field[i]
			}
		}
		dst = append(dst, b)
	}
	return dst
}

// endOfCSV finds the end of a row: a newline outside quotes; 0 if it is incomplete.
func endOfCSV(data []byte, quote, escape byte) int {
	inside := false
	for i := 0; i < len(data); i++ {
		switch b := data[i]; {
		case inside && b == escape && escape != quote:
			i++
		case b == quote:
			inside = !inside
		case b == '\n' && !inside:
			return i + 1
		}
	}
	return 0
}

// csvRow hides fields; a field may be quoted (PostgreSQL, COPY, "CSV Format").
func (p *CopyPlan) csvRow(dst, row []byte) ([]byte, error) {
	line := row[:len(row)-1]
	column := 0
	for {
		end, inside := 0, false
		for ; end < len(line); end++ {
			b := line[end]
			if inside && b == p.spec.Escape && p.spec.Escape != p.spec.Quote {
				end++
				continue
			}
			if b == p.spec.Quote {
				inside = !inside
			}
			if b == p.spec.Delimiter && !inside {
				break
			}
		}
		end = min(end, len(line))
		if column >= len(p.columns) {
			return dst, ErrMalformed
		}
		dst = p.csvField(dst, p.columns[column], line[:end])
		column++
		if end == len(line) {
			break
		}
		dst = append(dst, p.spec.Delimiter)
		line = line[end+1:]
	}
	if column != len(p.columns) {
		return dst, ErrMalformed
	}
	return append(dst, '\n'), nil
}

// csvField hides one field. PostgreSQL quotes a value that equals the NULL string, so NULL is never mistaken.
func (p *CopyPlan) csvField(dst []byte, h *hiding, field []byte) []byte {
	if h == nil || string(field) == p.spec.Null {
		return append(dst, field...)
	}
	if !h.text {
		return append(dst, p.spec.Null...)
	}
	p.row = h.value(p.row[:0], unquoteCSV(nil, field, p.spec.Quote, p.spec.Escape))
	dst = append(dst, p.spec.Quote)
	for _, b := range p.row {
		if b == p.spec.Quote || b == p.spec.Escape {
			dst = append(dst, p.spec.Escape)
		}
		dst = append(dst, b)
	}
	return append(dst, p.spec.Quote)
}

func unquoteCSV(dst, field []byte, quote, escape byte) []byte {
	inside := false
	for i := 0; i < len(field); i++ {
		b := field[i]
		switch {
		case inside && b == escape && i+1 < len(field) && (field[i+1] == quote || field[i+1] == escape):
			i++
			dst = append(dst, field[i])
		case b == quote:
			inside = !inside
		default:
			dst = append(dst, b)
		}
	}
	return dst
}

// binarySignature opens a binary stream (PostgreSQL, COPY, "Binary Format").
const binarySignature = "PGCOPY\n\xff\r\n\x00"

func (p *CopyPlan) nextBinary(data []byte) (int, error) {
	if !p.started {
		const fixed = len(binarySignature) + 8
		if len(data) < fixed {
			return 0, nil
		}
		extension := int(binary.BigEndian.Uint32(data[fixed-4:]))
		if string(data[:len(binarySignature)]) != binarySignature || extension > maxCopyRow {
			return 0, ErrMalformed
		}
		if len(data) < fixed+extension {
			return 0, nil
		}
		return fixed + extension, nil
	}
	if len(data) < 2 {
		return 0, nil
	}
	count := int(int16(binary.BigEndian.Uint16(data))) //nolint:gosec // a signed 16-bit number on the wire
	if count == -1 {
		return 2, nil
	}
	if count != len(p.columns) {
		return 0, ErrMalformed
	}
	at := 2
	for range count {
		if len(data)-at < 4 {
			return 0, nil
		}
		n := int(int32(binary.BigEndian.Uint32(data[at:]))) //nolint:gosec // a signed 32-bit number on the wire
		if n < -1 || n > maxCopyRow {
			return 0, ErrMalformed
		}
		at += 4 + max(n, 0)
		if at > len(data) {
			return 0, nil
		}
	}
	return at, nil
}

// binaryRow has the layout of a DataRow; a count of -1 is the trailer.
func (p *CopyPlan) binaryRow(dst, unit []byte) ([]byte, error) {
	if len(unit) == 2 {
		return append(dst, unit...), nil
	}
	return Plan(p.columns).Row(dst, unit)
}
