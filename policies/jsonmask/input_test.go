package jsonmask

import (
	"errors"
	"io"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies"
)

// keeper is a body that writes down what it is asked to keep.
type keeper struct {
	io.Reader
	asked []int
	err   error
}

func (k *keeper) Keep(bytes int) error {
	k.asked = append(k.asked, bytes)
	return k.err
}

func TestAKeeperIsAskedBeforeABufferGrowsPastWhatEachMayHave(t *testing.T) {
	view := NewView(fields(t, "$..password"), cheap{}, nil)
	body := `{"password":"` + strings.Repeat("s3cret", 80<<10/6) + `"}`
	k := &keeper{Reader: &chunks{[]byte(body), 1000}}
	if got, err := masked(JSON, k, view); err != nil || got != `{"password":"[masked]"}` {
		t.Errorf("%.100q, %v", got, err)
	}
	if want := []int{2 * largestChunk}; !slices.Equal(k.asked, want) {
		t.Errorf("asked for %d, want %d", k.asked, want)
	}
	full := errors.New("no room")
	k = &keeper{Reader: strings.NewReader(body), err: full}
	if got, err := masked(JSON, k, view); !errors.Is(err, full) || strings.Contains(got, "s3cret") {
		t.Errorf("what may not be kept is read on: %.100q, %v", got, err)
	}
}

func TestAKeeperIsNotAskedForWhatFlowsByInSmallParts(t *testing.T) {
	const size = 4 * largestChunk
	view := NewView(fields(t, "$..password"), opens, nil)
	for name, c := range map[string]struct {
		format Format
		part   string
	}{
		"JSON":                                {JSON, `{"password":"s","a":[1,"tok_1"]} `},
		"lines":                               {Lines, `{"password":"s","a":[1,"tok_1"]}` + "\n"},
		"text":                                {Text, "lorem ipsum tok_1 dolor\n"},
		"events":                              {Events, "id: 1\ndata: {\"password\":\"a\"}\n\n"},
		"events of which there is one always": {Events, indexed(0, "t") + indexed(1, "t")},
		"events of which many wait":           {Events, indexed(0, "t") + strings.Repeat(": ping\n", 20)},
	} {
		k := &keeper{Reader: strings.NewReader(strings.Repeat(c.part, size/len(c.part)))}
		if err := Copy(c.format, k, Output{view, func([]byte) error { return nil }}); err != nil || len(k.asked) > 0 {
			t.Errorf("%s: %v, asked for %d", name, err, k.asked)
		}
	}
}

// stars finds each star.
type stars struct{}

func (stars) Find(dst []Span, text []byte) []Span {
	for i, c := range text {
		if c == '*' {
			dst = append(dst, Span{i, i + 1})
		}
	}
	return dst
}

