package masking

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// marked is what stands for a value in these tests.
func marked(value []byte) string { return fmt.Sprintf("‹%d›", len(value)) }

func copyInPlan(t testing.TB, c *sqlfacts.Copy) *CopyIn {
	t.Helper()
	p := view(t, copyMasks).CopyIn(c, len(c.Columns), false, marked)
	if p == nil {
		t.Fatal("no plan")
	}
	return p
}

// recordedIn is what the record has of data that comes in pieces.
func recordedIn(p *CopyIn, pieces ...string) string {
	var out []byte
	for _, piece := range pieces {
		b := []byte(piece)
		out = p.Append(out, b)
		clear(b) // the caller's buffer is used again
	}
	return string(p.End(out))
}

func TestDataOfCopyInHasNoSecrets(t *testing.T) {
	for name, c := range map[string]struct {
		format   sqlfacts.CopyFormat
		change   func(*sqlfacts.Copy)
		in, want string
	}{
		"text":                 {in: "1\tpw\t7\tx@y\tn\n", want: "1\t‹2›\t‹1›\t‹3›\tn\n"},
		"no end of the line":   {in: "1\tpw\t7\tx@y\tn", want: "1\t‹2›\t‹1›\t‹3›\tn"},
		"NULL":                 {in: "1\t\\N\t\\N\t\\N\t\\N\n", want: "1\t\\N\t\\N\t\\N\t\\N\n"},
		"escapes":              {in: "1\tp\\tw\t\\x41\\101\ta\\\tb\t\\\\\n", want: "1\t‹3›\t‹2›\t‹3›\t\\\\\n"},
		"an escaped newline":   {in: "1\tp\\\nw\t7\te\tn\\\nm\n2\ta\tb\tc\td\n", want: "1\t‹3›\t‹1›\t‹1›\tn\\\nm\n2\t‹1›\t‹1›\t‹1›\td\n"},
		"CR NL":                {in: "1\tpw\t7\te\tn\r\n2\tpw\t7\te\tn\r\n", want: "1\t‹2›\t‹1›\t‹1›\tn\r\n2\t‹2›\t‹1›\t‹1›\tn\r\n"},
		"CR":                   {in: "1\tpw\t7\te\tn\r2\tpw\t7\te\tn\r", want: "1\t‹2›\t‹1›\t‹1›\tn\r2\t‹2›\t‹1›\t‹1›\tn\r"},
		"ends that differ":     {in: "1\tpw\t7\te\tn\n2\tpw\t7\te\tn\r\n", want: "1\t‹2›\t‹1›\t‹1›\tn\n‹12›"},
		"the end mark":         {in: "1\tpw\t7\te\tn\n\\.\n1\tpw\t7\te\tn\n", want: "1\t‹2›\t‹1›\t‹1›\tn\n\\.\n‹11›"},
		"an end mark in text":  {in: "1\tpw\t7\te\t\\.\n", want: "‹12›"},
		"an end mark in front": {in: "\\.1\tpw\t7\te\tn\n", want: "‹13›"},
		"too few":              {in: "1\tpw\t7\te\n1\tpw\t7\te\tn\n", want: "‹20›"},
		"too many":             {in: "1\tpw\t7\te\tn\tm\n1\tpw\t7\te\tn\n", want: "‹24›"},
		"an empty line":        {in: "\n", want: "‹1›"},
		"a delimiter":          {change: func(c *sqlfacts.Copy) { c.Delimiter = '|' }, in: "1|p\tw|7|e|n\n", want: "1|‹3›|‹1›|‹1›|n\n"},
		"a header": {
			change: func(c *sqlfacts.Copy) { c.Header = true },
			in:     "id\tsecret\tnumber\temail\tnote\n1\tpw\t7\te\tn\n", want: "id\tsecret\tnumber\temail\tnote\n1\t‹2›\t‹1›\t‹1›\tn\n",
		},
		"a header of other names": {change: func(c *sqlfacts.Copy) { c.Header = true }, in: "1\tpw\t7\te\tn\n", want: "1\t‹2›\t‹1›\t‹1›\tn\n"},
		"a header of other columns": {
			change: func(c *sqlfacts.Copy) { c.Header = true }, in: "1\tpw\n1\tpw\t7\te\tn\n", want: "‹4›\n1\t‹2›\t‹1›\t‹1›\tn\n",
		},
		"CSV":    {format: sqlfacts.CopyCSV, in: "1,pw,,x@y,n\n", want: "1,\"‹2›\",,\"‹3›\",n\n"},
		"quotes": {format: sqlfacts.CopyCSV, in: "\"1\",\"p,\"\"\nw\",a\"b,\"c,d,\"n,\nm\"\n", want: "\"1\",\"‹5›\",\"‹4›\",\"‹1›\",\"n,\nm\"\n"},
		"a NULL string that FORCE_NOT_NULL makes a value": {
			format: sqlfacts.CopyCSV, change: func(c *sqlfacts.Copy) { c.Null = "pw" }, in: "pw,pw,,x@y,pw\n", want: "pw,\"‹2›\",\"‹0›\",\"‹3›\",pw\n",
		},
		"a quote that stays": {format: sqlfacts.CopyCSV, in: "1,\"pw,7,e,n\n1,pw,7,e,n\n", want: "‹23›"},
		"an escape": {
			format: sqlfacts.CopyCSV, change: func(c *sqlfacts.Copy) { c.Escape = '\\' },
			in: "1,\"p\\\"\\\\\\w\",7,e,n\n", want: "1,\"‹5›\",\"‹1›\",\"‹1›\",n\n",
		},
		"an escaped escape": {
			format: sqlfacts.CopyCSV, change: func(c *sqlfacts.Copy) { c.Escape = '\\' },
			in: "1,\"pw\\\\\",7,e,n\n", want: "1,\"‹3›\",\"‹1›\",\"‹1›\",n\n",
		},
		"a mark in CSV": {format: sqlfacts.CopyCSV, in: "\\.\n1,pw,7,e,n\n", want: "\\.\n1,\"‹2›\",\"‹1›\",\"‹1›\",n\n"},
		"binary":        {format: sqlfacts.CopyBinary, in: binaryStream("", true), want: "‹21›"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := copySpec(c.format, c.change)
			if got := recordedIn(copyInPlan(t, spec), c.in); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			for i := range len(c.in) {
				if got := recordedIn(copyInPlan(t, spec), c.in[:i], c.in[i:]); got != c.want {
					t.Fatalf("cut at %d: got %q, want %q", i, got, c.want)
				}
			}
		})
	}
}

