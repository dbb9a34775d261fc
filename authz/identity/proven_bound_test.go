package identity

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

func TestWhatIsProvenIsBounded(t *testing.T) {
	var p proven
	var last [sha256.Size]byte
	for i := range uint64(maxProven + 100) {
		binary.BigEndian.PutUint64(last[:], i)
		p.add(last, &proof{})
	}
	if len(p.by) != maxProven {
		t.Errorf("%d are remembered, not %d", len(p.by), maxProven)
	}
	if p.find(last) == nil {
		t.Error("the newest was forgotten")
	}
}
