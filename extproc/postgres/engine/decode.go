package engine

import (
	"bytes"
	"encoding/binary"

	"github.com/sluicegate/sluice/policies/masking"
)

// parseMessage is a decoded Parse.
type parseMessage struct {
	name, sql []byte
	types     []uint32
}

func decodeParse(body []byte) (m parseMessage, ok bool) {
	if m.name, body, ok = cstring(body); !ok {
		return m, false
	}
	if m.sql, body, ok = cstring(body); !ok || len(body) < 2 {
		return m, false
	}
	count := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	if len(body) != 4*count {
		return m, false
	}
	m.types = make([]uint32, count)
	for i := range m.types {
		m.types[i] = binary.BigEndian.Uint32(body[4*i:])
	}
	return m, true
}

// decodeParameters reads a ParameterDescription.
func decodeParameters(body []byte) (types []uint32, ok bool) {
	if len(body) < 2 || len(body)%4 != 2 {
		return nil, false
	}
	if int(binary.BigEndian.Uint16(body)) != len(body)/4%(1<<16) { // the count is cut where there are more than it can say
		return nil, false
	}
	for body = body[2:]; len(body) > 0; body = body[4:] {
		types = append(types, binary.BigEndian.Uint32(body))
	}
	return types, true
}

// decode fills a Bind from its body, reusing its slices.
func (b *Bind) decode(body []byte) (ok bool) {
	if b.Portal, body, ok = cstring(body); !ok {
		return false
	}
	if b.Statement, body, ok = cstring(body); !ok {
		return false
	}
	if b.Formats, body, ok = int16s(b.Formats[:0], body); !ok || len(body) < 2 {
		return false
	}
	count := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	clear(b.Values)
	b.Values = b.Values[:0]
	for range count {
		if len(body) < 4 {
			return false
		}
		n := int(int32(binary.BigEndian.Uint32(body))) //nolint:gosec // a signed 32-bit number on the wire
		body = body[4:]
		if n < -1 || n > len(body) {
			return false
		}
		if n == -1 {
			b.Values = append(b.Values, nil)
			continue
		}
		b.Values = append(b.Values, body[:n:n])
		body = body[n:]
	}
	if b.ResultFormats, body, ok = int16s(b.ResultFormats[:0], body); !ok {
		return false
	}
	return len(body) == 0
}

func int16s(dst []int16, b []byte) (out []int16, rest []byte, ok bool) {
	if len(b) < 2 {
		return dst, b, false
	}
	count := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	if len(b) < 2*count {
		return dst, b, false
	}
	for i := range count {
		dst = append(dst, int16(binary.BigEndian.Uint16(b[2*i:]))) //nolint:gosec // a signed 16-bit number on the wire
	}
	return dst, b[2*count:], true
}

// hidesOrigin reports whether a view hides one of the columns of a RowDescription by its origin. The number of columns
// is there.
func hidesOrigin(v *masking.View, body []byte) (hides, ok bool) {
	count := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	for range count {
		end := bytes.IndexByte(body, 0)
		if end < 0 || len(body) < end+1+18 {
			return false, false
		}
		body = body[end+1:]
		number := int16(binary.BigEndian.Uint16(body[4:])) //nolint:gosec // a signed 16-bit number on the wire
		hides = hides || v.HidesOrigin(binary.BigEndian.Uint32(body), number)
		body = body[18:]
	}
	return hides, len(body) == 0
}

// decodeFields reads a RowDescription; as for hidesOrigin, the number of columns is there.
func decodeFields(body []byte) (fields []masking.Field, ok bool) {
	count := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	fields = make([]masking.Field, 0, count)
	for range count {
		_, rest, ok := cstring(body)
		if !ok || len(rest) < 18 {
			return nil, false
		}
		fields = append(fields, masking.Field{
			Relation: binary.BigEndian.Uint32(rest),
			Number:   int16(binary.BigEndian.Uint16(rest[4:])), //nolint:gosec // a signed 16-bit number on the wire
			Type:     binary.BigEndian.Uint32(rest[6:]),
			Modifier: int32(binary.BigEndian.Uint32(rest[12:])), //nolint:gosec // a signed 32-bit number on the wire
			Format:   int16(binary.BigEndian.Uint16(rest[16:])), //nolint:gosec // the same
		})
		body = rest[18:]
	}
	return fields, len(body) == 0
}
