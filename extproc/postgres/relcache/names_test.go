package relcache

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// named makes a snapshot of one table with one column, under these names.
func named(relation, column string) *snapshot {
	return built(plainRows(func(r *rows) {
		r.relations[0].Name = relation
		r.columns[0].Name = column
	}))
}

func formerOf(rel *sqlfacts.Relation) string {
	return fmt.Sprint(rel.Former, rel.Columns[0].Former)
}

func TestNamesAreBoundedAndTheFirstIsKept(t *testing.T) {
	n := NewNames("", time.Now)
	for i := range 100 {
		s := named(fmt.Sprintf("r%d", i), fmt.Sprintf("c%d", i))
		if err := n.remember("d", s); err != nil {
			t.Fatal(err)
		}
		rel := s.byOID[first]
		if i > 0 && (rel.Former[0].Name != "r0" || rel.Columns[0].Former[0] != "c0") || len(rel.Former) > maxFormer {
			t.Fatalf("after %d: %s", i, formerOf(rel))
		}
	}
}

func TestNamesOfWhatIsGoneAreForgottenAfterAWhile(t *testing.T) {
	now := time.Unix(1000, 0)
	n := NewNames("", func() time.Time { return now })
	gone := built(plainRows(func(r *rows) { r.relations = r.relations[1:] }))
	for _, step := range []struct {
		s    *snapshot
		wait time.Duration
		want string
	}{
		{named("secret", "key"), 0, "[] []"},
		{gone, time.Minute, ""},
		{named("other", "name"), time.Minute, "[{public secret}] [key]"}, // a standby was behind
		{gone, keepGone + time.Minute, ""},
		{gone, time.Minute, ""},
		{named("other", "name"), 0, "[] []"}, // the OID was used again
	} {
		if err := n.remember("d", step.s); err != nil {
			t.Fatal(err)
		}
		if rel := step.s.byOID[first]; rel != nil && formerOf(rel) != step.want {
			t.Errorf("got %s, want %s", formerOf(rel), step.want)
		}
		now = now.Add(step.wait)
	}
	if err := n.remember("another", named("x", "y")); err != nil || len(n.databases) != 2 {
		t.Errorf("databases are not apart: %v", err)
	}
}

func TestAFileOfNamesThatCannotBeReadIsNoFileOfNoNames(t *testing.T) {
	for name, text := range map[string]string{
		"cut off": `{"relations": {"20001": {"own": [{"schema"`, "null": `{"relations": {"20001": null}}`,
		"a null column": `{"relations": {"20001": {"own": [], "columns": {"1": null}}}}`, "empty": "",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "d.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := NewNames(dir, time.Now).remember("d", named("a", "b"))
		if err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	if err := NewNames(dir, time.Now).remember("d", named("a", "b")); err != nil {
		t.Fatal(err)
	}
	again := named("c", "d")
	if err := NewNames(dir, time.Now).remember("d", again); err != nil || formerOf(again.byOID[first]) != "[{public a}] [b]" {
		t.Errorf("%v: %s", err, formerOf(again.byOID[first]))
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	if os.Geteuid() != 0 {
		if err := NewNames(dir, time.Now).remember("d", named("e", "f")); err == nil {
			t.Error("it could not be kept, and nobody is told")
		}
	}
}

// columnsFrom are what generated columns stay masked by.
func TestWhatAColumnWasWorkedOutFromIsRemembered(t *testing.T) {
	n := NewNames("", time.Now)
	before := built(plainRows(func(r *rows) {
		r.columns[1].Generated = "s"
		r.expressions = []expressionRow{{first, "stored", 2, text("upper(a)")}}
	}))
	if err := n.remember("d", before); err != nil {
		t.Fatal(err)
	}
	if got := before.byOID[first].Columns[1].From; len(got) != 1 || got[0] != 1 {
		t.Errorf("it is worked out from %v", got)
	}
	after := built(plainRows(nil))
	if err := n.remember("d", after); err != nil {
		t.Fatal(err)
	}
	if got := after.byOID[first].Columns[1].FromFormer; len(got) != 1 || got[0] != "a" {
		t.Errorf("it was worked out from %v", got)
	}
}
