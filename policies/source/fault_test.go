package source

import (
	"fmt"
	"strings"
	"testing"
)

func TestAReportHasAtMostAHundredFaults(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 1, 99: 99, 100: 100, 101: 101, 250: 101} {
		all := make([]Fault, n)
		for i := range all {
			all[i] = Fault{File: "a.yaml", Line: i + 1, Message: "wrong"}
		}
		f := newFaults(all)
		if f == nil {
			if want != 0 {
				t.Errorf("%d faults: none", n)
			}
			continue
		}
		last := f.Faults[len(f.Faults)-1].Message
		more := last != "wrong"
		if len(f.Faults) != want || more != (n > 100) || more && last != fmt.Sprintf("and %d more", n-100) {
			t.Errorf("%d faults: %d, the last %q", n, len(f.Faults), last)
		}
	}
}

func TestFaultsAreInTheOrderOfTheirPlacesEachOnce(t *testing.T) {
	at := func(file string, line, column int) Fault {
		return Fault{File: file, Line: line, Column: column, Message: "wrong"}
	}
	f := newFaults([]Fault{at("b", 1, 1), at("a", 2, 1), at("a", 1, 9), at("a", 1, 2), at("a", 2, 1)})
	var got []string
	for _, one := range f.Faults {
		got = append(got, fmt.Sprintf("%s:%d:%d", one.File, one.Line, one.Column))
	}
	if s := strings.Join(got, " "); s != "a:1:2 a:1:9 a:2:1 b:1:1" {
		t.Errorf("got %s", s)
	}
}

func TestTextOfAFileForgesNoLine(t *testing.T) {
	long := strings.Repeat("x", maxMessage)
	for in, want := range map[string]string{
		"a b": "a b", " a": "a", "a \n\t b ": "a b", "a\x1b[31m": `a\u001b[31m`, "\n": "", "ä ☃": "ä ☃",
		long: long, long + "y": long + "y", long + "yz": long + "y… (1 bytes more)",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("%.20q becomes %.30q", in, got)
		}
	}
}

// U+FFFD is a character like others; the byte that is none is not.
func TestOnlyWhatIsNoUTF8IsRefusedAsSuch(t *testing.T) {
	for text, good := range map[string]bool{
		"# \ufffd\n": true, "# \xff\n": false, "# a\r\n": true, "# a\rb\n": false, "# \u2028\n": false, "# \u0085\n": false, "# \ufeff\n": false,
	} {
		if f := unreadable(file{name: "a.yaml", data: []byte(text)}); (f == nil) != good {
			t.Errorf("%q: %+v", text, f)
		}
	}
}
