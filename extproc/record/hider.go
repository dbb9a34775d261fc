package record

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sluicegate/sluice/extproc/record/translog"
)

// Hider writes what stands in place of a value that a record must not hold. Equal values have equal places, so that a
// reader can tell the same secret from another one; without the key nobody can try values.
type Hider struct{ key []byte }

// hmacKeySize is the key's least length in bytes.
const hmacKeySize = 32

// NewHider takes the key, at least 32 bytes.
func NewHider(key []byte) (Hider, error) {
	if len(key) < hmacKeySize {
		return Hider{}, fmt.Errorf("record: the HMAC key has %d bytes, at least %d are needed", len(key), hmacKeySize)
	}
	return Hider{key: key}, nil
}

// Hide is what stands for a value: its length, and the first 16 hexadecimal digits of HMAC-SHA-256 over it.
func (h Hider) Hide(value []byte) string {
	mac := hmac.New(sha256.New, h.key)
	mac.Write(value)
	return fmt.Sprintf("‹hidden, %d bytes, %x›", len(value), mac.Sum(nil)[:8])
}

const hmacKeyFile = "hmac.key"

// loadHMACKey reads the key from the directory of keys, or makes it there.
func loadHMACKey(dir *os.Root, random io.Reader) ([]byte, error) {
	key, err := dir.ReadFile(hmacKeyFile)
	if err == nil {
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("record: HMAC key: %w", err)
	}
	key = make([]byte, hmacKeySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fmt.Errorf("record: HMAC key: %w", err)
	}
	if err := translog.WriteKeyFile(dir, hmacKeyFile, key); err != nil {
		return nil, fmt.Errorf("record: HMAC key: %w", err)
	}
	return key, nil
}
