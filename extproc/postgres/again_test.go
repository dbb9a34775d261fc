package postgres

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicegate/sluice/extproc/postgres/pgmodel"
	"github.com/sluicegate/sluice/policies"
)

// openBundle bounds nobody on the same target.
var openBundle = vaultBundle[:strings.Index(vaultBundle, "- {name: drop")]

const (
	// replaces stands for a call of a function that gives names of statements and portals another meaning.
	replaces = "select replaces_names()"
	// explains has a secret in its second row.
	explains = "explain select n from pub"
)

func init() {
	pgmodel.Probe(replaces, []string{""})
	pgmodel.Probe(explains, []string{"Seq Scan on pub"}, []string{"ghp_16C7e42F292c6912E7710c838347Ae178B4a"})
}

func frontends(messages ...pgproto3.FrontendMessage) (out []byte) {
	for _, m := range messages {
		out = append(out, frontend(m)...)
	}
	return out
}

// A name that something could have given another meaning, which was let through whatever it does, is not what was read
// under it: once that decides, it must be read anew.
func TestWhatWasPutInThePlaceOfANameIsNotTakenForIt(t *testing.T) {
	bounded, open := compileBundle(t, vaultBundle, "v1"), compileBundle(t, openBundle, "v2")
	const sql = "select n from pub"
	prepared := frontends(&pgproto3.Parse{Name: "s", Query: sql}, &pgproto3.Sync{})
	run := frontends(&pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Execute{}, &pgproto3.Sync{})
	call, next := query(replaces), frontends(&pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Sync{})
	begun := bytes.Join([][]byte{
		query("begin"), prepared, frontends(&pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "s"}, &pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Sync{}),
	}, nil)
	for name, c := range map[string]struct {
		before, open, after []byte
		shown               bool
	}{
		"a statement":            {prepared, call, run, false},
		"a statement of then":    {nil, bytes.Join([][]byte{prepared, call}, nil), run, false},
		"one that was bound":     {bytes.Join([][]byte{prepared, run}, nil), call, run, false},
		"prepared anew":          {nil, call, bytes.Join([][]byte{prepared, run}, nil), true},
		"prepared too early":     {nil, bytes.Join([][]byte{call, prepared}, nil), run, false},
		"whatever ran":           {prepared, query(sql), run, false}, // a trigger, a cursor, what SQL prepared: nobody has looked
		"nothing ran":            {prepared, nil, run, true},
		"a portal":               {begun, call, next, false},
		"a portal that was left": {begun, nil, next, true},
		"behind its transaction": {nil, query("begin;" + sql), bytes.Join([][]byte{prepared, query("commit"), run}, nil), false},
		"behind a string":        {prepared, query(sql + ";" + replaces), run, false},
		"what was only bound":    {prepared, frontends(&pgproto3.Parse{Query: replaces}, &pgproto3.Bind{}, &pgproto3.Sync{}), run, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newExchanged(nil, []*policies.Policy{bounded}, NewMetrics(prometheus.NewRegistry()), nil)
				x.talk(c.before)
				x.policy.Store(open)
				before := len(x.talk(c.open))
				x.policy.Store(bounded)
				got := strings.Join(x.talk(c.after)[before:], ", ")
				x.over()
				if refused := strings.Contains(got, "E ERROR "); refused == c.shown || strings.Contains(got, "D ") != c.shown {
					t.Errorf("heard %s", got)
				}
			})
		})
	}
}

// Who only listens asks for nothing: what comes of the server's own accord is shown by the policy of that moment.
func TestWhatComesUnaskedIsShownByThePolicyOfThatMoment(t *testing.T) {
	bounded, open := compileBundle(t, vaultBundle, "v1"), compileBundle(t, openBundle, "v2")
	spared := compileBundle(t, strings.Replace(vaultBundle, "redact: {}}", "redact: {}, except: {groups: [agents]}}", 1), "v3")
	notification, err := (&pgproto3.NotificationResponse{PID: 7, Channel: "news", Payload: "words"}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		said            []byte
		first, then     *policies.Policy
		heard, recorded bool
	}{
		"nothing is hidden":      {query("select n from pub"), open, open, true, true},
		"a mask came":            {query("select n from pub"), open, bounded, false, false},
		"before any statement":   {nil, bounded, bounded, false, false},
		"a mask came for others": {query("select n from pub"), open, spared, true, false},
		"a mask went before":     {nil, bounded, open, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newExchanged(nil, []*policies.Policy{c.first}, NewMetrics(prometheus.NewRegistry()), nil)
				x.talk(c.said)
				x.policy.Store(c.then)
				x.answers = notification
				x.settle()
				x.over()
				heard, recorded := bytes.Contains(x.heard, []byte("news\x00words")), bytes.Contains(x.rec.toAgent, []byte("news\x00words"))
				if heard != c.heard || recorded != c.recorded || !bytes.Contains(x.heard, []byte("news")) {
					t.Errorf("heard %v, recorded %v: %q", heard, recorded, x.heard)
				}
			})
		})
	}
}

// Whom a mask spares is who the issuer's settings say that it is now.
func TestMasksAreThoseOfWhoItIsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spares := compileBundle(t, strings.Replace(vaultBundle, "redact: {}}", "redact: {}, except: {groups: [trusted]}}", 1), "v1")
		x := newExchanged(nil, []*policies.Policy{spares}, NewMetrics(prometheus.NewRegistry()), nil)
		shown := func() bool {
			before := len(x.heard)
			x.talk(query("select id, key from vault"))
			return bytes.Contains(x.heard[before:], []byte(pgmodel.Secrets()[0]))
		}
		for _, group := range []string{"some", "trusted", "some"} {
			x.vouching.as.Store(inGroup(group))
			if got := shown(); got != (group == "trusted") {
				t.Errorf("to %s: shown %v", group, got)
			}
		}
		x.over()
	})
}

// What is left of a portal is shown by the policy of the moment, also of one whose names are looked up when it is executed.
func TestTheRestOfAnExplanationIsShownByThePolicyOfThatMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		searched := strings.Replace(vaultBundle, "columns: [public.vault.key]", `detect: ["*"]`, 1)
		x := newExchanged(nil, []*policies.Policy{compileBundle(t, vaultBundle, "v1")}, NewMetrics(prometheus.NewRegistry()), nil)
		x.talk(query("begin"), frontends(&pgproto3.Parse{Query: explains}, &pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Sync{}))
		x.policy.Store(compileBundle(t, searched, "v2"))
		x.talk(frontends(&pgproto3.Execute{Portal: "p"}, &pgproto3.Sync{}))
		x.over()
		if !bytes.Contains(x.heard, []byte("Seq Scan")) || !bytes.Contains(x.heard, []byte("[masked]")) || bytes.Contains(x.heard, []byte("ghp_")) {
			t.Errorf("heard %q", x.heard)
		}
	})
}
