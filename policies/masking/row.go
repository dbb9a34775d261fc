package masking

import (
	"encoding/binary"
	"errors"

	"github.com/sluicegate/sluice/policies"
)

// ErrMalformed says that data is not laid out as the protocol has it.
var ErrMalformed = errors.New("masking: malformed data")

// Plan says by index which columns are hidden; nil entries pass.
type Plan []*hiding

// hiding hides one column.
type hiding struct {
	rule *policies.MaskRule
	// text: the type takes any text, so a mask can stand in it; others become NULL.
	text bool
}

// OIDs of types whose text and binary forms are the plain bytes (pg_type.dat).
func isText(oid uint32) bool {
	switch oid {
	case 25, 1043, 1042, 19, 705: // text, varchar, bpchar, name, unknown
		return true
	}
	return false
}

// Row appends the body of a DataRow with what is hidden hidden: a 16-bit count, then for each column a 32-bit length,
// -1 for NULL, and so many bytes. With ErrMalformed nothing is appended: what is no row may have anything anywhere.
func (p Plan) Row(dst, body []byte) ([]byte, error) {
	out, ok := p.row(dst, body)
	if !ok {
		return dst, ErrMalformed
	}
	return out, nil
}

func (p Plan) row(dst, body []byte) ([]byte, bool) {
	if len(body) < 2 || int(binary.BigEndian.Uint16(body)) != len(p) {
		return dst, false
	}
	dst = append(dst, body[:2]...)
	rest := body[2:]
	clean := 0 // bytes of rest that pass as they are and are not yet copied
	at := 0
	for _, h := range p {
		if len(rest)-at < 4 {
			return dst, false
		}
		n := int(int32(binary.BigEndian.Uint32(rest[at:]))) //nolint:gosec // the length is a signed 32-bit number on the wire
		if n < -1 || n > len(rest)-at-4 {
			return dst, false
		}
		end := at + 4 + max(n, 0)
		if h == nil || n == -1 {
			at = end
			continue
		}
		dst = append(dst, rest[clean:at]...)
		dst = h.field(dst, rest[at+4:end])
		at, clean = end, end
	}
	if at != len(rest) {
		return dst, false
	}
	return append(dst, rest[clean:]...), true
}

// field appends a length and the hidden value.
func (h *hiding) field(dst, value []byte) []byte {
	start := len(dst)
	dst = append(dst, 0xff, 0xff, 0xff, 0xff)
	if !h.text {
		return dst
	}
	dst = h.value(dst, value)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4)) //nolint:gosec // shorter than the row, which is bounded
	return dst
}
