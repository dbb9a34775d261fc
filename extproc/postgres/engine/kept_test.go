package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// counted is what names keep, counted from the beginning.
func counted(s *shared) (statements, portals int) {
	named := map[*kept]bool{}
	for _, n := range s.statements.known {
		if n.value != nil && !named[n.value.kept] {
			named[n.value.kept] = true
			statements += n.value.kept.bytes
		}
	}
	for _, n := range s.portals.known {
		if n.value == nil {
			continue
		}
		portals += n.value.bytesKept()
		if k := n.value.source.kept; !named[k] {
			named[k] = true
			portals += k.bytes
		}
	}
	return statements, portals
}

// heavy takes every text for one of which 10 MiB are known.
func heavy(sql string) *sqlfacts.Facts {
	f := plainFacts(sql)
	f.Size = 10 << 20
	return f
}

func TestWhatIsKnownOfPreparedStatementsCounts(t *testing.T) {
	s := newScript(t)
	s.facts = heavy
	for i := range 7 {
		s.mustSend(parse(fmt.Sprint(i), "x"))
		s.mustAnswer(parsed())
	}
	s.mustSend(parse("7", "x"))
	if len(s.asked) != 7 || !refusedWith(s, "54000") {
		t.Fatalf("asked %d times for what keeps 10 MiB: %q", len(s.asked), errorsIn(s.agent))
	}
	s.mustSend(join(syncMessage(), closeStatement("3")))
	s.mustAnswer(ready('I'), closed())
	s.mustSend(parse("7", "x"))
	if len(s.asked) != 8 {
		t.Error("what was closed still counts")
	}
}

// A portal keeps what it was made of, and the next unnamed statement takes that out of the count of statements.
func TestAPortalCountsForAStatementThatNothingElseKeeps(t *testing.T) {
	s := newScript(t)
	s.mustSend(query("begin"))
	s.mustAnswer(done("BEGIN"), ready('T'))
	s.facts = heavy
	made := 0
	for ; made < 20; made++ {
		s.mustSend(join(parse("", "x"), bind(fmt.Sprint(made), "")))
		if s.mustAnswer(parsed()); len(s.asked) != 2*made+3 {
			break
		}
		s.mustAnswer(bound())
	}
	if made != 8 || !refusedWith(s, "54000") { // seven of those before, and the unnamed one
		t.Fatalf("%d portals were made, each of what keeps 10 MiB: %q", made, errorsIn(s.agent))
	}
	s.mustSend(syncMessage())
	s.mustAnswer(ready('E'))
	s.mustSend(query("rollback"))
	s.mustAnswer(done("ROLLBACK"), ready('I'))
	if b := s.engine.shared.portalBytes; b != 0 {
		t.Errorf("%d bytes count although the transaction is over", b)
	}
}

// TestPortalsOfOneStatementCountItOnce: a driver that fetches from many of them is not refused.
func TestPortalsOfOneStatementCountItOnce(t *testing.T) {
	s := newScript(t)
	s.mustSend(query("begin"))
	s.mustAnswer(done("BEGIN"), ready('T'))
	s.facts = heavy
	s.mustSend(parse("s", "x"))
	s.mustAnswer(parsed())
	for i := range 1000 {
		s.mustSend(bind(fmt.Sprint(i), "s"))
		s.mustAnswer(bound())
	}
	s.mustSend(closeStatement("s"))
	s.mustAnswer(closed())
	if statements, portals := s.engine.shared.preparedBytes, s.engine.shared.portalBytes; statements != 0 || portals != 10<<20+nameOverhead+len("sx")+1000*nameOverhead {
		t.Errorf("%d bytes count for statements, %d for portals", statements, portals)
	}
}

// What says how wide rows are hidden takes more than the Bind that asks for them.
func TestWhatIsHiddenInPortalsCounts(t *testing.T) {
	s := maskedScript(t)
	wide := make([]pgproto3.FieldDescription, 1600)
	for i := range wide {
		wide[i] = pgproto3.FieldDescription{Name: []byte("p"), TableOID: 100, TableAttributeNumber: 3, DataTypeOID: 25}
	}
	description := columns(wide...)
	s.mustSend(join(query("begin"), parse("s", "x")))
	s.mustAnswer(done("BEGIN"), ready('T'), parsed())
	made := 0
	for ; made < 10_000; made++ {
		asked := len(s.asked)
		if s.mustSend(bind(fmt.Sprint(made), "s")); len(s.asked) == asked {
			break
		}
		s.mustAnswer(bound(), description)
	}
	if made < 300 || made > 1000 || !refusedWith(s, "54000") {
		t.Fatalf("%d portals with 1,600 hidden columns each: %q", made, errorsIn(s.agent))
	}
	s.mustSend(syncMessage())
	s.mustAnswer(ready('T'))
	before := s.engine.shared.portalBytes
	s.mustSend(execute("7"))
	s.mustAnswer(done("SELECT 0"))
	if after := s.engine.shared.portalBytes; after > before-1600*8 {
		t.Errorf("%d bytes counted before one was executed, %d after", before, after)
	}
}

