package approval

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
)

// SigningBytes is what a vote's signature covers: every field but the signature, in the order of the message, each with
// its length before it. Protobuf's own encoding is not canonical and is not used.
func SigningBytes(v *approvalv1.Vote) []byte {
	var e encoding
	e.text("sluice approval vote v1")
	e.text(v.GetApprovalId())
	e.principal(v.GetVoter())
	e.number(uint64(v.GetChoice())) //nolint:gosec // an enum of small numbers; a negative one is refused before
	e.text(v.GetReason())
	e.number(uint64(v.GetAt().GetSeconds())) //nolint:gosec // two's complement is as good a canonical form
	e.number(uint64(v.GetAt().GetNanos()))   //nolint:gosec // likewise
	e.bytes(v.GetDigest())
	e.bytes(v.GetRecordedDigest())
	e.text(v.GetKeyId())
	return e.out
}

// KeyID names a public key: the first 8 bytes of its SHA-256, in hex.
func KeyID(pub ed25519.PublicKey) string {
	sum := sha256.Sum256(pub)
	return hex.EncodeToString(sum[:8])
}

// encoding builds length-prefixed bytes.
type encoding struct{ out []byte }

func (e *encoding) bytes(b []byte) {
	e.out = binary.BigEndian.AppendUint64(e.out, uint64(len(b)))
	e.out = append(e.out, b...)
}

func (e *encoding) text(s string) { e.bytes([]byte(s)) }

func (e *encoding) number(n uint64) { e.bytes(binary.BigEndian.AppendUint64(nil, n)) }

func (e *encoding) principal(p *identityv1.Principal) {
	e.text(p.GetIssuer())
	e.text(p.GetIssuerUrl())
	e.text(p.GetSubject())
	e.number(uint64(len(p.GetGroups())))
	for _, g := range p.GetGroups() {
		e.text(g)
	}
	e.number(uint64(p.GetKind()))                   //nolint:gosec // an enum of small numbers
	e.number(uint64(p.GetExpiresAt().GetSeconds())) //nolint:gosec // two's complement
	e.number(uint64(p.GetExpiresAt().GetNanos()))   //nolint:gosec // two's complement
	e.text(p.GetDisplayName())
}
