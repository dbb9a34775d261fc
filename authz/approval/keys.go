package approval

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
)

// publicSuffix is what the public key's file is called after the private one's.
const publicSuffix = ".pub"

// Signer signs the votes that one API process hears.
type Signer struct {
	private ed25519.PrivateKey
	id      string
}

// NewSigner signs with a key that is at hand.
func NewSigner(private ed25519.PrivateKey) *Signer {
	s := &Signer{private: private}
	s.id = KeyID(s.Public())
	return s
}

// OpenSigner loads the Ed25519 key in a PKCS 8 PEM file of mode 0600, or makes one there. The public key is written
// beside it, with ".pub" after its name, for keyrings and for verify. Two processes that start at once get one key.
func OpenSigner(path string, random io.Reader) (*Signer, error) {
	s, err := loadSigner(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createKey(path, random); err != nil {
			return nil, err
		}
		s, err = loadSigner(path)
	}
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path + publicSuffix); errors.Is(err, fs.ErrNotExist) {
		der, err := x509.MarshalPKIXPublicKey(s.Public())
		if err != nil {
			return nil, fmt.Errorf("approval: vote key: %w", err)
		}
		if err := writeNew(path+publicSuffix, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return s, nil
}

func loadSigner(path string) (*Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("approval: vote key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("approval: vote key %s may be read by others (mode %#o): make it 0600", path, info.Mode().Perm())
	}
	block, err := readPEM(path, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(block)
	if err != nil {
		return nil, fmt.Errorf("approval: vote key %s: not a PKCS 8 key", path) // the cause may quote the key
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("approval: vote key %s: not an Ed25519 key", path)
	}
	return NewSigner(private), nil
}

func createKey(path string, random io.Reader) error {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return fmt.Errorf("approval: vote key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return fmt.Errorf("approval: vote key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("approval: vote key: %w", err)
	}
	err = writeNew(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was first: its key is used
	}
	return err
}

// writeNew writes a file of mode 0600 that must not exist, so that it is there whole or not at all.
func writeNew(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("approval: vote key: %w", err)
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Link(tmp.Name(), path) // unlike a rename, a link does not replace
	}
	if err = errors.Join(err, os.Remove(tmp.Name())); err != nil {
		return fmt.Errorf("approval: vote key: %w", err)
	}
	return nil
}

func readPEM(path, kind string) ([]byte, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator's own path
	if err != nil {
		return nil, fmt.Errorf("approval: vote key: %w", err)
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != kind || len(rest) > 0 {
		return nil, fmt.Errorf("approval: vote key %s: not one PEM block %q", path, kind)
	}
	return block.Bytes, nil
}

// Public is the public key.
func (s *Signer) Public() ed25519.PublicKey {
	pub, _ := s.private.Public().(ed25519.PublicKey) // an Ed25519 key has no other
	return pub
}

// ID names the key.
func (s *Signer) ID() string { return s.id }

// Sign sets a vote's key id and signature.
func (s *Signer) Sign(v *approvalv1.Vote) {
	v.KeyId = s.id
	v.Signature = ed25519.Sign(s.private, SigningBytes(v))
}

// Keyring are the public keys whose votes count. They come from files or from this process, never from the store.
// It is immutable.
type Keyring struct{ keys map[string]ed25519.PublicKey }

// NewKeyring makes a keyring of keys that are at hand.
func NewKeyring(keys ...ed25519.PublicKey) *Keyring {
	k := &Keyring{keys: make(map[string]ed25519.PublicKey, len(keys))}
	for _, pub := range keys {
		k.keys[KeyID(pub)] = pub
	}
	return k
}

// LoadKeyring reads PKIX PEM files, one Ed25519 public key each.
func LoadKeyring(paths ...string) (*Keyring, error) {
	if len(paths) == 0 {
		return nil, errors.New("approval: no vote keys: no vote could count")
	}
	keys := make([]ed25519.PublicKey, 0, len(paths))
	for _, path := range paths {
		block, err := readPEM(path, "PUBLIC KEY")
		if err != nil {
			return nil, err
		}
		key, err := x509.ParsePKIXPublicKey(block)
		if err != nil {
			return nil, fmt.Errorf("approval: vote key %s: %w", path, err)
		}
		pub, ok := key.(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("approval: vote key %s: not an Ed25519 key", path)
		}
		keys = append(keys, pub)
	}
	return NewKeyring(keys...), nil
}

// IDs names the keys, sorted.
func (k *Keyring) IDs() []string { return slices.Sorted(maps.Keys(k.keys)) }

// get finds a key by its id.
func (k *Keyring) get(id string) (ed25519.PublicKey, bool) {
	pub, ok := k.keys[id]
	return pub, ok
}