// What the server has not answered is kept as well, and a batch may have any length before its Sync: it is asked to answer.
func TestABatchWaitsForAnswersBeforeItKeepsTooMuch(t *testing.T) {
	s := newScript(t)
	s.facts = heavy
	var batch []byte
	for range 100 {
		batch = join(batch, parse("", "x"))
	}
	s.mustSend(batch)
	if len(s.asked) != 7 || !s.stalled || kinds(s.server) != "PPPPPPPH" {
		t.Fatalf("asked %d times, stalled %v, the server got %s", len(s.asked), s.stalled, kinds(s.server))
	}
	for range 100 {
		s.mustAnswer(parsed())
		s.mustSend(nil)
	}
	if len(s.asked) != 100 || len(errorsIn(s.agent)) != 0 {
		t.Errorf("asked %d times, %q: each takes the place of the one before", len(s.asked), errorsIn(s.agent))
	}
}

func TestABatchOfPortalsWaitsForAnswersToo(t *testing.T) {
	s := newScript(t)
	s.mustSend(query("begin"))
	s.mustAnswer(done("BEGIN"), ready('T'))
	s.facts = heavy
	var batch []byte
	for i := range 20 {
		batch = join(batch, parse("", "x"), bind(fmt.Sprint(i), ""))
	}
	s.mustSend(batch)
	if !s.stalled || len(s.asked) > 16 {
		t.Fatalf("asked %d times, stalled %v", len(s.asked), s.stalled)
	}
	for next := s.engine.front(); next.refusal == nil; next = s.engine.front() {
		if next.kind == awaitParse {
			s.mustAnswer(parsed())
		} else {
			s.mustAnswer(bound())
		}
		s.mustSend(nil)
	}
	if !refusedWith(s, "54000") {
		t.Errorf("%q", errorsIn(s.agent))
	}
}

func TestQueriesWaitWhileTooMuchIsKnownOfThoseBefore(t *testing.T) {
	s := newScript(t)
	s.facts = heavy
	var all []byte
	for range 20 {
		all = join(all, query("x"))
	}
	s.mustSend(all)
	if len(s.asked) != 7 || !s.stalled {
		t.Fatalf("asked %d times, stalled %v", len(s.asked), s.stalled)
	}
	for range 20 {
		s.mustAnswer(done("SELECT 0"), ready('I'))
		s.mustSend(nil)
	}
	if len(s.asked) != 20 || s.stalled || s.engine.shared.queue.bytes != 0 {
		t.Errorf("asked %d times, stalled %v, %d bytes are counted", len(s.asked), s.stalled, s.engine.shared.queue.bytes)
	}
}

// allSessions bounds what sessions keep together.
type allSessions struct{ used, most int }

func (a *allSessions) ask(more int) error {
	if more > 0 && a.used+more > a.most {
		return errors.New("all is taken")
	}
	a.used += more
	return nil
}

func TestWhatAllSessionsKeepIsBoundedTogether(t *testing.T) {
	const mebibyte = 1 << 20
	all := &allSessions{most: 10*mebibyte + mebibyte/2}
	one, two := newScript(t), newScript(t)
	one.engine.Keeps(all.ask)
	two.engine.Keeps(all.ask)
	text := strings.Repeat("x", mebibyte)
	prepare := func(s *script, name string) {
		s.mustSend(parse(name, text))
		s.mustAnswer(parsed())
	}
	for i := range 8 {
		prepare(one, fmt.Sprint(i))
	}
	for i := range 3 {
		prepare(two, fmt.Sprint(i))
	}
	asked := len(two.asked)
	if two.mustSend(parse("more", "x")); len(two.asked) != asked || !refusedWith(two, "53200") {
		t.Fatalf("more than all may keep was taken, of %d: %q", all.used, errorsIn(two.agent))
	}
	two.mustSend(syncMessage())
	two.mustAnswer(ready('I'))
	if two.mustSend(join(query("begin"), bind("p", "0"))); len(two.asked) != asked+1 {
		t.Fatal("a portal was taken")
	}
	two.mustAnswer(done("BEGIN"), ready('T'), failure("42601", "syntax error", ""))
	// Another session that ends something makes room here.
	one.mustSend(closeStatement("0"))
	one.mustSend(closeStatement("1"))
	one.mustAnswer(closed(), closed())
	two.mustSend(syncMessage())
	two.mustAnswer(ready('E'))
	if prepare(two, "more"); len(two.asked) != asked+2 {
		t.Errorf("there is room, and it was refused, of %d: %q", all.used, errorsIn(two.agent))
	}
	for _, s := range []*script{one, two} {
		if kept := s.engine.shared.preparedBytes + s.engine.shared.portalBytes; kept-s.engine.shared.asked >= keptStep {
			t.Errorf("keeps %d, asked for %d", kept, s.engine.shared.asked)
		}
	}
	// What is small is had whoever else has much.
	all.most = 0
	small := newScript(t)
	small.engine.Keeps(all.ask)
	for i := range 1000 {
		small.mustSend(parse(fmt.Sprint(i), "x"))
		small.mustAnswer(parsed())
	}
	if len(small.asked) != 1000 {
		t.Errorf("asked %d times", len(small.asked))
	}
}
