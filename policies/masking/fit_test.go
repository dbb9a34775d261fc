package masking

import (
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies"
)

func TestAMaskFitsTheLengthOfItsColumn(t *testing.T) {
	redact := policies.MaskRule{Text: "[masked]"}
	mail := policies.MaskRule{KeepDomain: true}
	wide := policies.MaskRule{Text: "‹hidden›"}
	for _, c := range []struct {
		name     string
		rule     *policies.MaskRule
		oid      uint32
		modifier int32
		typeName string
		value    string
		want     string
	}{
		{"char(3)", &redact, typeBPChar, 7, "character(3)", "abc", "[ma"},
		{"varchar(12)", &redact, typeVarchar, 16, "character varying(12)", "secret", "[masked]"},
		{"varchar(8)", &redact, typeVarchar, 12, "character varying(8)", "secret", "[masked]"},
		{"varchar(1)", &redact, typeVarchar, 5, "character varying(1)", "s", "["},
		{"varchar", &redact, typeVarchar, -1, "character varying", "secret", "[masked]"},
		{"text", &redact, 25, -1, "text", strings.Repeat("s", 100), "[masked]"},
		{"part of a mail in varchar(5)", &mail, typeVarchar, 9, "character varying(5)", "a@b.c", "***@b"},
		{"characters, not bytes", &wide, typeBPChar, 6, "character(2)", "ab", "‹h"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, most := range []int{longest(c.oid, c.modifier), longestNamed(c.oid, c.typeName)} {
				h := &hiding{rule: c.rule, text: true, longest: most}
				if got := string(h.value([]byte("before "), []byte(c.value))); got != "before "+c.want {
					t.Errorf("at most %d: got %q", most, got)
				}
			}
		})
	}
}
