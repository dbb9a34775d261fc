package translog

import (
	"encoding/base64"
	"errors"
	"fmt"

	formats "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

// Checkpoint is a signed size and root of the log (c2sp.org/tlog-checkpoint).
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   [DigestSize]byte
}

// ErrCheckpoint says that a checkpoint is not one of the key's, or was changed.
var ErrCheckpoint = errors.New("translog: no checkpoint of this key")

// ParseCheckpoint opens a checkpoint that this key alone signed. The bytes must be exactly those that were written:
// base64 leaves room for changes that decode to the same.
func ParseCheckpoint(b []byte, key note.Verifier) (Checkpoint, error) {
	n, err := note.Open(b, note.VerifierList(key))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	if len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		return Checkpoint{}, fmt.Errorf("%w: more than one signature", ErrCheckpoint)
	}
	sig, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	if want := n.Text + "\n— " + key.Name() + " " + base64.StdEncoding.EncodeToString(sig) + "\n"; want != string(b) {
		return Checkpoint{}, fmt.Errorf("%w: not the bytes that were signed", ErrCheckpoint)
	}
	var c formats.Checkpoint
	rest, err := c.Unmarshal([]byte(n.Text))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	if len(rest) != 0 || c.Origin != key.Name() || len(c.Hash) != DigestSize {
		return Checkpoint{}, fmt.Errorf("%w: unexpected content", ErrCheckpoint)
	}
	return Checkpoint{Origin: c.Origin, Size: c.Size, Root: [DigestSize]byte(c.Hash)}, nil
}