func TestBuffersOfASmallBodyAreUsedAgain(t *testing.T) {
	view := NewView(fields(t, "$..password => last4"), stars{}, nil)
	body := `{"password":"0123456789","a":"` + strings.Repeat("x * ", 200) + `{\"password\":\"0123456789\"} y","b":[1.5,true]}`
	const times = 500
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		if err := Copy(JSON, strings.NewReader(body), Output{view, func([]byte) error { return nil }}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	most := uint64(1 << 10)
	if raced { // pools lose some of what is put into them
		most <<= 4
	}
	if n := (after.TotalAlloc - before.TotalAlloc) / times; n > most {
		t.Errorf("%d bytes are allocated for each", n)
	}
}

func TestBuffersOfALargeBodyAreNotKept(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it would empty the pools
	const large = 1 << 20
	for name, c := range map[string]struct {
		format Format
		body   string
		finder Finder
	}{
		"a long string":             {JSON, `{"password":"` + strings.Repeat("x", large) + `"}`, stars{}},
		"a long part that is shown": {JSON, `{"mail":"a@` + strings.Repeat("x", large) + `"}`, stars{}},
		"many finds":                {JSON, `["` + strings.Repeat("* ", large/4) + `"]`, stars{}},
		"many finds in one place":   {JSON, `["a"]`, odd(slices.Repeat([]Span{{0, 1}}, large))},
		"many finds in an event":    {Events, `data: ` + strings.Repeat("* ", large/4) + "\n\n", stars{}},
		"a document in a string":    {JSON, `["{\"a\":\"` + strings.Repeat("x", large) + `\"}"]`, stars{}},
	} {
		view := NewView(fields(t, "$..password", "$.mail => domain"), c.finder, nil)
		if err := Copy(c.format, strings.NewReader(c.body), Output{view, func([]byte) error { return nil }}); err != nil {
			t.Fatal(err)
		}
		for l, ok := view.lanes.Get().(*lane); ok; l, ok = view.lanes.Get().(*lane) {
			if n := cap(l.out) + cap(l.plain) + cap(l.spans) + cap(l.texts); n > 8*largestChunk {
				t.Errorf("%s: %d bytes are kept", name, n)
			}
			if l.sub != nil && l.sub.walker.longest > largestChunk {
				t.Errorf("%s: a walker of documents in strings is kept", name)
			}
		}
		for w, ok := view.walkers.Get().(*walker); ok; w, ok = view.walkers.Get().(*walker) {
			if w.longest > largestChunk {
				t.Errorf("%s: a walker is kept", name)
			}
		}
	}
}

func TestNumbersAreWrittenOutForTheFinder(t *testing.T) {
	zeros := func(n int) string { return strings.Repeat("0", n) }
	view := NewView(nil, pattern{regexp.MustCompile(`^(?:10{63}|4)$`)}, &policies.MaskRule{Text: "*"})
	for number, found := range map[string]bool{
		"4": true, "-4": true, "4.0": true, "4E0": true, "4e+0": true, "0.4e1": true, "0.04E2": true, "40e-1": true, "4.00e-0": true,
		"44e-1": false, "0.44e1": false, "40": false, "0.4": false, "4.1": false, "0e1": false, "0e-1": false, "0.0": false,
		"1e63": true, "1e64": false, "0.1e64": true, "0.01e65": false,
		"4" + zeros(maxDigits) + "e-64": true, "4" + zeros(maxDigits+1) + "e-65": false,
		"4e-1": false, "4e999999999999999999999": false,
	} {
		want := number
		if found {
			want = "null"
		}
		if got, err := masked(JSON, strings.NewReader(number), view); err != nil || got != want {
			t.Errorf("%s becomes %s, %v", number, got, err)
		}
	}
}

func TestAnErrorSaysWhereATextIsNoUTF8(t *testing.T) {
	view := NewView(nil, secrets, nil)
	for _, lines := range []int{0, 1, 3000} {
		before := strings.Repeat("lorem ipsum é\ufffd\n", lines) + "é\ufffd😀"
		for _, bad := range []string{"\xff", "\x80", "\x00", "\xf0\x9f\x98"} {
			for _, behind := range []string{"", "tok_1\n"} {
				for _, size := range []int{999, 1 << 20} {
					_, err := masked(Text, &chunks{[]byte(before + bad + behind), size}, view)
					if e, ok := errors.AsType[*Error](err); !ok || e.Offset != int64(len(before)) {
						t.Errorf("%d lines, then %q, in pieces of %d: %v, want byte %d", lines, bad+behind, size, err, len(before))
					}
				}
			}
		}
	}
}

// names is a finder that wants to know the names of fields.
type names struct{ stars }

func (n names) FindNamed(dst []Span, _, text []byte) []Span { return n.Find(dst, text) }

func TestNamesOfFieldsTakeNoMoreRoomInALongBody(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it would empty the pools
	const many = 20_000
	for name, element := range map[string]string{
		"objects":           `{"id":1,"comment":"a"},`,
		"labels":            `{"name":"customer","value":"a"},`,
		"objects of arrays": `{"list":[{"a":[["b"]]}],"c":["d"]},`,
		"arrays of arrays":  `[[{"a":"b"}],["c"]],`,
	} {
		view := NewView(nil, names{}, nil)
		body := `{"all":[` + strings.Repeat(element, many) + `0]}`
		if err := Copy(JSON, strings.NewReader(body), Output{view, func([]byte) error { return nil }}); err != nil {
			t.Fatal(err)
		}
		w, ok := view.walkers.Get().(*walker)
		if !ok {
			continue // pools lose some of what is put into them with the race detector
		}
		if n := cap(w.spelled); n > 1<<10 {
			t.Errorf("%s: %d bytes are kept for names", name, n)
		}
	}
}
