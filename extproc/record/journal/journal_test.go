package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/extproc/record/journal"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func events(ref, chunk uint64, payload string) []byte {
	b := append(journal.Reserve(nil), payload...)
	journal.Finish(b, journal.KindEvents, ref, chunk, 1)
	return b
}

func open(t testing.TB, dir string, size int64) (*journal.Writer, *os.Root) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	must(t, err)
	w, err := journal.Open(journal.Options{Root: root, LogSize: func() uint64 { return 7 }, SegmentSize: size}, 0)
	must(t, err)
	return w, root
}

// found is what a reader finds.
type found struct {
	sessions map[uint64]journal.State
	events   map[uint64]string // by session
	torn     int
}

func scan(t interface{ Fatal(...any) }, root *os.Root) found {
	f := found{sessions: map[uint64]journal.State{}, events: map[uint64]string{}}
	err := journal.Scan(root,
		func(_, logSize uint64) error {
			if logSize != 7 {
				return fmt.Errorf("log size %d", logSize)
			}
			return nil
		},
		func(r journal.Record) error {
			if r.Kind == journal.KindSession {
				st, description, err := journal.ParseSession(r.Payload)
				if string(description) != fmt.Sprint("session ", r.Ref) {
					return fmt.Errorf("description %q", description)
				}
				f.sessions[r.Ref] = st
				return err
			}
			f.events[r.Ref] += string(r.Payload)
			return nil
		},
		func(uint64, *journal.TornError) { f.torn++ })
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestTheJournalKeepsWhatIsNotReleased: any order of appends, ends, releases and collections leaves every live session
// and every byte of a held chunk to be found, and lets go of everything at the end.
func TestTheJournalKeepsWhatIsNotReleased(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		w, err := journal.Open(journal.Options{Root: root, LogSize: func() uint64 { return 7 }, SegmentSize: 300}, 0)
		if err != nil {
			t.Fatal(err)
		}
		type chunk struct {
			ref  uint64
			text string
			hold journal.Hold
		}
		live := map[uint64]*journal.Session{}
		state := map[uint64]journal.State{}
		var chunks []*chunk
		ref := uint64(0)
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0, 1, 2: // a chunk of a session, old or new
				var s *journal.Session
				if len(live) > 0 && rapid.Bool().Draw(t, "old") {
					s = live[rapid.SampledFrom(slices.Sorted(maps.Keys(live))).Draw(t, "which")]
				} else {
					ref++
					s = journal.NewSession(ref, fmt.Append(nil, "session ", ref))
				}
				r := s.Ref()
				c := &chunk{ref: r, text: fmt.Sprintf("<%d>", step)}
				b := events(r, 0, c.text)
				if live[r] == nil {
					b = append(journal.AppendSession(nil, r, 0, journal.State{}, fmt.Append(nil, "session ", r)), b...)
				}
				state[r] = journal.State{NextEvent: uint64(step)}
				end := rapid.IntRange(0, 3).Draw(t, "end") == 0
				if _, err := w.Append(s, b, 0, state[r], &c.hold, end); err != nil {
					t.Fatal(err)
				}
				if live[r] = s; end {
					delete(live, r)
				}
				chunks = append(chunks, c)
			case 3:
				if n := len(chunks); n > 0 {
					i := rapid.IntRange(0, n-1).Draw(t, "release")
					w.Release(&chunks[i].hold)
					chunks = append(chunks[:i], chunks[i+1:]...)
				}
			case 4:
				if err := errors.Join(w.Sync(), w.Collect()); err != nil {
					t.Fatal(err)
				}
			}
			f := scan(t, root)
			for r := range live {
				if _, ok := f.sessions[r]; !ok {
					t.Fatalf("live session %d is gone", r)
				}
			}
			for _, c := range chunks {
				if !bytes.Contains([]byte(f.events[c.ref]), []byte(c.text)) {
					t.Fatalf("held %s of session %d is gone", c.text, c.ref)
				}
			}
		}
		for r, s := range live {
			var h journal.Hold
			if _, err := w.Append(s, events(r, 1, "end"), 1, state[r], &h, true); err != nil {
				t.Fatal(err)
			}
			w.Release(&h)
		}
		for _, c := range chunks {
			w.Release(&c.hold)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if left, err := journal.Segments(root); err != nil || len(left) != 0 {
			t.Fatalf("left: %v, %v", left, err)
		}
	})
}

