package devidp

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// signingKey is one RSA key. It implements op.SigningKey.
type signingKey struct {
	JWK jose.JSONWebKey `json:"jwk"`
	// Retired is when another key took over; nil while this one signs.
	Retired *time.Time `json:"retired,omitempty"`
}

// SignatureAlgorithm is RS256.
func (k *signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }

// Key is the private key.
func (k *signingKey) Key() any { return k.JWK.Key }

// ID is the kid.
func (k *signingKey) ID() string { return k.JWK.KeyID }

// keyRing holds the key that signs and those that were retired and are published still.
type keyRing struct {
	path    string // empty: in memory only
	overlap time.Duration
	now     func() time.Time

	mu   sync.Mutex
	keys []*signingKey // the last one signs
}

// openKeys loads the keys, or makes the first one.
func openKeys(dir string, overlap time.Duration, now func() time.Time) (*keyRing, error) {
	r := &keyRing{overlap: overlap, now: now}
	if dir != "" {
		r.path = filepath.Join(dir, keysFile)
		if _, err := load(r.path, &r.keys); err != nil {
			return nil, err
		}
		for _, k := range r.keys {
			if _, ok := k.JWK.Key.(*rsa.PrivateKey); !ok || k.JWK.KeyID == "" {
				return nil, fmt.Errorf("devidp: %s holds something else than RSA keys", r.path)
			}
		}
	}
	if len(r.keys) > 0 {
		return r, nil
	}
	return r, r.rotate()
}

// rotate makes a new key the one that signs. The old one stays published for the overlap.
func (r *keyRing) rotate() error {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("devidp: %w", err)
	}
	sum := sha256.Sum256(private.N.Bytes())
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	keys := r.live(now)
	if n := len(keys); n > 0 {
		old := *keys[n-1]
		old.Retired = &now
		keys[n-1] = &old
	}
	keys = append(keys, &signingKey{JWK: jose.JSONWebKey{Key: private, KeyID: hex.EncodeToString(sum[:8]), Algorithm: string(jose.RS256), Use: "sig"}})
	if r.path != "" {
		if err := save(r.path, keys); err != nil {
			return err
		}
	}
	r.keys = keys
	return nil
}

// current is the key that signs.
func (r *keyRing) current() *signingKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[len(r.keys)-1]
}

// published is the public half of each key that is not withdrawn yet.
func (r *keyRing) published() jose.JSONWebKeySet {
	r.mu.Lock()
	defer r.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, k := range r.live(r.now()) {
		set.Keys = append(set.Keys, k.JWK.Public())
	}
	return set
}

// live is a new slice of the keys that are not withdrawn at now. The caller holds mu.
func (r *keyRing) live(now time.Time) []*signingKey {
	var out []*signingKey
	for _, k := range r.keys {
		if k.Retired == nil || now.Before(k.Retired.Add(r.overlap)) {
			out = append(out, k)
		}
	}
	return out
}
