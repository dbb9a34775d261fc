package engine

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// message has a header of its body's length.
func message(kind byte, body []byte) []byte {
	return appendMessage(nil, kind, func(b []byte) []byte { return append(b, body...) })
}

// misshapen are a message's body cut at each length, and with a byte too many, each with a header that fits.
func misshapen(msg []byte) (out [][]byte) {
	kind, body := msg[0], msg[headerSize:]
	for n := range body {
		out = append(out, message(kind, body[:n]))
	}
	return append(out, message(kind, append(body[:len(body):len(body)], 0)))
}

// isViolation reports whether an error says that a peer does not speak the protocol.
func isViolation(err error, peer string) bool {
	v, ok := errors.AsType[*ProtocolError](err)
	return ok && v.Peer == peer && v.Code == "08P01" && strings.HasPrefix(err.Error(), peer+": ")
}

// fullBind has everything that a Bind can have.
func fullBind(t *testing.T) []byte {
	return frontend(t, &pgproto3.Bind{
		DestinationPortal: "p", PreparedStatement: "s",
		ParameterFormatCodes: []int16{0, 1, 1, 0}, Parameters: [][]byte{nil, {}, []byte("x"), []byte("long")},
		ResultFormatCodes: []int16{1},
	})
}

func TestAMessageOfTheAgentsThatIsNotWholeEndsTheSession(t *testing.T) {
	for name, msg := range map[string][]byte{
		"Query":    query("select 1"),
		"Parse":    frontend(t, &pgproto3.Parse{Name: "n", Query: "x", ParameterOIDs: []uint32{23, 25}}),
		"Bind":     fullBind(t),
		"Execute":  execute("p"),
		"Describe": appendDescribePortal(nil, []byte("p")),
		"Close":    closeStatement("s"),
	} {
		t.Run(name, func(t *testing.T) {
			ready := func() *script {
				s := newScript(t)
				s.mustSend(parse("s", "x"))
				s.mustAnswer(parsed())
				return s
			}
			ready().mustSend(msg)
			for _, bad := range misshapen(msg) {
				if err := ready().send(bad); !isViolation(err, "client") {
					t.Errorf("%q: %v", bad, err)
				}
			}
		})
	}
}

func TestALengthBelowItsOwnIsTold(t *testing.T) {
	err := newScript(t).send([]byte{'S', 0, 0, 0, 3})
	if err == nil || err.Error() != `client: message 'S' with length 3` {
		t.Errorf("got %v", err)
	}
}

func TestAValueWithANegativeLengthIsNoNull(t *testing.T) {
	bind := fullBind(t)
	at := strings.Index(string(bind), "\xff\xff\xff\xff")
	binary.BigEndian.PutUint32(bind[at:], 0xfffffffe)
	s := newScript(t)
	s.mustSend(parse("s", "x"))
	if err := s.send(bind); !isViolation(err, "client") {
		t.Errorf("got %v", err)
	}
}

// asking are scripts that wait for an answer of one kind.
func asking(t *testing.T) map[string]func() *script {
	plain := func(masked func(testing.TB) *script, messages ...[]byte) func() *script {
		return func() *script {
			s := masked(t)
			s.mustSend(join(messages...))
			return s
		}
	}
	extended := join(parse("", "x"), bind("", ""), execute(""), syncMessage())
	return map[string]func() *script{
		"nothing":       plain(newScript),
		"Parse":         plain(newScript, parse("", "x")),
		"refused Parse": plain(newScript, parse("", "forbidden")),
		"refused Query": plain(newScript, query("forbidden")),
		"Sync":          plain(newScript, syncMessage()),
		"Query":         plain(newScript, query("x")),
		"masked Query":  plain(maskedScript, query("x")),
		"Describe":      plain(newScript, frontend(t, &pgproto3.Describe{ObjectType: 'S', Name: "s"})),
		"Bind": func() *script {
			s := plain(newScript, extended)()
			s.mustAnswer(parsed())
			return s
		},
		"Execute": func() *script {
			s := plain(newScript, extended)()
			s.mustAnswer(parsed(), bound())
			return s
		},
		"masked Execute": func() *script {
			s := plain(maskedScript, extended)()
			s.mustAnswer(parsed(), bound(), tokens())
			return s
		},
		// Rows of it come from nothing masked, as far as its text says.
		"untouched Query": func() *script {
			s := maskedScript(t)
			s.facts = plainFacts
			s.mustSend(query("x"))
			return s
		},
		"described Query": func() *script {
			s := maskedScript(t)
			s.mustSend(query("x"))
			s.mustAnswer(passwords())
			return s
		},
		"COPY": func() *script {
			s := maskedScript(t)
			s.facts = copyFacts(customers)
			s.mustSend(query("copy"))
			return s
		},
	}
}

