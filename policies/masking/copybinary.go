package masking

import "encoding/binary"

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

// binaryUnit appends a row, which has the layout of a DataRow; the header, and the trailer, a count of -1, pass.
func (p *CopyPlan) binaryUnit(dst, unit []byte) (out []byte, passes bool, err error) {
	if !p.started || len(unit) == 2 {
		p.started = true
		return dst, true, nil
	}
	return Plan(p.columns).Row(dst, unit)
}
