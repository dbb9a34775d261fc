package masking

import (
	"encoding/binary"
	"strings"
)

// inArray reads the elements of an array as text (PostgreSQL, "Array Input and Output Syntax"): one in which something
// is found is quoted again.
func (f *finder) inArray(dst, before, value []byte, element layout) (out []byte, passes bool) {
	passes = true
	var plain []byte
	clean := 0 // value[clean:] is not yet copied
	for at := 0; at < len(value); {
		begin, quoted := at, false
		switch value[at] {
		case '{', '}', ',':
			at++
			continue
		case '"':
			quoted = true
			plain, at = unquoteElement(plain[:0], value, at+1)
		default:
			for at < len(value) && strings.IndexByte(`{},"`, value[at]) < 0 {
				at++
			}
			plain = append(plain[:0], value[begin:at]...)
		}
		if !quoted && string(plain) == "NULL" {
			continue
		}
		hidden, same := f.inValue(nil, nil, plain, element)
		if same {
			continue
		}
		if passes {
			dst, passes = append(dst, before...), false
		}
		dst = append(append(dst, value[clean:begin]...), '"')
		for _, b := range hidden {
			if b == '"' || b == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, b)
		}
		dst, clean = append(dst, '"'), at
	}
	if passes {
		return dst, true
	}
	return append(dst, value[clean:]...), false
}

// unquoteElement appends a quoted element without its escapes, and returns where it ends.
func unquoteElement(dst, value []byte, at int) ([]byte, int) {
	for ; at < len(value); at++ {
		switch b := value[at]; {
		case b == '"':
			return dst, at + 1
		case b == '\\' && at+1 < len(value):
			at++
			dst = append(dst, value[at])
		default:
			dst = append(dst, b)
		}
	}
	return dst, at
}

// inBinaryArray reads the elements of an array in binary (PostgreSQL, src/backend/utils/adt/arrayfuncs.c, array_send):
// the number of dimensions, flags, the type, two numbers a dimension, then for each element a length, -1 for NULL, and
// so many bytes. What is laid out otherwise is none, and passes.
func (f *finder) inBinaryArray(dst, before, value []byte, element layout) (out []byte, passes bool) {
	dimensions, ok := dimensionsOf(value)
	if !ok {
		return dst, true
	}
	start, clean := len(dst), 0
	for at := arrayHead + 8*dimensions; at != len(value); {
		if len(value)-at < 4 {
			return dst[:start], true
		}
		n := int(int32(binary.BigEndian.Uint32(value[at:]))) //nolint:gosec // a signed 32-bit number on the wire
		if n < -1 || n > len(value)-at-4 {
			return dst[:start], true
		}
		begin, end := at+4, at+4+max(n, 0)
		at = end
		if n == -1 {
			continue
		}
		hidden, same := f.inValue(nil, nil, value[begin:end], element)
		if same {
			continue
		}
		if clean == 0 {
			dst = append(dst, before...)
		}
		dst = append(dst, value[clean:begin-4]...)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(hidden))) //nolint:gosec // a row is bounded, and a mask too
		dst, clean = append(dst, hidden...), end
	}
	if clean == 0 {
		return dst, true
	}
	return append(dst, value[clean:]...), false
}

// arrayHead is the length of what comes before the dimensions.
const arrayHead = 12

// dimensionsOf is the number of dimensions of an array in binary, false if it is none (src/include/utils/array.h,
// MAXDIM).
func dimensionsOf(value []byte) (int, bool) {
	const most = 6
	if len(value) < arrayHead {
		return 0, false
	}
	n := binary.BigEndian.Uint32(value)
	return int(n), n <= most
}

// elementIn is how the elements of what could be an array in binary are laid out; notSearched if it is none, or one of
// other elements.
func elementIn(value []byte) layout {
	if _, ok := dimensionsOf(value); !ok || binary.BigEndian.Uint32(value[4:]) > 1 {
		return notSearched
	}
	if as := layoutOf(binary.BigEndian.Uint32(value[8:]), true); as != openBinary {
		return as
	}
	return notSearched
}