// What is hidden is told by the digest of the value: that must be the one that the server stores (copyfromparse.c,
// CopyReadAttributesText).
func TestAValueOfCopyInIsReadAsTheServerReadsIt(t *testing.T) {
	spec := *copySpec(sqlfacts.CopyText, nil)
	spec.Columns = spec.Columns[1:2]
	for in, want := range map[string]string{
		`\b\f\n\r\t\v\q\\`: "\b\f\n\r\t\vq\\", `a\`: `a\`,
		`\1`: "\x01", `\12`: "\n", `\101`: "A", `\1012`: "A2", `\18`: "\x018", `\8`: "8", `\400`: "\x00", `a\0`: "a\x00",
		`\x4`: "\x04", `\x41`: "A", `\x4a2`: "J2", `\xfG`: "\x0fG", `\xF`: "\x0f", `\x`: "x", `\xg`: "xg", `\x\x41`: "xA", `\X41`: "X41", `\x09`: "\t", `\x9/`: "\t/", `\x90`: "\x90", `\x:`: "x:", `\x/`: "x/",
	} {
		var got []string
		p := view(t, copyMasks).CopyIn(&spec, 1, false, func(value []byte) string {
			got = append(got, string(value))
			return ""
		})
		if recordedIn(p, in); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestNoRowOfCopyInIsMadeUpBehindTheLast(t *testing.T) {
	spec := *copySpec(sqlfacts.CopyText, func(c *sqlfacts.Copy) { c.Header = true })
	spec.Columns = spec.Columns[1:2]
	for in, want := range map[string]string{"": "", "secret\npw\n": "secret\n‹2›\n", "secret\npw\n\n": "secret\n‹2›\n‹0›\n"} {
		if got := recordedIn(copyInPlan(t, &spec), in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestDataOfCopyInIsKeptWhereNothingIsHidden(t *testing.T) {
	v := view(t, copyMasks)
	spec := copySpec(sqlfacts.CopyText, nil)
	plain := *spec
	plain.Columns = spec.Columns[:1]
	if v.CopyIn(&plain, 1, false, marked) != nil || view(t, "").CopyIn(spec, 5, true, marked) != nil {
		t.Error("it is not passed")
	}
	unknown := *spec
	unknown.Relation = nil
	for name, p := range map[string]*CopyIn{
		"in doubt": v.CopyIn(&plain, 1, true, marked), "other columns": v.CopyIn(&plain, 2, false, marked),
		"of what is not known": v.CopyIn(&unknown, 5, false, marked),
	} {
		if got := recordedIn(p, "1\n", "2\n"); got != "‹4›" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestARowOfCopyInIsBounded(t *testing.T) {
	p := copyInPlan(t, copySpec(sqlfacts.CopyText, nil))
	piece := []byte(strings.Repeat("x", 1<<20))
	var out []byte
	for range 40 {
		out = p.Append(out, piece)
		if cap(p.held) > 4*maxCopyInRow {
			t.Fatalf("%d bytes are held", cap(p.held))
		}
	}
	if out = p.End(out); len(out) > 1000 || !bytes.HasPrefix(out, []byte("‹")) {
		t.Errorf("%d bytes are shown: %.80q", len(out), out)
	}
}

func TestDataOfCopyInInAnyPieces(t *testing.T) {
	masks := view(t, copyMasks)
	rapid.Check(t, func(t *rapid.T) {
		c := anyCopy.Draw(t, "copy")
		if c.Format == sqlfacts.CopyCSV {
			c.Escape = rapid.SampledFrom([]byte{c.Quote, '\\'}).Draw(t, "usual escape")
		}
		rows := anyRows(t)
		stream := encode(c, rows)
		broken := rapid.Bool().Draw(t, "broken")
		if broken && len(stream) > 0 {
			at := rapid.IntRange(0, len(stream)-1).Draw(t, "at")
			stream = append(append(bytes.Clone(stream[:at]), rapid.SampledFrom([]string{"\"", "\\", "\n", "\r", "\t,", "\\."}).Draw(t, "what")...), stream[at:]...)
		}
		p := masks.CopyIn(c, len(c.Columns), false, marked)
		var got []byte
		for rest := stream; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			piece := bytes.Clone(rest[:n])
			got = p.Append(got, piece)
			clear(piece)
			rest = rest[n:]
		}
		got = p.End(got)
		once := masks.CopyIn(c, len(c.Columns), false, marked)
		if want := once.End(once.Append(nil, stream)); string(got) != string(want) {
			t.Fatalf("of %q\nin pieces %q\nat once   %q", stream, got, want)
		}
		switch {
		case broken:
		case bytes.Contains(got, []byte("SECRET")):
			t.Fatalf("a secret is shown: %q", got)
		case c.Format != sqlfacts.CopyBinary && string(got) != string(recordedRows(c, rows)):
			t.Fatalf("%+v\nof   %q\ngot  %q\nwant %q", c, stream, got, recordedRows(c, rows))
		}
	})
}

// recordedRows are rows of the format with what is hidden hidden.
func recordedRows(c *sqlfacts.Copy, rows [][][]byte) []byte {
	out := encode(c, nil)
	for _, row := range rows {
		for i, v := range row {
			if i > 0 {
				out = append(out, c.Delimiter)
			}
			csv := c.Format == sqlfacts.CopyCSV
			if v == nil && csv && c.Null != "" && i >= 1 && i <= 3 { // a value, by FORCE_NOT_NULL
				v = []byte(c.Null)
			}
			switch {
			case v == nil:
				out = append(out, c.Null...)
			case i >= 1 && i <= 3 && csv:
				out = append(append(append(out, c.Quote), marked(v)...), c.Quote)
			case i >= 1 && i <= 3:
				out = append(out, marked(v)...)
			case csv:
				out = appendCSV(out, c, v)
			default:
				out = appendText(out, c, v)
			}
		}
		out = append(out, '\n')
	}
	return out
}
