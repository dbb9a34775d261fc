package jsonmask

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// repeat reads head, then one part again and again until there are size bytes, then tail.
type repeat struct {
	part, tail []byte
	now        []byte
	left       int
}

func newRepeat(head, part, tail string, size int) *repeat {
	return &repeat{part: []byte(part), tail: []byte(tail), now: []byte(head), left: size / len(part)}
}

func (r *repeat) Read(p []byte) (int, error) {
	if len(r.now) == 0 {
		switch {
		case r.left > 0:
			r.now, r.left = r.part, r.left-1
		case r.tail != nil:
			r.now, r.tail = r.tail, nil
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, r.now)
	r.now = r.now[n:]
	return n, nil
}

func TestMemoryIsFlatHoweverLongTheBodyIs(t *testing.T) {
	size := 500 << 20
	if testing.Short() || raced {
		size = 20 << 20
	}
	doc := strings.TrimSpace(string(customers(256 << 10)))
	member := doc[len(`{"data":[`) : len(doc)-len("]}")]
	view := NewView(twentyRules(t), cheap{}, nil)
	other := NewView(fields(t, "$..note", "$.data[*].address"), nil, nil)
	for _, c := range []struct {
		name   string
		format Format
		src    io.Reader
	}{
		{"one document", JSON, newRepeat(`{"data":[`+member, ","+member, "]}", size)},
		{"hidden as a whole", JSON, newRepeat(`{"x":{"password":[`+member, ","+member, "]}}", size/20)},
		{"lines", Lines, newRepeat("", "["+member+"]\n", "", size/20)},
		{"events", Events, newRepeat("", "id: 1\ndata: {\"password\":\"a\",\"address\":{\"b\":[1,2,3]}}\n\n", "", size/20)},
		{"text of lines", Text, newRepeat("", strings.Repeat("lorem ipsum sk_live_1 dolor\n", 1000), "", size/20)},
		{"text without lines", Text, newRepeat("", strings.Repeat("lorem ipsum dolor ", 1000), "", size/20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			written := 0
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err := Copy(c.format, c.src,
				Output{view, func(p []byte) error { written += len(p); return nil }},
				Output{other, func([]byte) error { return nil }},
			); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
				t.Errorf("%d bytes were allocated for %d written", n, written)
			}
		})
	}
}

func TestALongTokenCostsNoMoreThanAFewTimesItself(t *testing.T) {
	view := NewView(fields(t, "$..password => last4"), cheap{}, nil)
	body := []byte(`{"a":"` + strings.Repeat("x", MaxToken-10) + `","password":"` + strings.Repeat("\\n", MaxToken/2-10) + `"}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := Copy(JSON, bytes.NewReader(body), Output{view, func([]byte) error { return nil }}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 20*MaxToken {
		t.Errorf("%d MiB were allocated", n>>20)
	}
}

func TestWritesAreAsLargeAsReads(t *testing.T) {
	doc := customers(4 << 20)
	for name, view := range map[string]*View{
		"nothing hidden": NewView(fields(t, "$.nobody"), nil, nil),
		"much hidden":    NewView(fields(t, "$..password", "$..api_key", "$..address"), nil, nil),
	} {
		writes, size := 0, 0
		if err := Copy(JSON, bytes.NewReader(doc), Output{view, func(p []byte) error { writes++; size += len(p); return nil }}); err != nil {
			t.Fatal(err)
		}
		if size/writes < largestChunk/2 {
			t.Errorf("%s: %d writes of %d bytes each", name, writes, size/writes)
		}
	}
}

func TestAViewIsSharedByManyBodiesAtOnce(t *testing.T) {
	view := NewView(fields(t, "$..password"), secrets, nil)
	failed := make(chan error, 8)
	for i := range cap(failed) {
		go func() {
			for j := range 50 {
				f := Format(j % 3)
				head := map[Format]string{Events: "data: "}[f]
				body := fmt.Sprintf("%s{\"password\":\"%d\",\"n\":[%d,\"tok_%d\"]}\n\n", head, i, i, j)
				want := fmt.Sprintf("%s{\"password\":\"[masked]\",\"n\":[%d,\"[masked]\"]}\n\n", head, i)
				if got, err := masked(f, strings.NewReader(body), view); err != nil || got != want {
					failed <- fmt.Errorf("%q, %w; want %q", got, err, want)
					return
				}
			}
			failed <- nil
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}
