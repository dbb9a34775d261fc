package masking

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// encode writes rows as PostgreSQL's COPY TO does (commands/copyto.c, CopyAttributeOutText and CopyAttributeOutCSV).
func encode(c *sqlfacts.Copy, rows [][][]byte) []byte {
	var out []byte
	if c.Format == sqlfacts.CopyBinary {
		return []byte(binaryStream("ext", true, bytesOf(rows)...))
	}
	if c.Header {
		names := make([][]byte, len(c.Columns))
		for i := range names {
			names[i] = []byte(c.Columns[i].Name)
		}
		rows = append([][][]byte{names}, rows...)
	}
	for _, row := range rows {
		for i, v := range row {
			if i > 0 {
				out = append(out, c.Delimiter)
			}
			switch {
			case v == nil:
				out = append(out, c.Null...)
			case c.Format == sqlfacts.CopyCSV:
				out = appendCSV(out, c, v)
			default:
				out = appendText(out, c, v)
			}
		}
		out = append(out, '\n')
	}
	return out
}

func bytesOf(rows [][][]byte) [][]byte {
	out := make([][]byte, len(rows))
	for i, r := range rows {
		out[i] = dataRow(r...)
	}
	return out
}

func appendText(out []byte, c *sqlfacts.Copy, v []byte) []byte {
	for _, b := range v {
		if i := strings.IndexByte("\b\f\n\r\t\v", b); i >= 0 && b != c.Delimiter {
			out = append(out, '\\', "bfnrtv"[i])
			continue
		}
		if b == '\\' || b == c.Delimiter {
			out = append(out, '\\')
		}
		out = append(out, b)
	}
	return out
}

func appendCSV(out []byte, c *sqlfacts.Copy, v []byte) []byte {
	if string(v) != c.Null && !bytes.ContainsAny(v, string([]byte{c.Delimiter, c.Quote, '\n', '\r'})) {
		return append(out, v...)
	}
	out = append(out, c.Quote)
	for _, b := range v {
		if b == c.Quote || b == c.Escape {
			out = append(out, c.Escape)
		}
		out = append(out, b)
	}
	return append(out, c.Quote)
}

var anyCopy = rapid.Custom(func(t *rapid.T) *sqlfacts.Copy {
	c := copySpec(rapid.SampledFrom([]sqlfacts.CopyFormat{sqlfacts.CopyText, sqlfacts.CopyCSV, sqlfacts.CopyBinary}).Draw(t, "format"), nil)
	c.Header = c.Format != sqlfacts.CopyBinary && rapid.Bool().Draw(t, "header")
	switch c.Format {
	case sqlfacts.CopyText:
		c.Delimiter = rapid.SampledFrom([]byte("\t|,; A")).Draw(t, "delimiter")
		c.Null = rapid.SampledFrom([]string{`\N`, "", "NULL", "x"}).Draw(t, "null")
	case sqlfacts.CopyCSV:
		c.Delimiter = rapid.SampledFrom([]byte(",;\t|")).Draw(t, "delimiter")
		c.Null = rapid.SampledFrom([]string{"", "NULL", `\N`}).Draw(t, "null")
		c.Quote = rapid.SampledFrom([]byte("\"'~")).Draw(t, "quote")
		c.Escape = rapid.SampledFrom([]byte{c.Quote, '\\', c.Delimiter, '\n', 'x'}).Draw(t, "escape")
	}
	return c
})

// anyRows draws values of the bytes that formats are made of. The secrets are distinct, and alike nothing else.
func anyRows(t *rapid.T) [][][]byte {
	value := rapid.SliceOfN(rapid.SampledFrom([]byte("abxN\\.\"'~,;|\t\n\r\b\v @A\xc3\xa4")), 0, 8)
	rows := make([][][]byte, rapid.IntRange(0, 4).Draw(t, "rows"))
	for i := range rows {
		row := make([][]byte, 5)
		for j := range row {
			if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
				continue
			}
			row[j] = append([]byte{}, value.Draw(t, "value")...)
			switch j {
			case 1, 2:
				row[j] = fmt.Appendf(row[j], "SECRET%d", i)
			case 3:
				row[j] = append(fmt.Appendf(nil, "SECRET%d", i), append(row[j], "@dom"...)...)
			}
		}
		rows[i] = row
	}
	return rows
}

// hiddenRows is what must be left of rows. With a NULL string of one's own in text, NULL looks like any value.
func hiddenRows(c *sqlfacts.Copy, columns []*hiding, rows [][][]byte) [][][]byte {
	out := make([][][]byte, len(rows))
	for i, row := range rows {
		out[i] = make([][]byte, len(row))
		for j, v := range row {
			if v == nil && columns[j] != nil && columns[j].text && c.Format == sqlfacts.CopyText && c.Null != defaultNull {
				v = []byte(c.Null)
			}
			out[i][j] = columns[j].masked(v)
		}
	}
	return out
}

func TestRewritingInAnyPiecesIsRewritingTheWhole(t *testing.T) {
	masks := view(t, copyMasks)
	rapid.Check(t, func(t *rapid.T) {
		c := anyCopy.Draw(t, "copy")
		rows := anyRows(t)
		stream := encode(c, rows)
		p := masks.Copy(c)
		got := []byte("before")
		for rest := stream; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			piece := bytes.Clone(rest[:n]) // the caller's buffer is used again
			var err error
			if got, err = p.Rewrite(got, piece); err != nil {
				t.Fatalf("%q: %v", stream, err)
			}
			clear(piece)
			rest = rest[n:]
		}
		if err := p.End(); err != nil {
			t.Fatal(err)
		}
		want := rewritten(c, p.columns, rows)
		if !bytes.Equal(got, append([]byte("before"), want...)) {
			t.Fatalf("%+v\nof   %q\ngot  %q\nwant %q", c, stream, got, want)
		}
		if bytes.Contains(got, []byte("SECRET")) {
			t.Fatalf("a secret is shown: %q", got)
		}
	})
}

