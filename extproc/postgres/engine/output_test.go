package engine

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestNeighboursInABufferLeaveAsOnePart(t *testing.T) {
	buffer := []byte("abcdef")
	var s Stream
	s.pass(buffer[:2])
	s.pass(nil)
	s.pass(buffer[2:4])
	s.pass(buffer[4:]) // up to the end of the buffer
	if len(s.Parts) != 1 || string(s.Parts[0]) != "abcdef" || s.Size != 6 {
		t.Errorf("got %q, %d bytes", s.Parts, s.Size)
	}
	s.pass([]byte("gh")) // of another buffer
	s.pass(buffer[:1])
	if got := slices.Concat(s.Parts...); string(got) != "abcdefgha" || len(s.Parts) != 3 {
		t.Errorf("got %q", s.Parts)
	}
}

func TestWhatWasMadeInAStepStays(t *testing.T) {
	var s Stream
	var want []byte
	for i := range 100 {
		text := strings.Repeat(string(rune('a'+i%26)), 1+i*20)
		want = append(want, text...)
		s.make(func(b []byte) []byte { return append(b, text...) })
		if i%10 == 0 {
			s.pass([]byte("|"))
			want = append(want, '|')
		}
	}
	if got := slices.Concat(s.Parts...); !bytes.Equal(got, want) || s.Size != len(want) {
		t.Errorf("got %d bytes, %d by their count", len(got), s.Size)
	}
}

func TestStepsUseTheirStorageAgain(t *testing.T) {
	var s Stream
	step := func() {
		s.make(appendSync)
		s.make(appendFlush)
		s.make(appendSync)
		s.reset()
	}
	step()
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations a step", n)
	}
}

// Storage of one long message would otherwise stay for the rest of the session.
func TestStorageOfALongMessageIsLetGo(t *testing.T) {
	var s Stream
	held := func() int {
		n := cap(s.own)
		s.reset()
		return n - cap(s.own)
	}
	s.own = make([]byte, 0, 2<<20)
	if held() == 0 {
		t.Error("2 MiB are kept")
	}
	s.make(appendSync)
	if held() != 0 {
		t.Error("a chunk is not kept")
	}
}
