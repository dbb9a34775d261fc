package masking

// nextCSV finds the end of a row: a newline outside quotes; 0 if it is incomplete (PostgreSQL, COPY, "CSV Format").
func (p *CopyPlan) nextCSV(data []byte) int {
	for i := p.scanned; i < len(data); i++ {
		switch b := data[i]; {
		case p.inside && b == p.spec.Escape && p.spec.Escape != p.spec.Quote:
			if i+1 == len(data) { // what it escapes is yet to come
				p.scanned = i
				return 0
			}
			i++
		case b == p.spec.Quote:
			p.inside = !p.inside
		case b == '\n' && !p.inside:
			return i + 1
		}
	}
	p.scanned = len(data)
	return 0
}

// csvEnd is the length of the first field.
func (p *CopyPlan) csvEnd(line []byte) int {
	inside := false
	end := 0
	for ; end < len(line); end++ {
		b := line[end]
		switch {
		case inside && b == p.spec.Escape && p.spec.Escape != p.spec.Quote:
			end++
		case b == p.spec.Quote:
			inside = !inside
		case b == p.spec.Delimiter && !inside:
			return end
		}
	}
	return min(end, len(line))
}

// csvField appends what comes before a field, and the field with what is hidden hidden; if nothing is, nothing is
// appended and passes is true.
// PostgreSQL quotes a value that equals the NULL string, so NULL is never mistaken.
func (p *CopyPlan) csvField(dst, before []byte, h *hiding, field []byte) (out []byte, passes bool) {
	if h == nil || string(field) == p.spec.Null {
		return dst, true
	}
	if !h.text {
		return append(append(dst, before...), p.spec.Null...), false
	}
	plain := unquoteCSV(p.value[:0], field, p.spec.Quote, p.spec.Escape)
	start := len(plain)
	if p.value, passes = h.shown(plain, nil, plain); passes {
		return dst, true
	}
	dst = append(append(dst, before...), p.spec.Quote)
	for _, b := range p.value[start:] {
		if b == p.spec.Quote || b == p.spec.Escape {
			dst = append(dst, p.spec.Escape)
		}
		dst = append(dst, b)
	}
	return append(dst, p.spec.Quote), false
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