func TestATornEndHidesNothingBeforeIt(t *testing.T) {
	dir := t.TempDir()
	w, root := open(t, dir, 0)
	defer root.Close()
	s := journal.NewSession(1, []byte("session 1"))
	var h journal.Hold
	b := append(journal.AppendSession(nil, 1, 0, journal.State{}, []byte("session 1")), events(1, 0, "first")...)
	_, err := w.Append(s, b, 0, journal.State{NextEvent: 1}, &h, false)
	must(t, err)
	_, err = w.Append(s, events(1, 0, "second"), 0, journal.State{NextEvent: 2}, &h, false)
	must(t, err)
	must(t, w.Close())
	file := filepath.Join(dir, "journal", "00000001.journal")
	whole, err := os.ReadFile(file)
	must(t, err)
	if f := scan(t, root); f.torn != 0 || f.events[1] != "firstsecond" {
		t.Fatalf("whole: %+v", f)
	}
	before := len(whole) - len(events(1, 0, "second"))
	for n := before + 1; n < len(whole); n++ {
		must(t, os.WriteFile(file, whole[:n], 0o600))
		if f := scan(t, root); f.torn != 1 || f.events[1] != "first" {
			t.Fatalf("cut at %d: %+v", n, f)
		}
	}
	for i := before; i < len(whole); i++ {
		bad := bytes.Clone(whole)
		bad[i] ^= 0x10
		must(t, os.WriteFile(file, bad, 0o600))
		if f := scan(t, root); f.torn != 1 || f.events[1] != "first" {
			t.Fatalf("flipped %d: %+v", i, f)
		}
	}
}

func TestWhatIsAllocatedAndNotWrittenIsNoRecord(t *testing.T) {
	dir := t.TempDir()
	w, root := open(t, dir, 0)
	defer root.Close()
	s := journal.NewSession(1, []byte("session 1"))
	var h journal.Hold
	b := append(journal.AppendSession(nil, 1, 0, journal.State{}, []byte("session 1")), events(1, 0, "first")...)
	_, err := w.Append(s, b, 0, journal.State{NextEvent: 1}, &h, false)
	must(t, err)
	file := filepath.Join(dir, "journal", "00000001.journal")
	live, err := os.ReadFile(file)
	must(t, err)
	if f := scan(t, root); f.torn != 0 || f.events[1] != "first" {
		t.Fatalf("while it is written: %+v", f)
	}
	must(t, w.Close())
	closed, err := os.ReadFile(file)
	must(t, err)
	if !bytes.Equal(closed, bytes.TrimRight(live, "\x00")) {
		t.Fatalf("closed it has %d bytes, %d were written", len(closed), len(bytes.TrimRight(live, "\x00")))
	}
	for _, zeros := range []int{1, journal.HeadSize - 1, journal.HeadSize, journal.HeadSize + 1, 10_000} {
		padded := append(bytes.Clone(closed), make([]byte, zeros)...)
		must(t, os.WriteFile(file, padded, 0o600))
		if f := scan(t, root); f.torn != 0 || f.events[1] != "first" {
			t.Errorf("%d zeros: %+v", zeros, f)
		}
		// A page that a power cut lost, and one behind it that it did not.
		must(t, os.WriteFile(file, append(padded, events(1, 0, "second")...), 0o600))
		if f := scan(t, root); f.torn != 1 || f.events[1] != "first" {
			t.Errorf("%d zeros and a record: %+v", zeros, f)
		}
	}
}

