package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// refusedWith reports whether the only error is of that SQLSTATE.
func refusedWith(s *script, code string) bool {
	s.mustAnswer(failure("42601", "syntax error", ""))
	found := errorsIn(s.agent)
	return len(found) == 1 && strings.HasPrefix(found[0], code)
}

func TestAStatementOfAMebibyteIsJudged(t *testing.T) {
	text := strings.Repeat("x", 1<<20)
	for name, msg := range map[string][]byte{"Query": query(text), "Parse": parse("", text)} {
		s := newScript(t)
		s.mustSend(msg)
		if len(s.asked) != 1 {
			t.Errorf("%s: asked %d times", name, len(s.asked))
		}
	}
}

// A message of exactly its limit is waited for; one byte more is an error before any of it is kept.
func TestMessagesOfTheServersHaveALimit(t *testing.T) {
	head := func(kind byte, size int) []byte {
		return binary.BigEndian.AppendUint32([]byte{kind}, uint32(size-1))
	}
	for name, c := range map[string]struct {
		in    string
		kind  byte
		limit int
	}{
		"a description":      {"Query", 'T', 4 << 20},
		"an error":           {"Query", 'E', 4 << 20},
		"a row that is read": {"described Query", 'D', 64 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			var out Output
			consumed, need, err := asking(t)[c.in]().engine.Server(head(c.kind, c.limit), &out)
			if consumed != 0 || need != c.limit || err != nil {
				t.Errorf("at the limit: consumed %d, need %d, %v", consumed, need, err)
			}
			_, _, err = asking(t)[c.in]().engine.Server(head(c.kind, c.limit+1), &out)
			if v, ok := errors.AsType[*ProtocolError](err); !ok || v.Code != "54000" {
				t.Errorf("above the limit: %v", err)
			}
		})
	}
	// What nothing reads may have any length that the protocol has.
	var out Output
	s := asking(t)["Query"]()
	if _, _, err := s.engine.Server(append(head('D', 1<<30), 0, 1), &out); err != nil || s.engine.Whole() {
		t.Errorf("a row of a gibibyte: %v, whole %v", err, s.engine.Whole())
	}
	if _, _, err := asking(t)["Query"]().engine.Server(head('D', 1<<30+1), &out); !isViolation(err, "server") {
		t.Errorf("a longer one: %v", err)
	}
}

func TestPreparedStatementsAreCounted(t *testing.T) {
	s := newScript(t)
	for i := range 10_000 {
		s.mustSend(parse(fmt.Sprint(i), "x"))
		s.mustAnswer(parsed())
	}
	if len(s.asked) != 10_000 {
		t.Fatalf("asked %d times", len(s.asked))
	}
	s.mustSend(parse("more", "x"))
	if len(s.asked) != 10_000 || !refusedWith(s, "54000") {
		t.Fatalf("one more than 10,000 was taken: %q", errorsIn(s.agent))
	}
	s.mustSend(join(syncMessage(), closeStatement("7")))
	s.mustAnswer(ready('I'), closed())
	s.mustSend(parse("more", "x"))
	if len(s.asked) != 10_001 {
		t.Error("a closed one still counts")
	}
}

func TestTheTextOfPreparedStatementsIsBounded(t *testing.T) {
	const mebibyte = 1 << 20
	s := newScript(t)
	text := strings.Repeat("x", mebibyte-nameOverhead-2)
	prepare := func(name string) {
		s.mustSend(parse(name, text))
		s.mustAnswer(parsed())
	}
	for range 80 { // each takes the place of the one before
		prepare("00")
	}
	for i := range 63 {
		prepare(fmt.Sprintf("%02d", i+1))
	}
	prepare("64") // it stood at the bound, and not above it
	asked := len(s.asked)
	s.mustSend(parse("65", "x"))
	if len(s.asked) != asked || !refusedWith(s, "54000") {
		t.Fatalf("more than 64 MiB were taken: %q", errorsIn(s.agent))
	}
	s.mustSend(join(syncMessage(), closeStatement("00"), closeStatement("64")))
	s.mustAnswer(ready('I'), closed(), closed())
	prepare("65")
	if len(s.asked) != asked+1 {
		t.Error("what was closed still counts")
	}
}

func TestNamesAndTypesOfPreparedStatementsCountAsTheirText(t *testing.T) {
	s := newScript(t)
	types := make([]uint32, 1000)
	s.mustSend(frontend(t, &pgproto3.Parse{Name: "name", Query: "select", ParameterOIDs: types}))
	s.mustAnswer(parsed())
	if got, want := s.engine.shared.preparedBytes, 4*len(types)+len("name")+len("select")+nameOverhead; got != want {
		t.Errorf("counted %d bytes, it has %d", got, want)
	}
}

func TestPortalsAreCounted(t *testing.T) {
	s := newScript(t)
	s.mustSend(join(query("begin"), parse("s", "x")))
	s.mustAnswer(done("BEGIN"), ready('T'), parsed())
	for i := range 10_000 {
		s.mustSend(bind(fmt.Sprint(i), "s"))
		s.mustAnswer(bound())
	}
	asked := len(s.asked)
	s.mustSend(bind("more", "s"))
	if asked != 10_002 || len(s.asked) != asked || !refusedWith(s, "54000") {
		t.Fatalf("asked %d times, then %d: %q", asked, len(s.asked), errorsIn(s.agent))
	}
	// They end with their transaction.
	s.mustSend(syncMessage())
	s.mustAnswer(ready('I'))
	s.mustSend(bind("more", "s"))
	if len(s.asked) != asked+1 {
		t.Error("portals of a transaction that is over still count")
	}
}

func TestAnAgentThatReadsNoAnswersWaits(t *testing.T) {
	for name, next := range map[string][]byte{
		"Parse": parse("", "x"), "Bind": bind("", "s"), "Execute": execute("p"), "Close": closeStatement("s"),
		"Describe": frontend(t, &pgproto3.Describe{ObjectType: 'S', Name: "s"}),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.mustSend(join(parse("s", "x"), bind("p", "s"), syncMessage()))
			s.mustAnswer(parsed(), bound(), ready('T'))
			var all []byte
			for range 1<<16 - 1 {
				all = appendClose(all, 'S', "other")
			}
			s.mustSend(all)
			s.mustSend(closeStatement("other")) // the last that has room
			if s.stalled {
				t.Fatal("it waits too early")
			}
			s.mustSend(next)
			if !s.stalled {
				t.Fatal("it goes on")
			}
			s.mustAnswer(closed())
			select {
			case <-s.engine.Progress():
			default:
				t.Fatal("nobody says that there is room")
			}
			s.mustSend(nil)
			if s.stalled {
				t.Error("it waits on")
			}
		})
	}
}
