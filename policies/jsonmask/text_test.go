package jsonmask

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies"
)

func TestFindsInTextAreHidden(t *testing.T) {
	view := NewView(nil, secrets, nil)
	for in, want := range map[string]string{
		"":                                 "",
		"nothing\n":                        "nothing\n",
		"no line end":                      "no line end",
		"a tok_1 b\ntok_2":                 "a [masked] b\n[masked]",
		"tok_1\ntok_2\r\nx":                "[masked]\n[masked]\r\nx",
		"\ufeffé tok_1 😀\n":                "\ufeffé [masked] 😀\n",
		"x BEGIN KEY\nab\ncd\nEND KEY y\n": "x [masked] y\n",
		"x BEGIN KEY\nab\ncd\n":            "x [masked]",
		"BEGIN KEY\na\nEND KEY tok_1\nBEGIN KEY\nb\nEND KEY": "[masked] [masked]\n[masked]",
	} {
		if got, err := everySplit(t, Text, in, view); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

// stretch is n bytes of words without a line end.
func stretch(n int) string { return strings.Repeat("lorem ip ", n/9+1)[:n] }

func TestFindsInATextWithoutLineEndsAreHiddenWhereverTheyStand(t *testing.T) {
	view := NewView(nil, secrets, &policies.MaskRule{Text: "*"})
	token := "tok_" + strings.Repeat("s3cret", 20)
	long := "tok_" + strings.Repeat("s3cret", TextWindow/2/6-1)
	endless := "tok_" + strings.Repeat("s3cret", TextWindow/4)
	block := "BEGIN KEY\n" + strings.Repeat("s3cret\n", TextWindow/5) + "END KEY"
	for name, secret := range map[string]string{"a token": token, "half a window": long, "many windows": endless, "lines": block} {
		places := []int{0, TextWindow/2 - 60, TextWindow / 2, TextWindow - len(token), TextWindow - 60, TextWindow, 3 * TextWindow / 2}
		if len(secret) > TextWindow {
			places = []int{0, TextWindow - 60}
		}
		for _, at := range places {
			before, after := stretch(at), " "+stretch(TextWindow)
			in := before + " " + secret + after
			want := before + " *" + after
			for _, size := range []int{1 << 20, 999} {
				got, err := masked(Text, &chunks{[]byte(in), size}, view)
				if err != nil || got != want {
					t.Fatalf("%s at %d in pieces of %d: %d bytes, want %d, %v; secret left: %v", name, at, size, len(got), len(want), err, strings.Contains(got, "s3cret"))
				}
			}
		}
	}
}

// chunks reads pieces of one size.
type chunks struct {
	rest []byte
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.size)], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func TestTextIsHeldBackOnlyWhileAFindCouldBegin(t *testing.T) {
	view := NewView(nil, secrets, nil)
	flows(t, Text, view,
		"a b\nto", "a b\n",
		"k_1", "a b\n",
		" c\nd\nBEGIN KEY\n", "a b\n[masked] c\nd\n",
		strings.Repeat("x", 40)+"\n", "a b\n[masked] c\nd\n",
		"END KEY e\n", "a b\n[masked] c\nd\n",
		"yyyyy\n", "a b\n[masked] c\nd\n[masked] e\nyyyyy\n",
	)
	flows(t, Text, view, "a", "", "\n", "a\n", "\n", "a\n\n", "\r", "a\n\n", "\n", "a\n\n\r\n")
	// A text without line ends is held to the window, not longer.
	long := stretch(10 * TextWindow)
	read, most := 0, 0
	written := 0
	src := &counted{chunks{[]byte(long), 1000}, &read}
	if err := Copy(Text, src, Output{view, func(p []byte) error {
		written += len(p)
		most = max(most, read-written)
		return nil
	}}); err != nil || written != len(long) || most > TextWindow {
		t.Errorf("%v, %d of %d bytes, held back %d", err, written, len(long), most)
	}
	if got, err := masked(Text, strings.NewReader("tok_1"), NewView(fields(t, "$.a"), nil, nil)); err != nil || got != "tok_1" {
		t.Errorf("without a finder: %q, %v", got, err)
	}
}

// late finds what begins with x once it sees GO, and then up to the end.
type late struct{}

func (late) Find(dst []Span, text []byte) []Span {
	if at := bytes.IndexByte(text, 'x'); at >= 0 && bytes.Contains(text, []byte("GO")) {
		dst = append(dst, Span{at, len(text)})
	}
	return dst
}

func TestAFindThatBeginsInWhatIsAlreadyOutIsHiddenOnce(t *testing.T) {
	before := strings.Repeat(".", TextWindow/2-2) + "x."
	in := before + strings.Repeat(".", TextWindow/2) + "GO\nsecret"
	if got, err := masked(Text, strings.NewReader(in), NewView(nil, late{}, &policies.MaskRule{Text: "*"})); err != nil || got != before+"*" {
		t.Errorf("%d bytes, the last are %q, %v", len(got), got[max(0, len(got)-5):], err)
	}
}

type counted struct {
	chunks
	read *int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.chunks.Read(p)
	*c.read += n
	return n, err
}

// inUTF16 is a text in UTF-16, little end first.
func inUTF16(text string) string {
	var b strings.Builder
	for _, r := range text {
		b.Write([]byte{byte(r), byte(r >> 8)})
	}
	return b.String()
}

func TestTextThatIsNotUTF8IsRefusedWhereAFinderReadsIt(t *testing.T) {
	finder := NewView(nil, secrets, nil)
	paths := NewView(fields(t, "$.a"), nil, nil)
	lines := TextWindow/len("lorem ipsum\n") + 100
	for name, in := range map[string]string{
		"UTF-16 with a mark":    "\xff\xfe" + inUTF16("tok_1 SECRET\n"),
		"UTF-16 without a mark": inUTF16("tok_1 SECRET\n"),
		"UTF-32":                "\xff\xfe\x00\x00" + inUTF16(inUTF16("tok_1")),
		"the other end first":   "\xfe\xff\x00t\x00o\x00k",
		"Latin-1":               "caf\xe9 tok_1\n",
		"a character cut off":   "tok_1 \xf0\x9f\x98",
		"a lone continuation":   "\x80tok_1",
		"a zero byte":           "tok_\x001\n",
		"late":                  strings.Repeat("lorem ipsum\n", lines) + "\xff tok_1",
	} {
		for _, f := range []Format{Text, Events} {
			if f == Events {
				in = "data: " + in
			}
			out, err := everySplit(t, f, in, finder)
			if _, ok := errors.AsType[*Error](err); !ok || strings.Contains(out, "tok_") || strings.Contains(out, "S\x00E") {
				t.Errorf("%s: %.60q, %v", name, out, err)
			}
		}
		if got, err := masked(Text, strings.NewReader(in), paths); err != nil || got != in {
			t.Errorf("%s, without a finder: %v", name, err)
		}
	}
}
