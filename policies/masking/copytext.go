package masking

import "bytes"

// nextText finds the end of a row: a newline in a value stands as \n (PostgreSQL, COPY, "Text Format").
func (p *CopyPlan) nextText(data []byte) int {
	if n := bytes.IndexByte(data[p.scanned:], '\n'); n >= 0 {
		return p.scanned + n + 1
	}
	p.scanned = len(data)
	return 0
}

// defaultNull cannot be mistaken for a value: a backslash in a value is doubled.
const defaultNull = `\N`

// textField appends what comes before a field, and the field with what is hidden hidden; if nothing is, nothing is
// appended and passes is true. With another NULL string a value that equals it looks like NULL, so that somebody could guess
// values by it: then all fields of a hidden column are masked alike.
func (p *CopyPlan) textField(dst, before []byte, h *hiding, field []byte) (out []byte, passes bool) {
	if h == nil || (string(field) == p.spec.Null && (p.spec.Null == defaultNull || h.finder != nil)) {
		return dst, true
	}
	if !h.text {
		return append(append(dst, before...), p.spec.Null...), false
	}
	plain := unescapeText(p.value[:0], field)
	start := len(plain)
	if p.value, passes = h.shown(plain, nil, plain); passes {
		return dst, true
	}
	dst = append(dst, before...)
	for _, b := range p.value[start:] {
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
	return dst, false
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
