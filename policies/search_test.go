package policies

import "testing"

func TestAMaskWithDetectorsSearchesAndHidesNoColumn(t *testing.T) {
	p := compileText(t, httpTargets+`
masks:
- {name: found, on: {targets: ["*"]}, detect: [jwt], redact: {text: X}}
- {name: notes, on: {targets: [orders]}, columns: ["public.*.note"], detect: [github-token], redact: {}, except: {groups: [dba]}}
- {name: paths, on: {targets: ["*"]}, paths: ["$.a"], redact: {}}
`)
	agent := p.Masks(member("agents"), "orders")
	if agent.Empty() || agent.HidesColumns() || agent.Column("public", "customers", "note") != nil {
		t.Error("a column is hidden in whole, or nothing at all")
	}
	searches := agent.Searches()
	if len(searches) != 2 || !searches[0].Everywhere() || searches[1].Everywhere() {
		t.Fatalf("searches: %+v", searches)
	}
	if searches[0].Rule.Name != "found" || searches[0].Rule.Text != "X" || searches[0].Finds.Empty() {
		t.Errorf("the first: %+v", searches[0])
	}
	if s := searches[1]; !s.Column("public", "customers", "note") || s.Column("public", "customers", "name") || s.Column("x", "customers", "note") {
		t.Error("the second names other columns than its mask")
	}
	if n := len(p.Masks(member("dba"), "orders").Searches()); n != 1 {
		t.Errorf("whom a mask excepts has %d searches", n)
	}
	if agent.Equal(p.Masks(member("dba"), "orders")) {
		t.Error("an exception sees the same")
	}
	if names, rule := p.Masks(member("agents"), "api").Detectors(); len(names) != 1 || rule.Name != "found" {
		t.Errorf("over HTTP: %v, %+v", names, rule)
	}
	whole := compileText(t, httpTargets+`
masks:
- {name: both, on: {targets: [orders]}, columns: ["public.customers.note"], redact: {}}
- {name: found, on: {targets: [orders]}, columns: ["public.customers.note"], detect: ["*"], redact: {}}
`).Masks(nil, "orders")
	if m := whole.Column("public", "customers", "note"); !whole.HidesColumns() || m == nil || m.Name != "both" {
		t.Errorf("beside a mask of the column: %+v", m)
	}
}
