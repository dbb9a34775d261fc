package translog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// DigestSize is the length of a digest in bytes (SHA-256).
const DigestSize = 32

// Leaf is what the log says of a chunk.
type Leaf struct {
	Session  string
	Sequence uint64
	// Digest is SHA-256 over the bytes of the chunk's file.
	Digest [DigestSize]byte
	// Previous is the digest of the session's chunk before; of the first it is all zeros.
	Previous [DigestSize]byte
}

const leafTitle = "sluice chunk 1"

// Marshal is the leaf's text: title, session, sequence, digest and previous digest, a line each.
func (l Leaf) Marshal() []byte {
	return fmt.Appendf(nil, "%s\n%s\n%d\n%x\n%x\n", leafTitle, l.Session, l.Sequence, l.Digest, l.Previous)
}

// ErrLeaf says that an entry of the log is no leaf of ours.
var ErrLeaf = errors.New("translog: entry is no chunk's leaf")

// ParseLeaf is Marshal's reverse. It takes nothing that Marshal would have written otherwise.
func ParseLeaf(b []byte) (Leaf, error) {
	lines := strings.Split(string(b), "\n")
	if len(lines) != 6 || lines[0] != leafTitle {
		return Leaf{}, ErrLeaf
	}
	l := Leaf{Session: lines[1]}
	var err error
	if l.Sequence, err = strconv.ParseUint(lines[2], 10, 64); err != nil {
		return Leaf{}, ErrLeaf
	}
	for i, dst := range []*[DigestSize]byte{&l.Digest, &l.Previous} {
		d, err := hex.DecodeString(lines[3+i])
		if err != nil || len(d) != DigestSize {
			return Leaf{}, ErrLeaf
		}
		copy(dst[:], d)
	}
	if !bytes.Equal(l.Marshal(), b) {
		return Leaf{}, ErrLeaf
	}
	return l, nil
}
