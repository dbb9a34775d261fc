package masking

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/policies"
)

// dataRow lays values out as the body of a DataRow; nil is NULL.
func dataRow(values ...[]byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		if v == nil {
			b = binary.BigEndian.AppendUint32(b, 0xffffffff)
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return b
}

// parseRow is the contrary.
func parseRow(t interface{ Fatalf(string, ...any) }, body []byte) [][]byte {
	if len(body) < 2 {
		t.Fatalf("a row of %d bytes", len(body))
	}
	values := make([][]byte, binary.BigEndian.Uint16(body))
	body = body[2:]
	for i := range values {
		n := int32(binary.BigEndian.Uint32(body))
		body = body[4:]
		if n < 0 {
			continue
		}
		values[i], body = append([]byte{}, body[:n]...), body[n:]
	}
	if len(body) > 0 {
		t.Fatalf("%d bytes too many", len(body))
	}
	return values
}

func hide(r policies.MaskRule, text bool) *hiding {
	if r.Text == "" {
		r.Text = policies.DefaultMaskText
	}
	return &hiding{rule: &r, text: text}
}

func TestValueIsShownOnlyAsFarAsItsMaskSays(t *testing.T) {
	domain := policies.MaskRule{KeepDomain: true}
	last := func(n uint32) policies.MaskRule { return policies.MaskRule{KeepLast: n} }
	for _, c := range []struct {
		name  string
		rule  policies.MaskRule
		value string
		want  string
	}{
		{"redacted", policies.MaskRule{}, "secret", "[masked]"},
		{"an empty value is redacted too", policies.MaskRule{}, "", "[masked]"},
		{"redacted by a text of its own", policies.MaskRule{Text: "-"}, "secret", "-"},
		{"the domain is kept", domain, "joe@example.org", "***@example.org"},
		{"what follows the last @ is the domain", domain, `"a@b"@example.org`, "***@example.org"},
		{"without @ nothing is kept", domain, "secret", "***"},
		{"nothing before the @ would show all", domain, "@secret", "***"},
		{"nothing behind the @", domain, "secret@", "***@"},
		{"an empty address", domain, "", "***"},
		{"the last characters are kept", last(4), "4111111111111111", "***1111"},
		{"a value twice as long as what is kept is not shown", last(4), "12345678", "***"},
		{"one character more is", last(4), "123456789", "***6789"},
		{"a short value is not shown", last(4), "123", "***"},
		{"an empty value", last(4), "", "***"},
		{"characters count, not bytes", last(2), "ääöüß", "***üß"},
		{"four characters of many bytes are short", last(2), "ääöü", "***"},
		{"bytes that are no UTF-8 count one by one", last(1), "a\xff\xfe\xfd", "***\xfd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := hide(c.rule, true).value([]byte("before "), []byte(c.value)); string(got) != "before "+c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRow(t *testing.T) {
	secret := hide(policies.MaskRule{}, true)
	number := hide(policies.MaskRule{}, false)
	for _, c := range []struct {
		name      string
		plan      Plan
		row, want []byte
	}{
		{"a text is masked, what is beside it passes", Plan{nil, secret, nil}, dataRow([]byte("1"), []byte("pw"), []byte("x")), dataRow([]byte("1"), []byte("[masked]"), []byte("x"))},
		{"NULL stays NULL", Plan{secret, number}, dataRow(nil, nil), dataRow(nil, nil)},
		{"empty is not NULL", Plan{secret}, dataRow([]byte{}), dataRow([]byte("[masked]"))},
		{"what is no text becomes NULL", Plan{number, nil}, dataRow([]byte{0, 0, 0, 7}, []byte("x")), dataRow(nil, []byte("x"))},
		{"all columns", Plan{secret, number}, dataRow([]byte("a"), []byte("b")), dataRow([]byte("[masked]"), nil)},
		{"no columns", Plan{}, dataRow(), dataRow()},
		{"nothing hidden", Plan{nil}, dataRow([]byte("a")), dataRow([]byte("a"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, same, err := c.plan.Row([]byte("before"), c.row)
			if same {
				got = append(got, c.row...)
			}
			if same != bytes.Equal(c.row, c.want) {
				t.Errorf("same: %v", same)
			}
			if err != nil || !bytes.Equal(got, append([]byte("before"), c.want...)) {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestARowThatIsNoneGivesNothing(t *testing.T) {
	secret := hide(policies.MaskRule{}, true)
	good := dataRow([]byte("shown"), []byte("secret"))
	length := func(at int, n uint32) []byte {
		b := bytes.Clone(good)
		binary.BigEndian.PutUint32(b[at:], n)
		return b
	}
	for name, row := range map[string][]byte{
		"nothing":                       {},
		"half a count":                  {0},
		"fewer columns":                 dataRow([]byte("shown")),
		"more columns":                  dataRow([]byte("shown"), []byte("secret"), []byte("x")),
		"a negative count":              append([]byte{0xff, 0xff}, good[2:]...),
		"a length past the end":         length(2, 100),
		"a length past the end, hidden": length(11, 100),
		"a length below -1":             length(2, 0xfffffffe),
		"the greatest length":           length(2, 0x7fffffff),
		"a length cut off":              good[:13],
		"a value cut off":               good[:len(good)-1],
		"bytes behind it":               append(bytes.Clone(good), 0),
	} {
		t.Run(name, func(t *testing.T) {
			got, same, err := Plan{nil, secret}.Row([]byte("before"), row)
			if same || !errors.Is(err, ErrMalformed) || string(got) != "before" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// anyPlan draws a plan with what each column's value must become.
func anyPlan(t *rapid.T) Plan {
	rules := []*hiding{
		nil, hide(policies.MaskRule{}, true), hide(policies.MaskRule{}, false),
		hide(policies.MaskRule{KeepDomain: true}, true), hide(policies.MaskRule{KeepLast: 2}, true),
	}
	return rapid.SliceOfN(rapid.SampledFrom(rules), 0, 6).Draw(t, "plan")
}

// masked is what a value must become.
func (h *hiding) masked(v []byte) []byte {
	switch {
	case h == nil || v == nil:
		return v
	case !h.text:
		return nil
	}
	return h.value([]byte{}, v)
}

func TestRowChangesWhatIsHiddenAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := anyPlan(t)
		values := make([][]byte, len(plan))
		for i := range values {
			if rapid.IntRange(0, 5).Draw(t, "null") > 0 {
				values[i] = append([]byte{}, rapid.SliceOf(rapid.Byte()).Draw(t, "value")...)
			}
		}
		row := dataRow(values...)
		got, same, err := plan.Row(nil, row)
		if err != nil {
			t.Fatal(err)
		}
		if same {
			got = row
		}
		for i, v := range parseRow(t, got) {
			want := plan[i].masked(values[i])
			if !bytes.Equal(v, want) || (v == nil) != (want == nil) {
				t.Fatalf("column %d: %q became %q, want %q", i, values[i], v, want)
			}
		}
	})
}

func FuzzRow(f *testing.F) {
	f.Add(dataRow([]byte("1"), []byte("secret"), []byte("s@e"), nil))
	f.Add(dataRow([]byte{}, nil, []byte("@x"), []byte{1, 2}))
	f.Add([]byte{0, 4, 0, 0, 0, 1})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	plan := Plan{nil, hide(policies.MaskRule{}, true), hide(policies.MaskRule{KeepDomain: true}, true), hide(policies.MaskRule{}, false)}
	f.Fuzz(func(t *testing.T, row []byte) {
		got, same, err := plan.Row(nil, row)
		if same {
			got = row
		}
		if err != nil {
			if len(got) > 0 {
				t.Error("an error and bytes")
			}
			return
		}
		before, after := parseRow(t, row), parseRow(t, got)
		for i := range before {
			if want := plan[i].masked(before[i]); !bytes.Equal(after[i], want) {
				t.Errorf("column %d: %q became %q, want %q", i, before[i], after[i], want)
			}
		}
	})
}
