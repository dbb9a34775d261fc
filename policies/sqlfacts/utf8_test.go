package sqlfacts

import "testing"

// The errors are PostgreSQL's own.
func TestATextThatIsNoUTF8IsRefusedAsPostgreSQLDoes(t *testing.T) {
	for text, want := range map[string]string{
		"":              "",
		"ä€\U0001f600�": "",
		"a\xff":         "0xff",
		"\xffab":        "0xff",
		"a\x80":         "0x80",
		"a\xc3":         "0xc3",
		"a\xc3b":        "0xc3 0x62",
		"\xe2\x82bcd":   "0xe2 0x82 0x62",
		"\xf0abcde":     "0xf0 0x61 0x62 0x63",
		"\xc0\x80":      "0xc0 0x80",
		"\xed\xa0\x80":  "0xed 0xa0 0x80",
		"a\x00b":        "0x00",
	} {
		err := CheckUTF8(text)
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if want = `invalid byte sequence for encoding "UTF8": ` + want + " (SQLSTATE 22021)"; err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
