package engine

import (
	"bytes"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"pgregory.net/rapid"
)

// feed sends bytes in pieces and returns what was asked and what reached the server.
func feed(t testing.TB, b []byte, cuts func(left int) int) (asked []string, server []byte, failed bool) {
	s := newScript(t)
	for len(b) > 0 {
		n := min(max(1, cuts(len(b))), len(b))
		if err := s.send(b[:n]); err != nil {
			return s.asked, s.server, true
		}
		b = b[n:]
	}
	return s.asked, s.server, false
}

func sameHoweverCut(t testing.TB, b []byte, cut func(left int) int) {
	asked, server, failed := feed(t, b, func(left int) int { return left })
	asked2, server2, failed2 := feed(t, b, cut)
	if len(asked) != len(asked2) || !bytes.Equal(server, server2) || failed != failed2 {
		t.Fatalf("cut otherwise it asks %q and sends %q (%v), whole it asks %q and sends %q (%v)", asked2, server2, failed2, asked, server, failed)
	}
	for i := range asked {
		if asked[i] != asked2[i] {
			t.Fatalf("asked %q, then %q", asked[i], asked2[i])
		}
	}
	if bytes.Contains(server, []byte("forbidden")) {
		t.Fatalf("a refused text reached the server: %q", server)
	}
}

// FuzzClient: any bytes of an agent's, cut in any way, give the same questions and the same bytes to the server, and
// nothing of a refused statement gets there.
func FuzzClient(f *testing.F) {
	f.Add(join(query("select 1"), query("forbidden")), byte(3))
	f.Add(join(parse("a", "x"), bind("", "a"), execute(""), closeStatement("a"), syncMessage()), byte(1))
	f.Add(join(parse("", "forbidden"), bind("", ""), execute(""), syncMessage(), query("x")), byte(7))
	f.Add(join(parse("", "copy in"), bind("", ""), execute(""), []byte("d\x00\x00\x00\x06x\n"), syncMessage()), byte(2))
	f.Add([]byte{'Q', 0xff, 0xff, 0xff, 0xff}, byte(1))
	f.Add([]byte{'F', 0, 0, 0, 4, 'X', 0, 0, 0, 4}, byte(2))
	f.Fuzz(func(t *testing.T, b []byte, step byte) {
		sameHoweverCut(t, b, func(int) int { return int(step%13) + 1 })
	})
}

// FuzzServer: any bytes of a server's end in an error or in messages for the agent, and never in a masked value.
func FuzzServer(f *testing.F) {
	description := columns(pgproto3.FieldDescription{Name: []byte("p"), TableOID: 100, TableAttributeNumber: 3, DataTypeOID: 25})
	f.Add(join(description, values("hunter2"), done("SELECT 1"), ready('I')))
	f.Add(join(failure("22P02", "hunter2", "hunter2"), ready('E')))
	f.Add(values("hunter2"))
	f.Add([]byte{'D', 0, 0, 0, 10, 0, 1, 0xff, 0xff, 0xff, 0xfe})
	f.Add(encodeBackend(&pgproto3.NoticeResponse{Severity: "NOTICE", Code: "00000", Message: "hunter2"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := maskedScript(t)
		s.mustSend(query("select"))
		var out Output
		consumed, _, _ := s.engine.Server(b, &out)
		if consumed < 0 || consumed > len(b) {
			t.Fatalf("consumed %d of %d", consumed, len(b))
		}
		for _, p := range out.ToAgent.Parts {
			// A row of which the only column is masked by its origin never shows it.
			if len(p) > 0 && p[0] == 'D' && bytes.HasPrefix(b, description) && bytes.Contains(p, []byte("hunter2")) {
				t.Fatalf("sent %q", p)
			}
		}
	})
}

// TestAnyConversationIsSaneHoweverItIsCut makes conversations of whole messages, which fuzzing seldom finds.
func TestAnyConversationIsSaneHoweverItIsCut(t *testing.T) {
	names := rapid.SampledFrom([]string{"", "a", "b"})
	texts := rapid.SampledFrom([]string{"select 1", "forbidden", "copy in", "insert"})
	message := rapid.Custom(func(t *rapid.T) []byte {
		switch rapid.IntRange(0, 8).Draw(t, "kind") {
		case 0:
			return query(texts.Draw(t, "sql"))
		case 1, 2:
			return parse(names.Draw(t, "name"), texts.Draw(t, "sql"))
		case 3:
			return bind(names.Draw(t, "portal"), names.Draw(t, "name"))
		case 4:
			return execute(names.Draw(t, "portal"))
		case 5:
			return closeStatement(names.Draw(t, "name"))
		case 6:
			return appendFlush(nil)
		case 7:
			return []byte("d\x00\x00\x00\x06x\n")
		}
		return syncMessage()
	})
	rapid.Check(t, func(r *rapid.T) {
		b := join(rapid.SliceOfN(message, 1, 30).Draw(r, "messages")...)
		cuts := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 20).Draw(r, "cuts")
		i := 0
		sameHoweverCut(t, b, func(int) int {
			i++
			return cuts[i%len(cuts)]
		})
	})
}
