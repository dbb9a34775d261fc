package masking

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

const copyMasks = `masks:
- {name: secrets, on: {targets: [orders]}, columns: ["public.t.secret", "public.t.number"], redact: {}}
- {name: mail, on: {targets: [orders]}, columns: ["public.t.email"], partial: {keep_domain: true}}
`

// copySpec is of COPY t(id, secret, number, email, note), as facts have it.
func copySpec(format sqlfacts.CopyFormat, change func(*sqlfacts.Copy)) *sqlfacts.Copy {
	rel := &sqlfacts.Relation{OID: 1, Schema: "public", Name: "t", Kind: 'r', Columns: []sqlfacts.Column{
		{Number: 1, Name: "id", TypeOID: 23},
		{Number: 2, Name: "secret", TypeOID: 25},
		{Number: 3, Name: "number", TypeOID: 23},
		{Number: 4, Name: "email", TypeOID: 1043},
		{Number: 5, Name: "note", TypeOID: 25},
	}}
	c := &sqlfacts.Copy{Relation: rel, Columns: rel.Columns, Format: format, Delimiter: '\t', Null: `\N`}
	if format == sqlfacts.CopyCSV {
		c.Delimiter, c.Null, c.Quote, c.Escape = ',', "", '"', '"'
	}
	if change != nil {
		change(c)
	}
	return c
}

func copyPlan(t testing.TB, c *sqlfacts.Copy) *CopyPlan {
	t.Helper()
	p := view(t, copyMasks).Copy(c)
	if p == nil {
		t.Fatal("no plan")
	}
	return p
}

