package engine

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// script drives an engine as a driver does, with answers made from the text: what has "forbidden" in it is refused.
type script struct {
	t      testing.TB
	engine *Engine
	view   *masking.View
	facts  func(sql string) *sqlfacts.Facts
	// refuses says what is refused; masks are what view was made of.
	refuses func(q *Question) *Refusal
	// again is the grant of an Execute that asks for so many rows, nil where that of Bind counts.
	again func(run *Run, most uint32) *Grant
	masks policies.MaskSet
	// uncertain: what is asked runs by a catalog that only the session sees.
	uncertain bool
	// record is the view of the record, nil if it is that of the agent.
	record *masking.View

	server, agent []byte
	// recorded is what the record holds of agent, copied what it holds of COPY … FROM STDIN.
	recorded, copied []byte
	asked            []string
	notes            []Note
	rest             []byte
	stalled          bool
	closed           bool
	number           uint64
}

func newScript(t testing.TB) *script {
	return &script{t: t, engine: New('I'), view: masking.NewView(policies.MaskSet{}, nil), facts: plainFacts, refuses: forbidden}
}

// plainFacts takes every text for a SELECT of nothing in particular.
func plainFacts(sql string) *sqlfacts.Facts {
	if strings.Contains(sql, "copy in") {
		return &sqlfacts.Facts{Statements: []sqlfacts.Statement{{Text: sql, Kind: sqlfacts.CopyIn}}}
	}
	return &sqlfacts.Facts{Statements: []sqlfacts.Statement{{Text: sql, ReadOnly: true}}}
}

func forbidden(q *Question) *Refusal {
	if strings.Contains(q.Text, "forbidden") {
		return &Refusal{Code: "42501", Message: "refused: " + q.Text, Rule: "test"}
	}
	return nil
}

// send gives bytes from the agent.
func (s *script) send(b []byte) error {
	if s.closed {
		return nil // a driver reads no further
	}
	s.rest = append(s.rest, b...)
	return s.pump()
}

func (s *script) pump() error {
	var out Output
	for {
		step, err := s.engine.Client(s.rest, &out)
		if err != nil {
			s.take(&out)
			return err
		}
		taken := step.Consumed
		if q := step.Question; q != nil {
			s.asked = append(s.asked, stageName(q.Stage)+" "+q.Text)
			if q.Stage == AtExecute {
				var g *Grant
				if msg := s.rest[taken:]; s.again != nil {
					g = s.again(q.Run, binary.BigEndian.Uint32(msg[binary.BigEndian.Uint32(msg[1:])+1-4:]))
				}
				taken += s.engine.Answer(g, nil, &out)
			} else if r := s.refuses(q); r != nil {
				taken += s.engine.Answer(nil, r, &out)
			} else {
				s.number++
				g := &Grant{Number: s.number, Facts: s.facts(q.Text), Agent: s.view, Record: s.view, Uncertain: s.uncertain}
				if s.record != nil {
					g.Record = s.record
				}
				taken += s.engine.Answer(g, nil, &out)
			}
		}
		s.take(&out)
		s.rest = append([]byte(nil), s.rest[taken:]...)
		s.stalled, s.closed = step.Stalled, s.closed || step.Closed
		if step.Question == nil {
			return nil
		}
	}
}

func stageName(st Stage) string { return [...]string{"", "query", "parse", "bind", "execute"}[st] }

// answer gives bytes from the server.
func (s *script) answer(b []byte) error {
	var out Output
	n, _, err := s.engine.Server(b, &out)
	s.take(&out)
	if err == nil && n != len(b) {
		s.t.Fatalf("%d of %d bytes of the server's were taken", n, len(b))
	}
	return err
}

func (s *script) mustSend(b []byte) {
	s.t.Helper()
	if err := s.send(b); err != nil {
		s.t.Fatal(err)
	}
}

