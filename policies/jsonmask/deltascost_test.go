package jsonmask

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What a stream's masking takes grows as its finds do, not as their square: who sends one has nobody else wait.
func TestManyFindsInAnEventCostNoMoreThanEachAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures time")
	}
	const few, times, bound = 300, 16, 60 // the square would be 256
	view := NewView(nil, opens, nil)
	for name, stream := range map[string]func(n int) string{
		"in one string": func(n int) string {
			return `data: {"content":"` + strings.Repeat(`tok_abcdefgh01234567 `, n) + `"}`
		},
		"in one string with escapes": func(n int) string {
			return `data: {"content":"` + strings.Repeat(`tok_abcdefgh0123456\u0037\n`, n) + `"}`
		},
		"in the strings of an array": func(n int) string {
			return `data: {"content":[` + strings.Repeat(`"tok_abcdefgh01234567",`, n) + `""]}`
		},
		"in data that is no JSON": func(n int) string {
			return `data: ` + strings.Repeat(`tok_abcdefgh01234567 `, n)
		},
		"over the strings of an event": func(n int) string {
			return `data: {` + strings.Repeat(`"content":"01234567 to","content":"k_abcdefgh",`, n) + `"content":" "}`
		},
		"in objects that an index behind tells apart": func(n int) string {
			const depth = 60
			return `data: [` + strings.Repeat(strings.Repeat(`{"content":[`, depth)+`"tok_abcdefgh01234567 "`+strings.Repeat(`],"index":1}`, depth)+`,`, n) + `0]`
		},
		"in objects with a number each": func(n int) string {
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, "data: {\"index\":%d,\"text\":\"tok_abcdefgh01234567 \"}\n\n", i)
			}
			return b.String()
		},
	} {
		t.Run(name, func(t *testing.T) {
			took := func(n int) time.Duration {
				began := time.Now()
				out, err := masked(Events, strings.NewReader(stream(n)+"\n\n"), view)
				if marks := strings.Count(out, "[masked]"); err != nil || marks != n {
					t.Fatalf("%d marks for %d finds, %v", marks, n, err)
				}
				return time.Since(began)
			}
			one, many := time.Hour, time.Hour
			for range 4 { // the quickest run of each: others are on the machine
				one, many = min(one, took(few)), min(many, took(few*times))
				if many < bound*one {
					return
				}
			}
			t.Fatalf("%d finds took %v, %d times as many %v", few, one, times, many)
		})
	}
}

// What is kept of fields is no more than what their bounds say, however long their pieces were.
func TestAFieldKeepsNoRoomOfALongPiece(t *testing.T) {
	l, err := newLanes([]Output{{NewView(nil, opens, nil), func([]byte) error { return nil }}})
	if err != nil {
		t.Fatal(err)
	}
	var stream strings.Builder
	for i := range deltaFields + 4 {
		fmt.Fprintf(&stream, "data: {\"index\":%d,\"text\":\"tok_%s\"}\n\n", i, strings.Repeat("x", 1<<16))
		fmt.Fprintf(&stream, "data: {\"a%d\":{\"text\":%q}}\n\n", i, strings.Repeat("x ", 1<<15))
	}
	e := newEvents(l, strings.NewReader(stream.String()))
	if err := e.run(); err != nil {
		t.Fatal(err)
	}
	kept := 0
	d := &e.lanes[0].deltas
	for i := range d.fields {
		kept += cap(d.fields[i].text)
	}
	for i := range d.places {
		kept += cap(d.places[i].joined.text)
	}
	if n := len(d.fields) + len(d.places); n != 2*deltaFields || kept > n*4*deltaWindow {
		t.Errorf("%d fields and places keep %d bytes", n, kept)
	}
}

// asked counts the bytes of which it has been asked what is open.
type asked struct {
	opening
	bytes *int
}

func (a asked) Open(text []byte) int {
	*a.bytes += len(text)
	return a.opening.Open(text)
}

// The whole of a long text is not looked at for what could begin in it while a find that is in it goes on.
func TestWhatCouldBeginIsNotLookedForWithinAFindThatGoesOn(t *testing.T) {
	bytes := 0
	view := NewView(nil, asked{opens, &bytes}, nil)
	stream := "data: {\"text\":\"BEGIN KEY x\"}\n\n" + strings.Repeat("data: {\"text\":\"y\"}\n\n", 1000) + "data: {\"text\":\"END KEY z\"}\n\n"
	out, err := masked(Events, strings.NewReader(stream), view)
	if err != nil || strings.Contains(out, "y") || !strings.Contains(out, " z") {
		t.Errorf("%v, %s", err, out)
	}
	if bytes > 2000 { // once, where it has ended
		t.Errorf("%d bytes were looked at", bytes)
	}
}

// searched counts the bytes that it has been asked to read.
type searched struct {
	opening
	bytes *int
}

func (s searched) Find(dst []Span, text []byte) []Span {
	*s.bytes += len(text)
	return s.opening.Find(dst, text)
}

// A word without an end that comes in small pieces is not read anew for each of them.
func TestALongWordInSmallPiecesIsReadAFewTimes(t *testing.T) {
	for name, event := range map[string]string{
		"a piece that could begin a find": "data: {\"text\":\"tok_\"}\n\n",
		"one within a find":               "data: {\"delta\":{\"a\":\"BEGIN KE\"}}\n\n",
		"data that is no JSON":            "data:tok_\n\n",
		"strings of an array":             "data: [\"tok_\"]\n\n",
		"counted pieces":                  "data: {\"index\":%d,\"text\":\"tok_\"}\n\n",
	} {
		bytes, pieces := 0, 5000
		view := NewView(nil, searched{opens, &bytes}, nil)
		var stream strings.Builder
		for i := range pieces {
			stream.WriteString(strings.ReplaceAll(event, "%d", fmt.Sprint(i)))
		}
		if _, err := masked(Events, strings.NewReader(stream.String()), view); err != nil {
			t.Fatal(err)
		}
		if each := bytes / pieces; each > 500 {
			t.Errorf("%s: %d bytes are read for each piece", name, each)
		}
	}
}