// whole rewrites a stream at once.
func whole(t testing.TB, c *sqlfacts.Copy, stream string) string {
	t.Helper()
	p := copyPlan(t, c)
	out, err := p.Rewrite(nil, []byte(stream))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.End(); err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestCopyPlansOnlyWhatIsHidden(t *testing.T) {
	v := view(t, usualMasks)
	for sql, want := range map[string]bool{
		"copy customers to stdout":                                 true,
		"copy customers (id, name) to stdout":                      false,
		"copy customers (name, password) to stdout (format csv)":   true,
		"copy vip_customers (manager) to stdout (format binary)":   true,
		"copy orders to stdout":                                    false,
		"copy (select 1) to stdout":                                false,
		"select password from customers":                           false,
		"copy customer_view (id) to stdout with (format 'binary')": true,
	} {
		if got := v.Copy(facts(t, v.Catalog(), sql)[0].Copy) != nil; got != want {
			t.Errorf("%s: %v", sql, got)
		}
	}
}

func TestCopyText(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(*sqlfacts.Copy)
		in, want string
	}{
		{"a row", nil, "1\tpw\t7\tjoe@x.org\tnote\n", "1\t[masked]\t\\N\t***@x.org\tnote\n"},
		{"no rows", nil, "", ""},
		{"NULL stays NULL", nil, "\\N\t\\N\t\\N\t\\N\t\\N\n", "\\N\t\\N\t\\N\t\\N\t\\N\n"},
		{"empty is not NULL", nil, "1\t\t7\t\t\n", "1\t[masked]\t\\N\t***\t\n"},
		{"a value that looks like NULL", nil, "1\t\\\\N\t7\t\\\\N\t\\\\N\n", "1\t[masked]\t\\N\t***\t\\\\N\n"},
		{"escapes pass untouched", nil, "1\tp\\tw\t7\ta\\\\b@\\\\x\\ny\t\\b\\f\\n\\r\\t\\v\\\\\n", "1\t[masked]\t\\N\t***@\\\\x\\ny\t\\b\\f\\n\\r\\t\\v\\\\\n"},
		{"an escaped delimiter is none", func(c *sqlfacts.Copy) { c.Delimiter = '|' }, "1|p\\|w|7|a\\|b@\\|x|n\\|\n", "1|[masked]|\\N|***@\\|x|n\\|\n"},
		{"a mask that holds the delimiter is escaped", func(c *sqlfacts.Copy) { c.Delimiter = '[' }, "1[pw[7[x[n\n", "1[\\[masked][\\N[***[n\n"},
		{"with another NULL, NULL and its twin are alike", func(c *sqlfacts.Copy) { c.Null = "guess" }, "1\tguess\t7\tguess\tguess\n2\tpw\tguess\tother\tn\n", "1\t[masked]\tguess\t***\tguess\n2\t[masked]\tguess\t***\tn\n"},
		{"an empty NULL", func(c *sqlfacts.Copy) { c.Null = "" }, "1\t\t7\t\t\n", "1\t[masked]\t\t***\t\n"},
		{"a header", func(c *sqlfacts.Copy) { c.Header = true }, "id\tsecret\tnumber\temail\tnote\n1\tpw\t7\tx\tn\n", "id\tsecret\tnumber\temail\tnote\n1\t[masked]\t\\N\t***\tn\n"},
		{"the end marker of old", nil, "1\tpw\t7\tx\tn\n\\.\n", "1\t[masked]\t\\N\t***\tn\n\\.\n"},
		{"a backslash at the end", nil, "1\tpw\\\t7\tx\tn\\\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := copySpec(sqlfacts.CopyText, c.change)
			if c.want == "" && c.in != "" {
				wantMalformed(t, spec, c.in)
				return
			}
			if got := whole(t, spec, c.in); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestCopyCSV(t *testing.T) {
	escape := func(c *sqlfacts.Copy) { c.Escape = '\\' }
	for _, c := range []struct {
		name     string
		change   func(*sqlfacts.Copy)
		in, want string
	}{
		{"a row", nil, "1,pw,7,joe@x.org,note\n", "1,\"[masked]\",,\"***@x.org\",note\n"},
		{"quotes, delimiters and newlines in quotes", nil, "1,\"p\"\"w,\n\",7,\"a,\"\"@\n\"\"x\",\"n,\"\"\n\"\n", "1,\"[masked]\",,\"***@\n\"\"x\",\"n,\"\"\n\"\n"},
		{"NULL and empty", nil, "1,,,,\n2,\"\",7,\"\",\"\"\n", "1,,,,\n2,\"[masked]\",,\"***\",\"\"\n"},
		{"a value that looks like another NULL is quoted", func(c *sqlfacts.Copy) { c.Null = "nil" }, "1,nil,nil,nil,nil\n2,\"nil\",7,\"nil\",x\n", "1,nil,nil,nil,nil\n2,\"[masked]\",nil,\"***\",x\n"},
		{"everything quoted (FORCE_QUOTE *)", nil, "\"1\",\"pw\",\"7\",\"joe@x\",\"n\"\n", "\"1\",\"[masked]\",,\"***@x\",\"n\"\n"},
		{"another escape", escape, "1,\"p\\\"w\\\\\",7,\"a@\\\"\\\\x\",\"\\\"n\\\\\"\n", "1,\"[masked]\",,\"***@\\\"\\\\x\",\"\\\"n\\\\\"\n"},
		{"an escape outside of quotes is none", escape, "1,p\\w,7,a@\\x,n\\\n", "1,\"[masked]\",,\"***@\\\\x\",n\\\n"},
		{"another quote", func(c *sqlfacts.Copy) { c.Quote, c.Escape = '\'', '\'' }, "1,'p''w',7,\"@x,'n\n'\n", "1,'[masked]',,'***@x','n\n'\n"},
		{"an escape that is the newline", func(c *sqlfacts.Copy) { c.Escape = '\n' }, "1,\"p\n\nw\n\"\",7,x,n\n", "1,\"[masked]\",,\"***\",n\n"},
		{"an escape that is the delimiter", func(c *sqlfacts.Copy) { c.Escape = ',' }, "1,\"p,,w,\"\",7,x,n\n", "1,\"[masked]\",,\"***\",n\n"},
		{"a header", func(c *sqlfacts.Copy) { c.Header = true }, "id,secret,number,email,note\n1,pw,7,x,n\n", "id,secret,number,email,note\n1,\"[masked]\",,\"***\",n\n"},
		{"a quoted header", func(c *sqlfacts.Copy) { c.Header = true }, "\"id\",\"secret\",number,\"email\",\"note\"\n", "\"id\",\"secret\",number,\"email\",\"note\"\n"},
		{"a backslash and a dot are a value", nil, "1,\\.,7,x@\\.,\\.\n", "1,\"[masked]\",,\"***@\\.\",\\.\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := whole(t, copySpec(sqlfacts.CopyCSV, c.change), c.in); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// binaryStream has an extension in its header.
func binaryStream(extension string, trailer bool, rows ...[]byte) string {
	b := append([]byte(binarySignature), 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(extension)))
	b = append(b, extension...)
	for _, r := range rows {
		b = append(b, r...)
	}
	if trailer {
		b = append(b, 0xff, 0xff)
	}
	return string(b)
}

func TestCopyBinary(t *testing.T) {
	row := dataRow([]byte{0, 0, 0, 1}, []byte("p\nw"), []byte{0, 0, 0, 7}, []byte("a@b"), []byte("\xff\xff"))
	null := dataRow(nil, nil, nil, nil, nil)
	hidden := dataRow([]byte{0, 0, 0, 1}, []byte("[masked]"), nil, []byte("***@b"), []byte("\xff\xff"))
	spec := copySpec(sqlfacts.CopyBinary, nil)
	for _, extension := range []string{"", "\xff\xff extension"} {
		if got, want := whole(t, spec, binaryStream(extension, true, row, null, row)), binaryStream(extension, true, hidden, null, hidden); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	if got, want := whole(t, spec, binaryStream("", true)), binaryStream("", true); got != want {
		t.Errorf("no rows: got %q", got)
	}
}

// wantMalformed wants an error, nothing of the piece, and no way on.
func wantMalformed(t *testing.T, spec *sqlfacts.Copy, stream string) {
	t.Helper()
	p := copyPlan(t, spec)
	out, err := p.Rewrite([]byte("before"), []byte(stream))
	if err == nil {
		err = p.End()
		out = []byte("before")
	}
	if !errors.Is(err, ErrMalformed) || string(out) != "before" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestCopyDataThatIsNoneGivesNothing(t *testing.T) {
	header := func(c *sqlfacts.Copy) { c.Header = true }
	good := dataRow([]byte("1"), []byte("pw"), []byte("7"), []byte("x"), []byte("n"))
	for _, c := range []struct {
		name   string
		format sqlfacts.CopyFormat
		change func(*sqlfacts.Copy)
		stream string
	}{
		{"text with too few fields", sqlfacts.CopyText, nil, "1\tpw\t7\tx\n"},
		{"text with too many fields", sqlfacts.CopyText, nil, "1\tpw\t7\tx\tn\tsecret\n"},
		{"text that ends within a row", sqlfacts.CopyText, nil, "1\tpw"},
		{"text whose header is a row", sqlfacts.CopyText, header, "1\tpw\t7\tx\tn\n"},
		{"text whose header has too few names", sqlfacts.CopyText, header, "id\tsecret\n"},
		{"text whose header is the end marker", sqlfacts.CopyText, header, "\\.\n1\tpw\t7\tx\tn\n"},
		{"CSV with too few fields", sqlfacts.CopyCSV, nil, "1,pw\n"},
		{"CSV with too many fields", sqlfacts.CopyCSV, nil, "1,pw,7,x,n,secret\n"},
		{"CSV that ends within quotes", sqlfacts.CopyCSV, nil, "1,\"pw\n"},
		{"CSV whose quote is the newline", sqlfacts.CopyCSV, func(c *sqlfacts.Copy) { c.Quote = '\n' }, "1,pw,7,x,n\n2,pw,7,x,n\n"},
		{"CSV whose header is a row", sqlfacts.CopyCSV, header, "1,pw,7,x,n\n"},
		{"CSV whose header has other names", sqlfacts.CopyCSV, header, "id,other,number,email,note\n"},
		{"binary with another signature", sqlfacts.CopyBinary, nil, strings.Replace(binaryStream("", true, good), "PGCOPY", "PGCOPX", 1)},
		{"binary with a huge extension", sqlfacts.CopyBinary, nil, binarySignature + "\x00\x00\x00\x00\xff\xff\xff\xff"},
		{"binary with fewer columns", sqlfacts.CopyBinary, nil, binaryStream("", true, dataRow([]byte("pw")))},
		{"binary with no columns", sqlfacts.CopyBinary, nil, binaryStream("", true, dataRow())},
		{"binary with a count below -1", sqlfacts.CopyBinary, nil, binaryStream("", false, []byte{0xff, 0xfe})},
		{"binary with a length below -1", sqlfacts.CopyBinary, nil, binaryStream("", false, []byte{0, 5, 0xff, 0xff, 0xff, 0xfe})},
		{"binary with a huge length", sqlfacts.CopyBinary, nil, binaryStream("", false, []byte{0, 5, 0x7f, 0xff, 0xff, 0xff})},
		{"binary that ends within a row", sqlfacts.CopyBinary, nil, binaryStream("", false, good[:9])},
		{"binary that ends within its header", sqlfacts.CopyBinary, nil, "PGCOPY\n"},
		{"a good row before a bad one", sqlfacts.CopyText, nil, "1\tpw\t7\tx\tn\n1\tpw\n"},
	} {
		t.Run(c.name, func(t *testing.T) { wantMalformed(t, copySpec(c.format, c.change), c.stream) })
	}
}

func TestNothingGoesOnAfterMalformedData(t *testing.T) {
	p := copyPlan(t, copySpec(sqlfacts.CopyText, nil))
	if _, err := p.Rewrite(nil, []byte("1\tpw\n")); !errors.Is(err, ErrMalformed) {
		t.Fatal(err)
	}
	out, err := p.Rewrite(nil, []byte("1\tpw\t7\tx\tn\n"))
	if !errors.Is(err, ErrMalformed) || len(out) > 0 {
		t.Errorf("got %q, %v", out, err)
	}
	if err := p.End(); !errors.Is(err, ErrMalformed) {
		t.Errorf("End: %v", err)
	}
}

func TestARowTooLargeToKeepIsRefused(t *testing.T) {
	piece := bytes.Repeat([]byte("x"), 1<<20)
	for _, format := range []sqlfacts.CopyFormat{sqlfacts.CopyText, sqlfacts.CopyBinary} { // the bound of CSV is that of text
		t.Run(fmt.Sprint(format), func(t *testing.T) {
			p := copyPlan(t, copySpec(format, nil))
			first := "1,\""
			if format == sqlfacts.CopyBinary {
				first = binaryStream("", false, []byte{0, 5, 4, 0, 0, 0}) // a value of 64 MiB: the row is larger
			}
			if _, err := p.Rewrite(nil, []byte(first)); err != nil {
				t.Fatal(err)
			}
			for i := range maxCopyRow>>20 + 1 {
				if _, err := p.Rewrite(nil, piece); err != nil {
					if i < maxCopyRow>>20-1 || p.held != nil {
						t.Errorf("refused after %d MiB, held %d", i+1, len(p.held))
					}
					return
				}
			}
			t.Errorf("%d bytes are held", len(p.held))
		})
	}
}
