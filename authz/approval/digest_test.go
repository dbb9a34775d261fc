package approval_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/authz/approval"
)

func TestDifferentFieldsHaveDifferentDigests(t *testing.T) {
	type field struct {
		name  string
		value string
	}
	fields := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) field {
		return field{rapid.StringMatching(`[ab]{0,2}`).Draw(rt, "name"), rapid.StringMatching(`[ab]{0,2}`).Draw(rt, "value")}
	}), 0, 4)
	seen := map[string]string{}
	rapid.Check(t, func(rt *rapid.T) {
		list := fields.Draw(rt, "fields")
		d := approval.NewDigest()
		text := ""
		for _, f := range list {
			d.Field(f.name, []byte(f.value))
			text += f.name + "=" + f.value + ";"
		}
		sum := string(d.Sum())
		if len(sum) != approval.DigestSize {
			rt.Fatalf("%d bytes", len(sum))
		}
		if old, ok := seen[sum]; ok && old != text {
			rt.Fatalf("%q and %q have one digest", old, text)
		}
		seen[sum] = text
	})
}

// The encodings are formats: votes and recordings of before must verify after.
func TestTheEncodingsDoNotChange(t *testing.T) {
	action := &approvalv1.Action{
		Summary: "DELETE", Text: "delete from orders",
		Parameters: []*approvalv1.Parameter{{Type: "int4", Value: "7"}, {Type: "text", IsNull: true}},
		Details:    []*approvalv1.Detail{{Name: "database", Value: "orders"}},
	}
	for name, tt := range map[string][2]string{
		"digest":   {hex.EncodeToString(approval.NewDigest().Field("a", []byte("b")).Sum()), goldenDigest},
		"recorded": {hex.EncodeToString(approval.RecordedDigest(action)), goldenRecorded},
		"vote":     {hex.EncodeToString(approval.NewDigest().Field("v", approval.SigningBytes(goodVote())).Sum()), goldenVote},
	} {
		if tt[0] != tt[1] {
			t.Errorf("%s: %s, was %s", name, tt[0], tt[1])
		}
	}
}

func TestEveryPartOfAnActionIsInItsRecordedDigest(t *testing.T) {
	action := func() *approvalv1.Action {
		return &approvalv1.Action{
			Summary: "s", Text: "t",
			Parameters: []*approvalv1.Parameter{{Type: "ty", Value: "v"}},
			Details:    []*approvalv1.Detail{{Name: "n", Value: "v"}},
		}
	}
	base := approval.RecordedDigest(action())
	if !bytes.Equal(base, approval.RecordedDigest(proto.CloneOf(action()))) {
		t.Error("not deterministic")
	}
	for name, change := range map[string]func(*approvalv1.Action){
		"summary":           func(a *approvalv1.Action) { a.Summary = "x" },
		"text":              func(a *approvalv1.Action) { a.Text = "x" },
		"text into summary": func(a *approvalv1.Action) { a.Summary, a.Text = "st", "" },
		"parameter type":    func(a *approvalv1.Action) { a.Parameters[0].Type = "x" },
		"parameter value":   func(a *approvalv1.Action) { a.Parameters[0].Value = "x" },
		"parameter null":    func(a *approvalv1.Action) { a.Parameters[0].IsNull = true },
		"parameter more":    func(a *approvalv1.Action) { a.Parameters = append(a.Parameters, &approvalv1.Parameter{}) },
		"parameter fewer":   func(a *approvalv1.Action) { a.Parameters = nil },
		"detail name":       func(a *approvalv1.Action) { a.Details[0].Name = "x" },
		"detail value":      func(a *approvalv1.Action) { a.Details[0].Value = "x" },
		"detail to parameter": func(a *approvalv1.Action) {
			a.Parameters, a.Details = append(a.Parameters, &approvalv1.Parameter{Type: "n", Value: "v"}), nil
		},
	} {
		a := action()
		change(a)
		if bytes.Equal(base, approval.RecordedDigest(a)) {
			t.Errorf("%s is not in it", name)
		}
	}
}

func TestIDsAreCrockfordBase32Of128Bits(t *testing.T) {
	for in, want := range map[string]string{
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00": "00000000000000000000000000",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff": "ZZZZZZZZZZZZZZZZZZZZZZZZZW",
	} {
		if id, err := approval.NewID(bytes.NewReader([]byte(in))); err != nil || id != want {
			t.Errorf("%x: %s, %v", in, id, err)
		}
	}
	id, err := approval.NewID(rand.Reader)
	if err != nil || !regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{26}$`).MatchString(id) {
		t.Errorf("%s, %v", id, err)
	}
	if _, err := approval.NewID(bytes.NewReader([]byte("short"))); err == nil {
		t.Error("an id of too few random bits")
	}
}
