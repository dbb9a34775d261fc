package approval

import (
	"encoding/base32"
	"fmt"
	"io"
)

// NonceSize is the length of a nonce in bytes: 128 bits.
const NonceSize = 16

// NewNonce is 128 random bits. It stays in the holder's memory and is never stored.
func NewNonce(random io.Reader) ([]byte, error) {
	b := make([]byte, NonceSize)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, fmt.Errorf("approval: nonce: %w", err)
	}
	return b, nil
}

// NewID is 128 random bits in Crockford's base 32: 26 characters without I, L, O and U, to be read aloud and typed.
func NewID(random io.Reader) (string, error) {
	b, err := NewNonce(random)
	if err != nil {
		return "", err
	}
	return base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding).EncodeToString(b), nil
}
