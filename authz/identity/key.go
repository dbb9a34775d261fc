package identity

import (
	"crypto/sha256"
	"encoding/binary"
)

// Key tells tokens apart by what they say.
type Key [sha256.Size]byte

// keyOf is over issuer, subject and jti (RFC 7519, 4.1.7), which is unique to a token; without it over all claims.
func keyOf(issuer string, c claims, payload []byte) Key {
	subject, _ := c["sub"].(string)
	id, _ := c["jti"].(string)
	parts := []string{"claims", issuer, string(payload)}
	if id != "" {
		parts = []string{"jti", issuer, subject, id}
	}
	h := sha256.New()
	var length [8]byte
	for _, part := range parts { // lengths first, so that no two lists read the same
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		_, _ = h.Write(length[:]) // a hash never fails
		_, _ = h.Write([]byte(part))
	}
	return Key(h.Sum(nil))
}