func (s *script) mustAnswer(b ...[]byte) {
	s.t.Helper()
	for _, one := range b {
		if err := s.answer(one); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *script) take(out *Output) {
	for _, p := range out.ToServer.Parts {
		s.server = append(s.server, p...)
	}
	for _, p := range out.ToAgent.Parts {
		s.agent = append(s.agent, p...)
	}
	record := &out.ToAgent
	if out.Dual {
		record = &out.ForRecord
	}
	for _, p := range record.Parts {
		s.recorded = append(s.recorded, p...)
	}
	for _, p := range out.FromAgent.Parts {
		s.copied = append(s.copied, p...)
	}
	s.notes = append(s.notes, out.Notes...)
	out.Reset()
}

// kinds are the types of the messages in b.
func kinds(b []byte) string {
	var out []byte
	for len(b) >= 5 {
		out = append(out, b[0])
		b = b[1+binary.BigEndian.Uint32(b[1:]):]
	}
	return string(out)
}

// errorsIn are the codes and messages of the errors in b.
func errorsIn(b []byte) (out []string) {
	for len(b) >= 5 {
		size := int(binary.BigEndian.Uint32(b[1:])) + 1
		if b[0] == 'E' {
			var e pgproto3.ErrorResponse
			if e.Decode(b[5:size]) == nil {
				out = append(out, e.Code+" "+e.Message)
			}
		}
		b = b[size:]
	}
	return out
}

// Messages of the agent.

func query(sql string) []byte { return appendQuery(nil, sql) }

func parse(name, sql string) []byte {
	return appendParse(nil, name, sql)
}
func bind(portal, statement string) []byte { return appendBind(nil, portal, statement) }
func execute(portal string) []byte         { return appendExecute(nil, portal) }
func closeStatement(name string) []byte    { return appendClose(nil, 'S', name) }
func syncMessage() []byte                  { return appendSync(nil) }

func join(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// Messages of the server.

func encodeBackend(m pgproto3.BackendMessage) []byte {
	b, err := m.Encode(nil)
	if err != nil {
		panic(err)
	}
	return b
}

func parsed() []byte { return []byte{'1', 0, 0, 0, 4} }
func bound() []byte  { return []byte{'2', 0, 0, 0, 4} }
func closed() []byte { return []byte{'3', 0, 0, 0, 4} }
func ready(status byte) []byte {
	return []byte{'Z', 0, 0, 0, 5, status}
}

func done(tag string) []byte {
	return encodeBackend(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
}

func failure(code, message, detail string) []byte {
	return encodeBackend(&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: message, Detail: detail})
}

func columns(fields ...pgproto3.FieldDescription) []byte {
	return encodeBackend(&pgproto3.RowDescription{Fields: fields})
}

func values(v ...string) []byte {
	row := &pgproto3.DataRow{}
	for _, one := range v {
		row.Values = append(row.Values, []byte(one))
	}
	return encodeBackend(row)
}

// catalog has one table, public.customers (OID 100), with id, name and password.
type catalog struct{}

var customers = &sqlfacts.Relation{OID: 100, Schema: "public", Name: "customers", Kind: 'r', Columns: []sqlfacts.Column{
	{Number: 1, Name: "id", TypeOID: 23}, {Number: 2, Name: "name", TypeOID: 25}, {Number: 3, Name: "password", TypeOID: 25},
}}

func (catalog) Version() uint64 { return 1 }
func (catalog) Relation(_, name string) (*sqlfacts.Relation, error) {
	if name == "customers" {
		return customers, nil
	}
	return nil, nil
}

func (catalog) RelationByOID(oid uint32) (*sqlfacts.Relation, error) {
	if oid == 100 {
		return customers, nil
	}
	return nil, nil
}
func (catalog) Functions(string, string) ([]sqlfacts.Function, error) { return nil, nil }
func (catalog) Operators(string) ([]sqlfacts.Operator, error)         { return nil, nil }
func (catalog) Type(string, string) (*sqlfacts.Type, error)           { return nil, nil }
func (catalog) UserCasts() bool                                       { return false }
func (catalog) TypeByOID(uint32) (*sqlfacts.Type, error)              { return nil, nil }
func (catalog) DefinitionCalls() []string                             { return nil }

// maskedScript masks public.customers.password.
func maskedScript(t testing.TB) *script {
	return scriptWith(t, &policyv1.Mask{Columns: []string{"public.customers.password"}})
}

// searchingScript finds GitHub's tokens everywhere.
func searchingScript(t testing.TB) *script {
	return scriptWith(t, &policyv1.Mask{Detect: []string{"github-token"}})
}

func scriptWith(t testing.TB, mask *policyv1.Mask) *script {
	mask.Name, mask.On = "secrets", &policyv1.MaskOn{Targets: []string{"t"}}
	mask.Kind = &policyv1.Mask_Redact{Redact: &policyv1.Redact{}}
	s := newScript(t)
	p, err := policies.Compile(&policyv1.Bundle{
		Issuers: []*policyv1.Issuer{{Name: "corp", Url: "https://idp.example", Audiences: []string{"a"}}},
		Targets: []*policyv1.Target{{
			Name: "t", Listener: &policyv1.Listener{Address: "127.0.0.1", Port: 1},
			Protocol: &policyv1.Target_Postgres{Postgres: &policyv1.Postgres{
				Endpoints: []*policyv1.Endpoint{{Host: "localhost", Port: 1}}, Database: "d",
			}},
			Credential: &policyv1.Credential{Kind: &policyv1.Credential_Static{Static: &policyv1.StaticCredential{
				Username: "u", Password: &policyv1.DataSource{Source: &policyv1.DataSource_Env{Env: "X"}},
			}}},
		}},
		Masks: []*policyv1.Mask{mask},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.masks = p.Masks(nil, "t")
	s.view = masking.NewView(s.masks, catalog{})
	s.facts = func(sql string) *sqlfacts.Facts {
		f := plainFacts(sql)
		f.Statements[0].Relations = []*sqlfacts.Relation{customers}
		return f
	}
	return s
}
