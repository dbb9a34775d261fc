package chunk_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/record/chunk"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func events(t testing.TB, first uint64, texts ...string) []byte {
	t.Helper()
	var out []byte
	for i, text := range texts {
		b, err := proto.Marshal(&recordv1.Event{Sequence: first + uint64(i), Kind: &recordv1.Event_Statement{Statement: &recordv1.Statement{Text: text}}})
		must(t, err)
		out = append(protowire.AppendVarint(out, uint64(len(b))), b...)
	}
	return out
}

func encode(t testing.TB, h *recordv1.ChunkHeader, pieces ...[]byte) []byte {
	t.Helper()
	enc, err := chunk.NewEncoder()
	must(t, err)
	b, err := enc.Encode(h, func(yield func([]byte) bool) {
		for _, p := range pieces {
			if !yield(p) {
				return
			}
		}
	})
	must(t, err)
	return bytes.Clone(b)
}

func decode(t testing.TB, file []byte) (texts []string, h *recordv1.ChunkHeader, err error) {
	t.Helper()
	dec, err := chunk.NewDecoder()
	must(t, err)
	defer dec.Close()
	if h, err = dec.Open(file); err != nil {
		return nil, nil, err
	}
	for {
		raw, err := dec.Next()
		if errors.Is(err, io.EOF) {
			return texts, h, nil
		}
		if err != nil {
			return nil, h, err
		}
		e, err := raw.Decode()
		if err != nil {
			return nil, h, err
		}
		texts = append(texts, e.GetStatement().GetText())
	}
}

func TestAChunkReadsBack(t *testing.T) {
	h := &recordv1.ChunkHeader{SessionId: "p1-A", Sequence: 3, Previous: bytes.Repeat([]byte{7}, 32), FirstEvent: 10, Events: 3, Last: true}
	texts, got, err := decode(t, encode(t, h, events(t, 10, "a", strings.Repeat("b", 1<<20)), events(t, 12, "c")))
	if err != nil || !proto.Equal(got, h) || len(texts) != 3 || texts[0] != "a" || len(texts[1]) != 1<<20 || texts[2] != "c" {
		t.Fatalf("%d events, %v, %v", len(texts), got, err)
	}
}

func TestABadChunkIsAFormatError(t *testing.T) {
	good := encode(t, &recordv1.ChunkHeader{SessionId: "p1-A", Events: 2}, events(t, 0, "a", "b"))
	bomb, err := zstd.NewWriter(nil)
	must(t, err)
	for name, c := range map[string]struct {
		file      []byte
		truncated bool
	}{
		"nothing":                        {nil, true},
		"half of it":                     {good[:len(good)/2], true},
		"something behind it":            {append(bytes.Clone(good), 'x'), false},
		"no zstd":                        {[]byte("hello, world"), false},
		"fewer events than it says":      {encode(t, &recordv1.ChunkHeader{Events: 2}, events(t, 0, "a")), false},
		"more events than it says":       {encode(t, &recordv1.ChunkHeader{Events: 1}, events(t, 0, "a", "b")), false},
		"a gap between events":           {encode(t, &recordv1.ChunkHeader{Events: 2}, events(t, 0, "a"), events(t, 2, "b")), false},
		"a first event that is not":      {encode(t, &recordv1.ChunkHeader{Events: 1, FirstEvent: 1}, events(t, 0, "a")), false},
		"an event longer than the file":  {encode(t, &recordv1.ChunkHeader{Events: 1}, []byte{100, 1}), true},
		"an event that is none":          {encode(t, &recordv1.ChunkHeader{Events: 1}, []byte{1, 0xff}), false},
		"no header":                      {bomb.EncodeAll(nil, nil), true},
		"more than any chunk unpacks to": {bomb.EncodeAll(make([]byte, 64<<20), nil), false},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := decode(t, c.file)
			if bad, ok := errors.AsType[*chunk.FormatError](err); !ok || bad.Truncated != c.truncated {
				t.Fatalf("%v", err)
			}
		})
	}
}

