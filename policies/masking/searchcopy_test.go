package masking

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

const copySearch = `masks:
- {name: found, on: {targets: [orders]}, columns: ["public.t.note", "public.t.number"], detect: [github-token], redact: {text: "a,\t\"b\\"}}
`

func TestCopyIsSearched(t *testing.T) {
	for _, c := range []struct {
		name     string
		format   sqlfacts.CopyFormat
		change   func(*sqlfacts.Copy)
		in, want string // no want: each piece passes as it is
	}{
		{"text", sqlfacts.CopyText, nil, "1\tpw\t7\tm\tsee @\\\\x\\n\n", "1\tpw\t7\tm\tsee a,\\\t\"b\\\\\\\\x\\n\n"},
		{"text between escapes", sqlfacts.CopyText, nil, "1\tpw\t7\tm\t\\t@\\n@\\r漢\n", "1\tpw\t7\tm\t\\\ta,\\\t\"b\\\\\\na,\\\t\"b\\\\\\r漢\n"},
		{"text in which nothing is found", sqlfacts.CopyText, nil, "1\tpw\\t\t7\tm\t\\b\\f\\v\\\\ ä\n\\N\t\\N\t\\N\t\\N\t\\N\n", ""},
		{"the column beside is not searched", sqlfacts.CopyText, nil, "1\t@\t7\t@\tn\n", ""},
		{"a column of no text is not searched", sqlfacts.CopyText, nil, "1\tpw\t@\tm\tn\n", ""},
		{"text with a NULL that looks like a value", sqlfacts.CopyText, func(c *sqlfacts.Copy) { c.Null = "nil" }, "1\tpw\t7\tm\tnil\n", ""},
		{"text with a header", sqlfacts.CopyText, func(c *sqlfacts.Copy) { c.Header = true }, "id\tsecret\tnumber\temail\tnote\n1\tpw\t7\tm\t@\n", "id\tsecret\tnumber\temail\tnote\n1\tpw\t7\tm\ta,\\\t\"b\\\\\n"},
		{"the end marker of old", sqlfacts.CopyText, nil, "1\tpw\t7\tm\tn\n\\.\n", ""},
		{"CSV", sqlfacts.CopyCSV, nil, "1,\"p\"\"w\",7,m,\"x\n\"\"@\"\"\"\n", "1,\"p\"\"w\",7,m,\"x\n\"\"a,\t\"\"b\\\"\"\"\n"},
		{"CSV without quotes", sqlfacts.CopyCSV, nil, "1,pw,7,m,@\n2,pw,7,m,n\n", "1,pw,7,m,\"a,\t\"\"b\\\"\n2,pw,7,m,n\n"},
		{"CSV in which nothing is found", sqlfacts.CopyCSV, nil, "1,\"p\"\"w\",7,m,\"x\n\"\"n\"\n2,,,,\n", ""},
		{"binary", sqlfacts.CopyBinary, nil, binaryStream("ext", true, dataRow([]byte("1"), []byte("pw"), nil, []byte("m"), []byte("see @"))), binaryStream("ext", true, dataRow([]byte("1"), []byte("pw"), nil, []byte("m"), []byte("see a,\t\"b\\")))},
		{"binary in which nothing is found", sqlfacts.CopyBinary, nil, binaryStream("", true, dataRow([]byte("1"), []byte("pw"), nil, []byte("m"), []byte("\xff"))), ""},
		{"no rows", sqlfacts.CopyBinary, nil, binaryStream("", true), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := lengthened(c.in)
			want := c.want
			if want == "" {
				want = in
			}
			v := view(t, copySearch)
			spec := copySpec(c.format, c.change)
			p := v.Copy(spec)
			if p == nil {
				t.Fatal("no plan")
			}
			out, same, err := p.Hide([]byte("before"), []byte(in))
			if err != nil || p.End() != nil || same != (c.want == "") {
				t.Fatalf("same %v, %v, %v", same, err, p.End())
			}
			if same {
				out = append(out, in...)
			}
			if string(out) != "before"+want {
				t.Errorf("got  %q\nwant %q", out, want)
			}
			for i := range len(in) {
				p, out = v.Copy(spec), nil
				for _, piece := range []string{in[:i], in[i:]} {
					if out, err = p.Rewrite(out, []byte(piece)); err != nil {
						t.Fatalf("split at %d: %v", i, err)
					}
				}
				if string(out) != want || p.End() != nil {
					t.Fatalf("split at %d: %q", i, out)
				}
			}
		})
	}
}

// lengthened puts the secret where @ stands. In a binary stream its length is put right.
func lengthened(stream string) string {
	if strings.HasPrefix(stream, "PGCOPY") {
		n := byte(len("see @"))
		stream = strings.Replace(stream, string([]byte{0, 0, 0, n})+"see @", string([]byte{0, 0, 0, n - 1 + byte(len(secret))})+"see @", 1)
	}
	return strings.ReplaceAll(stream, "@", secret)
}

