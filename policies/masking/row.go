package masking

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"github.com/sluicegate/sluice/policies"
)

// ErrMalformed says that data is not laid out as the protocol has it.
var ErrMalformed = errors.New("masking: malformed data")

// Plan says by index which columns are hidden; nil entries pass.
type Plan []*hiding

// hiding hides one column, or what is found in it.
type hiding struct {
	rule *policies.MaskRule
	// text: the type takes any text, so a mask can stand in it; others become NULL.
	text bool
	// longest is how many characters the column takes, 0 for any number.
	longest int
	// finder is set where only what it finds is hidden; form is then what it reads.
	finder *finder
	form   form
}

// Size is what it takes in memory, in bytes.
func (p Plan) Size() int {
	n := len(p) * int(unsafe.Sizeof(p[0]))
	for _, h := range p {
		if h != nil {
			n += int(unsafe.Sizeof(*h))
		}
	}
	return n
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
// -1 for NULL, and so many bytes. If nothing in it is, nothing is appended and same is true. With ErrMalformed nothing is
// appended: what is no row may have anything anywhere.
func (p Plan) Row(dst, body []byte) (out []byte, same bool, err error) {
	if len(body) < 2 || int(binary.BigEndian.Uint16(body)) != len(p) {
		return dst, false, ErrMalformed
	}
	out = dst
	clean := 0 // bytes of body that pass as they are and are not yet copied
	at := 2
	for _, h := range p {
		if len(body)-at < 4 {
			return dst, false, ErrMalformed
		}
		n := int(int32(binary.BigEndian.Uint32(body[at:]))) //nolint:gosec // the length is a signed 32-bit number on the wire
		if n < -1 || n > len(body)-at-4 {
			return dst, false, ErrMalformed
		}
		begin, end := at+4, at+4+max(n, 0)
		if h != nil && n != -1 {
			var passes bool
			if out, passes = h.field(out, body[clean:begin], body[begin:end]); !passes {
				clean = end
			}
		}
		at = end
	}
	if at != len(body) {
		return dst, false, ErrMalformed
	}
	if clean == 0 {
		return dst, true, nil
	}
	return append(out, body[clean:]...), false, nil
}

// field appends what comes before a value, which ends with its length, and the hidden value, and puts its length right.
// If nothing of the value is hidden, nothing is appended and passes is true.
func (h *hiding) field(dst, before, value []byte) (out []byte, passes bool) {
	length := len(dst) + len(before) - 4
	if !h.text {
		dst = append(dst, before...)
		binary.BigEndian.PutUint32(dst[length:], 0xffffffff)
		return dst, false
	}
	if dst, passes = h.shown(dst, before, value); !passes {
		binary.BigEndian.PutUint32(dst[length:], uint32(len(dst)-length-4)) //nolint:gosec // a row is bounded, and a mask too
	}
	return dst, passes
}
