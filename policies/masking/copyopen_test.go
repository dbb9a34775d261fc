package masking

import (
	"testing"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

func TestANULLThatEndsInABackslashIsToldFromAValue(t *testing.T) {
	for _, c := range []struct{ null, in, want string }{
		{`\`, "1\tpw\t\\\tx@y\tn\n", "1\t[masked]\t\\\t***@y\tn\n"},
		{`\`, "\\\tpw\t\\\t\\\t\\\n", "\\\t[masked]\t\\\t***\t\\\n"},
		{`a\`, "a\\\tpw\t7\tx@y\ta\\\n", "a\\\t[masked]\ta\\\t***@y\ta\\\n"},
		{`\`, "1\tp\\\\w\\\tx\t7\tx@y\tn\n", "1\t[masked]\t\\\t***@y\tn\n"},
		{`\\`, "1\tpw\t\\\\\tx@y\tn\n", "1\t[masked]\t\\\\\t***@y\tn\n"},
	} {
		spec := copySpec(sqlfacts.CopyText, func(s *sqlfacts.Copy) { s.Null = c.null })
		if got := whole(t, spec, c.in); got != c.want {
			t.Errorf("NULL %q, %q: %q, want %q", c.null, c.in, got, c.want)
		}
	}
}

// A line that can be cut in two ways is not shown: what is masked could stand in a column that passes.
func TestALineThatCanBeCutInTwoWaysIsNoRow(t *testing.T) {
	spec := copySpec(sqlfacts.CopyText, func(s *sqlfacts.Copy) { s.Null = `\` })
	for _, line := range []string{
		"\\\tpw\t\\\t7\tx@y\tn\n", // NULL and a value that begins with a delimiter, or the other way round
		"\\\t\t\\\t\t\\\t\n",      // in two ways up to a place, and in a third
		"1\tpw\t7\n", "1\tpw\t7\tx\tn\tm\n",
	} {
		if got, err := copyPlan(t, spec).Rewrite(nil, []byte(line)); err == nil {
			t.Errorf("%q: %q", line, got)
		}
	}
}