func TestNamesAreOneToOne(t *testing.T) {
	for name, want := range map[string]bool{
		"00000000.chunk": true, "00000017.chunk": true, "123456789.chunk": true, "1.chunk": false, "000000001.chunk": false,
		"0000000a.chunk": false, ".chunk": false, "00000000": false, "-0000001.chunk": false, "+0000001.chunk": false,
	} {
		n, ok := chunk.ParseName(name)
		if ok != want || ok && chunk.Name(n) != name {
			t.Errorf("%q: %d, %v", name, n, ok)
		}
	}
	for id, want := range map[string]bool{"p1-A": true, "..": false, "a/b": false, "": false, strings.Repeat("a", 65): false, ".tmp-x": false, "ä": false} {
		if got := chunk.CheckSessionID(id) == nil; got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}

func TestAStoreKeepsChunks(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	must(t, err)
	defer root.Close()
	s := chunk.NewStore(root)
	must(t, s.Create())
	must(t, s.Create())
	var files []*chunk.Prepared
	for n := range uint64(3) {
		p, err := s.Prepare("p1-A", n, []byte{byte(n)})
		must(t, err)
		files = append(files, p)
	}
	if got, strays, err := s.Chunks("p1-A"); err != nil || len(got) != 0 || len(strays) != 3 || !chunk.Leftover(strays[0]) {
		t.Fatalf("before they are in place: %v, %v, %v", got, strays, err)
	}
	must(t, s.Place(files))
	if got, strays, err := s.Chunks("p1-A"); err != nil || len(got) != 3 || len(strays) != 0 {
		t.Fatalf("%v, %v, %v", got, strays, err)
	}
	if b, err := s.Read("p1-A", 2); err != nil || len(b) != 1 || b[0] != 2 {
		t.Fatalf("%v, %v", b, err)
	}
	for _, id := range []string{"../keys", ""} {
		if _, err := s.Prepare(id, 0, nil); !errors.Is(err, chunk.ErrSessionID) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// FuzzDecode: any bytes are a chunk or a *FormatError, and take no more memory than a chunk may.
func FuzzDecode(f *testing.F) {
	good := encode(f, &recordv1.ChunkHeader{SessionId: "p1-A", Events: 2}, events(f, 0, "a", "b"))
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(encode(f, &recordv1.ChunkHeader{Events: 9}, []byte{1, 2, 3}))
	f.Add([]byte{})
	dec, err := chunk.NewDecoder()
	must(f, err)
	defer dec.Close()
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := dec.Open(b)
		for n := uint64(0); err == nil; n++ {
			var raw chunk.Raw
			if raw, err = dec.Next(); err == nil {
				_, err = raw.Decode()
			}
		}
		if _, ok := errors.AsType[*chunk.FormatError](err); !ok && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	})
}

// FuzzNextRaw: what is read of an event without decoding it is what decoding says.
func FuzzNextRaw(f *testing.F) {
	f.Add(events(f, 5, "a"))
	f.Add([]byte{4, 8, 1, 8, 2})
	f.Add([]byte{200})
	f.Fuzz(func(t *testing.T, b []byte) {
		raw, rest, err := chunk.NextRaw(b)
		if err != nil {
			return
		}
		if len(raw.Bytes)+len(rest) > len(b) {
			t.Fatal("more bytes than there were")
		}
		if e, err := raw.Decode(); err == nil {
			if e.GetSequence() != raw.Sequence {
				t.Fatalf("sequence %d, decoded %d", raw.Sequence, e.GetSequence())
			}
			if e.GetData() != nil && raw.Kind != chunk.KindData && len(e.ProtoReflect().GetUnknown()) == 0 {
				t.Fatalf("kind %d of data", raw.Kind)
			}
		}
	})
}
