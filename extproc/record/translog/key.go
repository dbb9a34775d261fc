package translog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Names of the key's two halves in the directory of keys.
const (
	SecretKeyFile = "log.key"
	PublicKeyFile = "log.pub"
)

// LoadKey reads the log's Ed25519 key from a directory, or makes it there (mode 0600). Its name is the log's origin. The
// verifier's text is what auditors keep: it is written beside it, as `NAME+HASH+KEY`.
func LoadKey(dir *os.Root, name string, random io.Reader) (note.Signer, note.Verifier, error) {
	raw, err := dir.ReadFile(SecretKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		secret, public, err := note.GenerateKey(random, name)
		if err != nil {
			return nil, nil, fmt.Errorf("translog: make key: %w", err)
		}
		// The public half first: a secret half alone would be a key that nobody can check.
		if err := WriteKeyFile(dir, PublicKeyFile, []byte(public+"\n")); err != nil {
			return nil, nil, err
		}
		raw = []byte(secret + "\n")
		if err := WriteKeyFile(dir, SecretKeyFile, raw); err != nil {
			return nil, nil, err
		}
	} else if err != nil {
		return nil, nil, fmt.Errorf("translog: key: %w", err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(raw)))
	if err != nil {
		return nil, nil, fmt.Errorf("translog: %s: %w", SecretKeyFile, err)
	}
	public, err := dir.ReadFile(PublicKeyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("translog: key: %w", err)
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(public)))
	if err != nil {
		return nil, nil, fmt.Errorf("translog: %s: %w", PublicKeyFile, err)
	}
	if verifier.Name() != signer.Name() || verifier.KeyHash() != signer.KeyHash() {
		return nil, nil, fmt.Errorf("translog: %s and %s are not halves of one key", SecretKeyFile, PublicKeyFile)
	}
	return signer, verifier, nil
}

// ErrKey says that a text names no log key.
var ErrKey = errors.New("translog: no log key (NAME+HASH+KEY, or a file with it)")

// ParseKey reads a log's public key: the text itself, or the name of a file that holds it.
func ParseKey(textOrFile string) (note.Verifier, error) {
	text := strings.TrimSpace(textOrFile)
	v, err := note.NewVerifier(text)
	if err == nil {
		return v, nil
	}
	raw, rerr := os.ReadFile(text) //nolint:gosec // G304: the file that the auditor names
	if rerr != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, errors.Join(err, rerr))
	}
	if v, err = note.NewVerifier(strings.TrimSpace(string(raw))); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKey, text, err)
	}
	return v, nil
}

// WriteKeyFile puts a new file with mode 0600 in place, durably, whole or not at all.
func WriteKeyFile(dir *os.Root, name string, content []byte) error {
	tmp := name + ".tmp"
	f, err := dir.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("translog: key: %w", err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("translog: key: %w", err)
	}
	if err := dir.Rename(tmp, name); err != nil {
		return fmt.Errorf("translog: key: %w", err)
	}
	d, err := dir.Open(".")
	if err != nil {
		return fmt.Errorf("translog: key: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("translog: key: %w", err)
	}
	return nil
}