// copyFacts takes a text for COPY … TO STDOUT of relations, one after the other.
func copyFacts(relations ...*sqlfacts.Relation) func(string) *sqlfacts.Facts {
	return func(sql string) *sqlfacts.Facts {
		f := &sqlfacts.Facts{}
		for _, rel := range relations {
			f.Statements = append(f.Statements, sqlfacts.Statement{
				Text: sql, Kind: sqlfacts.CopyOut, Relations: []*sqlfacts.Relation{rel},
				Copy: &sqlfacts.Copy{Relation: rel, Columns: rel.Columns, Delimiter: '\t', Null: `\N`},
			})
		}
		return f
	}
}

// passwords describes id and password of public.customers; the latter is what maskedScript masks.
func passwords() []byte {
	return columns(
		pgproto3.FieldDescription{Name: []byte("id"), TableOID: 100, TableAttributeNumber: 1, DataTypeOID: 23},
		pgproto3.FieldDescription{Name: []byte("password"), TableOID: 100, TableAttributeNumber: 3, DataTypeOID: 25},
	)
}

func TestAMessageOfTheServersThatIsNotWholeEndsTheSession(t *testing.T) {
	for name, c := range map[string]struct {
		in  string
		msg []byte
	}{
		"ReadyForQuery":                      {"Sync", ready('I')},
		"ParameterDescription":               {"Describe", encodeBackend(&pgproto3.ParameterDescription{ParameterOIDs: []uint32{23, 25}})},
		"no parameters":                      {"Describe", encodeBackend(&pgproto3.ParameterDescription{})},
		"RowDescription":                     {"masked Query", passwords()},
		"RowDescription of what seemed free": {"untouched Query", passwords()},
		"a column without a name":            {"untouched Query", columns(pgproto3.FieldDescription{DataTypeOID: 25})},
		"DataRow":                            {"described Query", values("1", "hunter2")},
		"ErrorResponse":                      {"Query", failure("22012", "division by zero", "x")},
		"ErrorResponse of its own accord":    {"nothing", failure("57P01", "shutting down", "")},
	} {
		t.Run(name, func(t *testing.T) {
			begin := asking(t)[c.in]
			begin().mustAnswer(c.msg)
			for _, bad := range misshapen(c.msg) {
				s := begin()
				err := s.answer(bad)
				if v, ok := errors.AsType[*ProtocolError](err); !ok || v.Peer != "server" {
					t.Errorf("%q: %v", bad, err)
				}
				if strings.Contains(string(s.agent), "hunter2") {
					t.Errorf("%q: sent %q", bad, s.agent)
				}
			}
		})
	}
}

func TestACopyMustSayHowManyColumnsCome(t *testing.T) {
	for _, body := range [][]byte{{}, {0}, {0, 0}} {
		if err := asking(t)["COPY"]().answer(message('H', body)); !isViolation(err, "server") {
			t.Errorf("%q: %v", body, err)
		}
	}
	// A table may have none.
	s := maskedScript(t)
	s.facts = copyFacts(&sqlfacts.Relation{OID: 101, Schema: "public", Name: "empty", Kind: 'r'})
	s.mustSend(query("copy"))
	s.mustAnswer(copyOut(0), copyData("\n"), message('c', nil), done("COPY 1"), ready('I'))
	if got := kinds(s.agent); got != "HdcCZ" {
		t.Errorf("got %s", got)
	}
}

func TestAnAnswerThatNothingAskedForEndsTheSession(t *testing.T) {
	answers := map[string][]byte{
		"1": parsed(), "2": bound(), "3": closed(), "C": done("SELECT 1"), "Z": ready('I'), "D": values("hunter2"), "T": tokens(),
		"t": encodeBackend(&pgproto3.ParameterDescription{}), "n": message('n', nil), "I": message('I', nil), "s": message('s', nil),
		"d": copyData("hunter2\n"), "G": encodeBackend(&pgproto3.CopyInResponse{}), "H": copyOut(1), "c": message('c', nil),
		"!": message('!', nil), "V": message('V', []byte{0, 0, 0, 0}),
	}
	for state, kinds := range map[string]string{
		"nothing":        "1 2 3 C Z D T t n I s d G H c ! V",
		"Parse":          "2 3 C Z D T t n I s d G H c !",
		"refused Parse":  "1 2 3 Z D t d G H c !",
		"refused Query":  "1 2 3 D t d G H c !",
		"Sync":           "1 2 3 C D T t n I s d G H c !",
		"Query":          "1 2 3 t G H !",
		"masked Query":   "1 2 3 D t d G H !",
		"Bind":           "1 3 C Z T t n I s G H !",
		"Execute":        "1 2 3 Z T t n G H !",
		"masked Execute": "1 2 3 Z T t n d G H !",
		"COPY":           "1 2 3 T D t d G !",
	} {
		for kind := range strings.SplitSeq(kinds, " ") {
			t.Run(state+" "+kind, func(t *testing.T) {
				s := asking(t)[state]()
				if err := s.answer(answers[kind]); err == nil {
					t.Error("it was taken")
				}
				if strings.Contains(string(s.agent), "hunter2") {
					t.Errorf("sent %q", s.agent)
				}
			})
		}
	}
}
