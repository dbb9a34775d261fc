package record

import (
	"encoding/base32"
	"fmt"
	"io"
)

// idBytes is 80 bits.
const idBytes = 10

// NewSessionID is a session's id: the processor's id, a dash, and 80 random bits in Crockford's base 32 (16 characters
// without I, L, O and U).
func NewSessionID(processor string, random io.Reader) (string, error) {
	var b [idBytes]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("record: session id: %w", err)
	}
	enc := base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)
	return processor + "-" + enc.EncodeToString(b[:]), nil
}