func TestCopyOfAQueryIsSearchedInEveryColumn(t *testing.T) {
	v := view(t, narrowMask)
	for _, c := range []struct {
		name, sql string
		columns   int
		in, want  string // no want: there is nothing to search
	}{
		{"a column that is named", "copy (select id, name from customers) to stdout", 2, "1\tsee @\n", "1\tsee [masked]\n"},
		{"a header is searched too", "copy (select id, name from customers) to stdout (header, format csv)", 2, "id,name\n1,@\n", "id,name\n1,\"[masked]\"\n"},
		{"JSON stays JSON", "copy (select to_jsonb(name) from customers) to stdout", 1, "{\"a\": \"\\\\\"@\"}\n", "{\"a\": \"\\\\\"[masked]\"}\n"},
		{"other columns", "copy (select id, email from customers) to stdout", 2, "", ""},
		{"a function that could read anything", "copy (select customer_password(1)) to stdout", 1, "@\n", "[masked]\n"},
		{"a relation that is not known", "copy newer to stdout", 2, "1\t@\n", "1\t[masked]\n"},
		{"a relation with another number of columns", "copy customers to stdout", 3, "1\t@\t2\n", "1\t[masked]\t2\n"},
		{"no columns", "copy (select from customers where name = '') to stdout", 0, "", ""},
		{"binary", "copy (select name, id from customers) to stdout (format binary)", 2, binaryStream("", true, dataRow([]byte(secret), []byte("\x00\x00\x00\x01"))), binaryStream("", true, dataRow([]byte("[masked]"), []byte("\x00\x00\x00\x01")))},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := facts(t, v.Catalog(), c.sql)
			if v.Touches(f) {
				t.Error("rows of a COPY are described")
			}
			p := v.CopyQuery(&f[0], c.columns)
			if c.want == "" {
				if p != nil {
					t.Error("it is searched")
				}
				return
			}
			out, err := p.Rewrite(nil, []byte(strings.ReplaceAll(c.in, "@", secret)))
			if err != nil || p.End() != nil || string(out) != c.want {
				t.Errorf("got %q, %v", out, err)
			}
		})
	}
	if f := facts(t, v.Catalog(), "copy (select name from customers) to stdout"); view(t, usualMasks).CopyQuery(&f[0], 1) != nil {
		t.Error("without searches it is searched")
	}
}

func FuzzSearchedCopy(f *testing.F) {
	f.Add(uint8(0), []byte("1\tpw\t7\tm\tx "+secret+"\n"), uint8(3))
	f.Add(uint8(1), []byte("1,pw,7,m,\"x \"\""+secret+"\"\"\"\n"), uint8(2))
	f.Add(uint8(2), []byte(binaryStream("", true, dataRow(nil, nil, nil, nil, []byte(secret)))), uint8(4))
	v := view(f, copySearch)
	f.Fuzz(func(t *testing.T, format uint8, stream []byte, size uint8) {
		spec := copySpec(sqlfacts.CopyFormat(format%3), nil)
		p := v.Copy(spec)
		want, same, err := p.Hide(nil, stream)
		if same {
			want = stream
		}
		if err != nil {
			return
		}
		p = v.Copy(spec)
		var got []byte
		for rest := stream; len(rest) > 0; {
			n := min(len(rest), int(size)+1)
			if got, err = p.Rewrite(got, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("in pieces %q, whole %q", got, want)
		}
		if bytes.Contains(got, []byte("\t"+secret+"\n")) && format%3 == 0 {
			t.Fatalf("the secret is in %q", got)
		}
	})
}

func FuzzSearchedValue(f *testing.F) {
	types := []uint32{25, 142, 114, 3802, 1009, 3807, 0, 17000}
	for i, v := range []string{
		secret, "<a>" + secret + "</a>", `{"` + secret + `": ["\u0067` + secret[1:] + `", 1e5]}`, "\x01[\"" + secret + "\"]",
		`[0:1]={"a \"` + secret + `\"",NULL,` + secret + `}`, arrayOf(3802, nil, []byte("\x01\""+secret+"\"")), arrayOf(25, []byte(secret)), "(1," + secret + ")",
	} {
		f.Add(uint8(i), i%2 == 1, []byte(v))
	}
	v := view(f, copySearch)
	f.Fuzz(func(t *testing.T, kind uint8, binary bool, value []byte) {
		h := v.searching(v.search.all(), "", types[int(kind)%len(types)], binary)
		hidden, passes := h.shown(nil, nil, value)
		if passes {
			if len(hidden) > 0 {
				t.Errorf("it passes, and is written: %q", hidden)
			}
			return
		}
		if again, passes := h.shown(nil, nil, hidden); !passes {
			t.Errorf("%q became %q, and that %q", value, hidden, again)
		}
	})
}
