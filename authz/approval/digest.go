package approval

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
)

// DigestSize is the length of a digest in bytes (SHA-256).
const DigestSize = sha256.Size

// Digest binds an approval to exact bytes: SHA-256 over named fields, each name and value with its length before it, so
// that no two different lists of fields read the same. The holder chooses the fields; one of them must be a nonce that
// only it knows (NewNonce), for else who reads the approval could make its digest.
type Digest struct{ h hash.Hash }

// NewDigest begins a digest.
func NewDigest() *Digest {
	d := &Digest{h: sha256.New()}
	return d.Field("sluice approval digest", []byte{1})
}

// Field adds a field. The order counts.
func (d *Digest) Field(name string, value []byte) *Digest {
	d.write([]byte(name))
	d.write(value)
	return d
}

// Sum is the digest of the fields so far, DigestSize bytes.
func (d *Digest) Sum() []byte { return d.h.Sum(nil) }

func (d *Digest) write(b []byte) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(b)))
	_, _ = d.h.Write(n[:]) // a hash never fails
	_, _ = d.h.Write(b)
}

// uint adds a number.
func (d *Digest) uint(name string, v uint64) *Digest {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], v)
	return d.Field(name, n[:])
}

// RecordedDigest is the digest of an action as it is recorded and shown: what votes are checked against later, when the
// true bytes are gone. What a voter must be able to rely on (who asks, of which target) belongs into the details.
func RecordedDigest(a *approvalv1.Action) []byte {
	d := NewDigest().
		Field("summary", []byte(a.GetSummary())).
		Field("text", []byte(a.GetText())).
		uint("parameters", uint64(len(a.GetParameters())))
	for _, p := range a.GetParameters() {
		null := uint64(0)
		if p.GetIsNull() {
			null = 1
		}
		d.Field("type", []byte(p.GetType())).Field("value", []byte(p.GetValue())).uint("null", null)
	}
	d.uint("details", uint64(len(a.GetDetails())))
	for _, e := range a.GetDetails() {
		d.Field("name", []byte(e.GetName())).Field("value", []byte(e.GetValue()))
	}
	return d.Sum()
}