// rewritten is the stream that must come out: what is not hidden is byte for byte what came in; a masked text in CSV
// is always quoted.
func rewritten(c *sqlfacts.Copy, columns []*hiding, rows [][][]byte) []byte {
	hidden := hiddenRows(c, columns, rows)
	if c.Format != sqlfacts.CopyCSV {
		return encodeHidden(c, columns, hidden)
	}
	out := encode(&sqlfacts.Copy{Format: c.Format, Columns: c.Columns, Delimiter: c.Delimiter, Quote: c.Quote, Escape: c.Escape, Null: c.Null, Header: c.Header}, nil)
	for _, row := range hidden {
		for i, v := range row {
			if i > 0 {
				out = append(out, c.Delimiter)
			}
			switch {
			case v == nil:
				out = append(out, c.Null...)
			case columns[i] != nil:
				out = append(out, c.Quote)
				for _, b := range v {
					if b == c.Quote || b == c.Escape {
						out = append(out, c.Escape)
					}
					out = append(out, b)
				}
				out = append(out, c.Quote)
			default:
				out = appendCSV(out, c, v)
			}
		}
		out = append(out, '\n')
	}
	return out
}

// encodeHidden is encode, but that in a masked text of the text format only what must be is escaped.
func encodeHidden(c *sqlfacts.Copy, columns []*hiding, rows [][][]byte) []byte {
	if c.Format == sqlfacts.CopyBinary {
		return encode(c, rows)
	}
	out := encode(c, nil)
	for _, row := range rows {
		for i, v := range row {
			if i > 0 {
				out = append(out, c.Delimiter)
			}
			switch {
			case v == nil:
				out = append(out, c.Null...)
			case columns[i] != nil:
				for _, b := range v {
					switch {
					case b == '\\' || b == c.Delimiter:
						out = append(out, '\\', b)
					case strings.IndexByte("\n\r\t", b) >= 0:
						out = append(out, '\\', "nrt"[strings.IndexByte("\n\r\t", b)])
					default:
						out = append(out, b)
					}
				}
			default:
				out = appendText(out, c, v)
			}
		}
		out = append(out, '\n')
	}
	return out
}

func TestABinaryStreamMaySplitAnywhere(t *testing.T) {
	spec := copySpec(sqlfacts.CopyBinary, nil)
	row := dataRow([]byte{0, 0, 0, 1}, []byte("pw"), nil, []byte("a@b"), []byte("\xff\xff"))
	stream := binaryStream("ext", true, row, row)
	want := whole(t, spec, stream)
	for i := range len(stream) + 1 {
		for _, j := range []int{i, min(i+1, len(stream)), len(stream)} {
			p := copyPlan(t, spec)
			var out []byte
			for _, piece := range []string{stream[:i], stream[i:j], stream[j:]} {
				var err error
				if out, err = p.Rewrite(out, []byte(piece)); err != nil {
					t.Fatalf("split at %d and %d: %v", i, j, err)
				}
			}
			if err := p.End(); err != nil || string(out) != want {
				t.Fatalf("split at %d and %d: %q, %v; want %q", i, j, out, err, want)
			}
		}
	}
}

func FuzzCopy(f *testing.F) {
	f.Add(uint8(0), byte('\t'), byte('"'), byte('"'), `\N`, false, []byte("1\tpw\t7\tx@y\tn\n\\N\t\\N\t\\N\t\\N\t\\N\n"), uint8(3))
	f.Add(uint8(0), byte('|'), byte('"'), byte('"'), "", true, []byte("id|secret|number|email|note\n1|p\\|w|7|x@y|n\n"), uint8(1))
	f.Add(uint8(1), byte(','), byte('"'), byte('"'), "", false, []byte("1,\"p\"\"w\n\",7,x,n\n"), uint8(2))
	f.Add(uint8(1), byte(','), byte('"'), byte('\\'), "NULL", true, []byte("id,secret,number,email,note\n1,\"p\\\"w\",NULL,x,n\n"), uint8(5))
	f.Add(uint8(1), byte(','), byte('\n'), byte('\n'), "", false, []byte("1,a,2,b,c\n"), uint8(1))
	f.Add(uint8(2), byte(0), byte(0), byte(0), "", false, []byte(binaryStream("e", true, dataRow([]byte("1"), []byte("pw"), nil, nil, nil))), uint8(4))
	masks := view(f, copyMasks)
	f.Fuzz(func(t *testing.T, format uint8, delimiter, quote, escape byte, null string, header bool, stream []byte, size uint8) {
		spec := copySpec(sqlfacts.CopyFormat(format%3), func(c *sqlfacts.Copy) {
			c.Delimiter, c.Quote, c.Escape, c.Null, c.Header = delimiter, quote, escape, null, header
		})
		at := masks.Copy(spec)
		want, wantErr := at.Rewrite(nil, stream)
		if wantErr == nil {
			wantErr = at.End()
		}
		p := masks.Copy(spec)
		var got []byte
		var err error
		for rest := stream; len(rest) > 0 && err == nil; {
			n := min(len(rest), int(size)+1)
			got, err = p.Rewrite(got, rest[:n])
			rest = rest[n:]
		}
		if err == nil {
			err = p.End()
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("in pieces: %v, whole: %v", err, wantErr)
		}
		if err == nil && !bytes.Equal(got, want) {
			t.Fatalf("in pieces %q, whole %q", got, want)
		}
	})
}
