package postgres

import (
	"bytes"
	"errors"
	"testing"

	"github.com/sluicegate/sluice/authz/share"
)

func TestALongMessageNeedsRoomAndGivesItBack(t *testing.T) {
	const mebibyte = 1 << 20
	pool := share.NewPool("bytes", 4*mebibyte, 8*mebibyte)
	mine, other := &allowance{pool: pool, who: "a"}, &allowance{pool: pool, who: "a"}
	in, late := newInbox(1000, mine), newInbox(1000, other)
	from := bytes.NewReader(make([]byte, 16*mebibyte))
	if err := in.fill(from, 4*mebibyte); err != nil {
		t.Fatal(err)
	}
	err := late.fill(from, 3*mebibyte)
	if f := (*fatal)(nil); !errors.As(err, &f) || f.refusal.Code != codeNoMemory {
		t.Fatalf("one message more than the share: %v", err)
	}
	in.consume(len(in.bytes()))
	if err := late.fill(from, 3*mebibyte); err != nil {
		t.Errorf("the first is done with: %v", err)
	}
	if got := mine.held.Load(); got != 0 {
		t.Errorf("the first still holds %d", got)
	}
	late.append(make([]byte, 8*mebibyte))
	if pool.Take("a", 1) == nil {
		t.Error("what came while people were asked is not counted")
	}
	if other.close(); pool.Take("a", 4*mebibyte) != nil {
		t.Error("a session that has ended holds something")
	}
}