// Records of all lengths, past the first window and past what is copied.
func TestShortAndLongRecordsKeepTheirOrder(t *testing.T) {
	w, root := open(t, t.TempDir(), 4<<20)
	defer root.Close()
	s := journal.NewSession(1, []byte("session 1"))
	b := journal.AppendSession(nil, 1, 0, journal.State{}, []byte("session 1"))
	var h journal.Hold
	var want strings.Builder
	for n := 1; want.Len() < 9<<20; n++ {
		text := strings.Repeat(string(rune('a'+n%26)), n*n*37%90_000)
		want.WriteString(text)
		_, err := w.Append(s, append(b, events(1, 0, text)...), 0, journal.State{}, &h, false)
		must(t, err)
		b = nil
	}
	if f := scan(t, root); f.torn != 0 || f.events[1] != want.String() {
		t.Fatalf("torn %d, %d bytes, want %d", f.torn, len(f.events[1]), want.Len())
	}
	must(t, w.Close())
	if f := scan(t, root); f.torn != 0 || f.events[1] != want.String() {
		t.Fatalf("closed: torn %d, %d bytes, want %d", f.torn, len(f.events[1]), want.Len())
	}
}

func TestAFileThatIsCutUnderTheWriterFailsIt(t *testing.T) {
	dir := t.TempDir()
	w, root := open(t, dir, 0)
	defer root.Close()
	s := journal.NewSession(1, []byte("session 1"))
	var h journal.Hold
	_, err := w.Append(s, journal.AppendSession(nil, 1, 0, journal.State{}, []byte("session 1")), 0, journal.State{}, &h, false)
	must(t, err)
	must(t, os.Truncate(filepath.Join(dir, "journal", "00000001.journal"), 0))
	if _, err := w.Append(s, events(1, 0, "x"), 0, journal.State{}, &h, false); !errors.Is(err, syscall.EIO) {
		t.Fatalf("append: %v", err)
	}
	if err := w.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("sync: %v", err)
	}
}

func TestCommitCoversAllWhoWait(t *testing.T) {
	w, root := open(t, t.TempDir(), 4<<10)
	defer root.Close()
	var wg sync.WaitGroup
	for ref := range uint64(8) {
		s := journal.NewSession(ref+1, nil)
		wg.Go(func() {
			var h journal.Hold
			for n := range uint64(50) {
				place, err := w.Append(s, events(ref+1, 0, "0123456789"), 0, journal.State{NextEvent: n}, &h, n == 49)
				if err == nil {
					err = w.Commit(place)
				}
				if err != nil {
					t.Error(err)
				}
			}
			w.Release(&h)
		})
	}
	wg.Wait()
	must(t, w.Close())
}

// FuzzReader: any bytes are records up to a clean end, or up to where they are torn.
func FuzzReader(f *testing.F) {
	dir := f.TempDir()
	w, root := open(f, dir, 0)
	defer root.Close()
	s := journal.NewSession(1, []byte("session 1"))
	var h journal.Hold
	_, err := w.Append(s, append(journal.AppendSession(nil, 1, 0, journal.State{}, []byte("session 1")), events(1, 0, "first")...), 0, journal.State{}, &h, false)
	must(f, err)
	must(f, w.Close())
	seed, err := os.ReadFile(filepath.Join(dir, "journal", "00000001.journal"))
	must(f, err)
	f.Add(seed)
	f.Add(seed[:len(seed)-1])
	f.Add(append(bytes.Clone(seed), make([]byte, 100)...))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := journal.NewReader(bytes.NewReader(b))
		for err == nil {
			var rec journal.Record
			if rec, err = r.Next(); err == nil && rec.Kind == journal.KindSession {
				_, _, _ = journal.ParseSession(rec.Payload) // must not panic
			}
		}
		if _, ok := errors.AsType[*journal.TornError](err); !ok && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	})
}
