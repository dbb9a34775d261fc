package jsonpath

import (
	"strings"
	"testing"
)

func TestTheLongestPathIsCompiled(t *testing.T) {
	longest := "$." + strings.Repeat("a", MaxLength-2)
	if _, err := Compile(longest); err != nil {
		t.Error(err)
	}
	if _, err := Compile(longest + "a"); err == nil {
		t.Error("a longer one is")
	}
}

func TestNamesBeginAndEndWithAnyLetter(t *testing.T) {
	for source, good := range map[string]bool{
		"$.azAZ_09": true, "$.a": true, "$.z": true, "$.A": true, "$.Z": true, "$._": true, "$.é": true, "$.Zz": true,
		"$.`": false, "$.{": false, "$.@": false, "$.[": false, "$.0a": false, "$.a/": false, "$.a:": false, "\xff": false, "$.\xff": false,
		`$['\u0041']`: true, `$['\u004`: false, `$['\u0041`: false, `$['\u00`: false,
	} {
		if _, err := Compile(source); (err == nil) != good {
			t.Errorf("%q: %v", source, err)
		}
	}
	if _, err := Compile("\xff"); err == nil || !strings.Contains(err.Error(), "not valid UTF-8") {
		t.Errorf("what is no UTF-8 from the first byte on: %v", err)
	}
}

func TestTheLastNameOfAPath(t *testing.T) {
	for source, want := range map[string]string{"$.a": "a", "$.a.b": "b", "$..c": "c", "$['d e']": "d e", "$.a.*": "", "$.a[0]": "", "$..*": ""} {
		p, err := Compile(source)
		if err != nil {
			t.Fatal(err)
		}
		if name, ok := p.Last(); name != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", source, name, ok)
		}
	}
	if name, ok := (Path{}).Last(); name != "" || ok {
		t.Errorf("the empty path: %q, %v", name, ok)
	}
}

// What stands beside the letters in ASCII is no letter.
func TestOnlyLettersFold(t *testing.T) {
	for in, want := range map[string]string{"az": "AZ", "AZ": "AZ", "`{@[": "`{@[", "a`z{": "A`Z{", "\x7fé": "\x7fÉ"} {
		if got := string(appendFold(nil, []byte(in))); got != want {
			t.Errorf("%q folds to %q", in, got)
		}
	}
}
