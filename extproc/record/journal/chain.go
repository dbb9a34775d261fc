package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Chain is SHA-256 over the chain of the segment before and the heads of a segment's records, which hold length and
// checksum of each. It says how many records there are, and which.
type Chain [sha256.Size]byte

// chain is one that grows.
type chain struct{ h hash.Hash }

func newChain(before Chain) *chain {
	c := &chain{sha256.New()}
	_, _ = c.h.Write(before[:]) // a hash never fails
	return c
}

// add takes a record's head.
func (c *chain) add(head []byte) { _, _ = c.h.Write(head) }

// addAll takes the heads of whole records.
func (c *chain) addAll(b []byte) {
	for len(b) >= HeadSize {
		c.add(b[:HeadSize])
		b = b[HeadSize+int(binary.LittleEndian.Uint32(b)):]
	}
}

// sum is the chain so far.
func (c *chain) sum() (out Chain) {
	c.h.Sum(out[:0])
	return out
}
