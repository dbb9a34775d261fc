package httptag

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
)

const (
	// MaxTag is the longest tag of a service's that is sealed, in bytes.
	MaxTag = 1024
	// unknown is a tag that no service has: what is not ours matches nothing.
	unknown = `"sluice-unknown-c1f2a7d0"`
	version = "s1."
)

// Key seals and opens. It is safe for concurrent use.
type Key struct {
	block cipher.Block
	mac   []byte
}

// New derives a key from a secret of at least 16 bytes.
func New(secret []byte) (*Key, error) {
	if len(secret) < 16 {
		return nil, errors.New("httptag: the secret is too short")
	}
	block, err := aes.NewCipher(derive(secret, "encrypt"))
	if err != nil {
		return nil, err
	}
	return &Key{block: block, mac: derive(secret, "authenticate")}, nil
}

func derive(secret []byte, purpose string) []byte {
	h := hmac.New(sha256.New, secret)
	_, _ = h.Write([]byte("sluice etag " + purpose)) // a hash never fails
	return h.Sum(nil)
}

// Scope is for whom, and for what, tags are sealed.
type Scope struct {
	key *Key
	of  [sha256.Size]byte
}

// Scope binds to parts, whatever they mean.
func (k *Key) Scope(parts ...[]byte) Scope {
	h := hmac.New(sha256.New, k.mac)
	var length [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		_, _ = h.Write(length[:])
		_, _ = h.Write(p)
	}
	return Scope{key: k, of: [sha256.Size]byte(h.Sum(nil))}
}

// Seal is what an agent gets in place of a service's tag, weak or strong: always weak, since what is masked is not byte for
// byte what the service's tag is of. The same tag is sealed the same way, so that caches find it. False: it is no tag.
func (s Scope) Seal(tag string) (string, bool) {
	if list, ok := parse(tag); !ok || len(list) != 1 || list[0] == "*" || len(tag) > MaxTag {
		return "", false
	}
	iv := s.iv([]byte(tag))
	out := make([]byte, aes.BlockSize+len(tag))
	copy(out, iv)
	cipher.NewCTR(s.key.block, iv).XORKeyStream(out[aes.BlockSize:], []byte(tag))
	return `W/"` + version + base64.RawURLEncoding.EncodeToString(out) + `"`, true
}

// iv is over the scope and the tag, and so authenticates both (RFC 5297's way).
func (s Scope) iv(tag []byte) []byte {
	h := hmac.New(sha256.New, s.key.mac)
	_, _ = h.Write(s.of[:])
	_, _ = h.Write(tag)
	return h.Sum(nil)[:aes.BlockSize]
}

// open is the service's tag that was sealed in this scope.
func (s Scope) open(tag string) (string, bool) {
	inner, ok := strings.CutPrefix(strings.TrimPrefix(tag, "W/"), `"`+version)
	if !ok {
		return "", false
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimSuffix(inner, `"`))
	if err != nil || len(data) <= aes.BlockSize {
		return "", false
	}
	plain := make([]byte, len(data)-aes.BlockSize)
	cipher.NewCTR(s.key.block, data[:aes.BlockSize]).XORKeyStream(plain, data[aes.BlockSize:])
	if subtle.ConstantTimeCompare(s.iv(plain), data[:aes.BlockSize]) != 1 {
		return "", false
	}
	return string(plain), true
}

// Open is a condition (If-Match, If-None-Match: RFC 9110, 13.1) as the service may get it: the tags that were sealed in this
// scope, opened. Others match nothing.
func (s Scope) Open(condition string) string {
	list, ok := parse(condition)
	if !ok {
		return unknown
	}
	var out []string
	for _, tag := range list {
		if tag == "*" {
			return "*"
		}
		if own, ok := s.open(tag); ok {
			out = append(out, own)
		}
	}
	if len(out) == 0 {
		return unknown
	}
	return strings.Join(out, ", ")
}

// parse reads a list of tags, or the star.
func parse(s string) ([]string, bool) {
	if s = strings.TrimSpace(s); s == "*" {
		return []string{s}, true
	}
	var out []string
	for s != "" {
		rest, weak := strings.CutPrefix(s, "W/")
		if !strings.HasPrefix(rest, `"`) {
			return nil, false
		}
		end := strings.IndexByte(rest[1:], '"')
		if end < 0 {
			return nil, false
		}
		tag := rest[:end+2]
		if weak {
			tag = "W/" + tag
		}
		out = append(out, tag)
		s = strings.TrimLeft(rest[end+2:], " \t")
		if s == "" {
			break
		}
		if s[0] != ',' {
			return nil, false
		}
		s = strings.TrimLeft(s, ", \t")
	}
	return out, len(out) > 0
}
