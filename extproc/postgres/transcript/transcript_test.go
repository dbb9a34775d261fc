package transcript

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/record/transcript"
)

var update = flag.Bool("update", false, "write the golden files")

// encode lays messages out as they stand on the wire.
func encode(t testing.TB, messages ...pgproto3.BackendMessage) []byte {
	t.Helper()
	var out []byte
	for _, m := range messages {
		var err error
		if out, err = m.Encode(out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func field(name string, oid uint32, format int16) pgproto3.FieldDescription {
	return pgproto3.FieldDescription{Name: []byte(name), DataTypeOID: oid, Format: format}
}

func rowDescription(fields ...pgproto3.FieldDescription) *pgproto3.RowDescription {
	return &pgproto3.RowDescription{Fields: fields}
}

func dataRow(values ...[]byte) *pgproto3.DataRow { return &pgproto3.DataRow{Values: values} }

func text(values ...string) *pgproto3.DataRow {
	row := &pgproto3.DataRow{}
	for _, v := range values {
		row.Values = append(row.Values, []byte(v))
	}
	return row
}

func done(tag string) *pgproto3.CommandComplete {
	return &pgproto3.CommandComplete{CommandTag: []byte(tag)}
}

func toAgent(b []byte) *recordv1.Event {
	return &recordv1.Event{Kind: &recordv1.Event_Data{Data: &recordv1.Data{Direction: recordv1.Data_TO_AGENT, Bytes: b}}}
}

// session is a recorded session with one of everything.
func session(t testing.TB) []*recordv1.Event {
	t.Helper()
	alice := &identityv1.Principal{Issuer: "corp", Subject: "alice", Kind: identityv1.Principal_HUMAN}
	start := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	approval := &approvalv1.Approval{Id: "01ABC", ExpiresAt: timestamppb.New(start.Add(time.Minute)), State: approvalv1.State_PENDING}
	decided := &approvalv1.Approval{Id: "01ABC", State: approvalv1.State_APPROVED, Votes: []*approvalv1.Vote{
		{Voter: alice, Choice: approvalv1.Vote_APPROVE, At: timestamppb.New(start.Add(30 * time.Second)), Reason: "looks\nright"},
		{Voter: &identityv1.Principal{Issuer: "corp", Subject: "bob\u202e"}, Choice: approvalv1.Vote_REJECT, At: timestamppb.New(start.Add(31 * time.Second))},
	}}
	events := []*recordv1.Event{
		{Kind: &recordv1.Event_SessionStart{SessionStart: &recordv1.SessionStart{
			Principal: &identityv1.Principal{Issuer: "corp", Subject: "agent", Kind: identityv1.Principal_MACHINE}, ClientAddress: "127.0.0.1:5",
			Target: "orders", Database: "orders", Role: "orders_app", BundleVersion: "0123456789abcdef",
		}}},
		{Kind: &recordv1.Event_Statement{Statement: &recordv1.Statement{Number: 1, Text: "select id, name, password\nfrom customers\n10:00:00.000 #9 drop table x"}}},
		{Kind: &recordv1.Event_Decision{Decision: &recordv1.Decision{Number: 1, Verdict: recordv1.Decision_ALLOW, Rules: []string{"agents-read"}, Masks: []string{"secrets", "mail\x1b"}, BundleVersion: "0123456789abcdef"}}},
		{Kind: &recordv1.Event_Execution{Execution: &recordv1.Execution{Number: 1}}},
		toAgent(encode(
			t,
			&pgproto3.ParameterStatus{Name: "TimeZone", Value: "UTC"},
			rowDescription(field("id", 23, 1), field("name", 25, 0), field("password", 25, 0), field("raw", 17, 1), field("ok", 16, 1), field("big", 20, 1), field("small", 21, 1)),
			dataRow([]byte{0, 0, 0, 7}, []byte("Ann"), []byte("[masked]"), []byte{0xde, 0xad}, []byte{1}, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe}, []byte{0, 9}),
			dataRow([]byte{0xff, 0xff, 0xff, 0xff}, []byte("B\x1b[31m\u202eob\tx\ny"), nil, nil, []byte{0}, nil, nil),
			dataRow([]byte{1, 2}, []byte("\xff\xfe"), []byte("漢字"), nil, nil, nil, nil),
			done("SELECT 3"),
			&pgproto3.NoticeResponse{Severity: "NOTICE", Code: "00000", Message: "held for approval: 01ABC", Detail: "Rule writes.", Hint: "sluice approve 01ABC"},
			&pgproto3.NotificationResponse{PID: 7, Channel: "jobs", Payload: "done\x07"},
			&pgproto3.ReadyForQuery{TxStatus: 'I'},
		)),
		{Kind: &recordv1.Event_Outcome{Outcome: &recordv1.Outcome{Number: 1, CommandTag: "SELECT 3", Rows: 3, Bytes: 120, Took: durationpb.New(1500 * time.Microsecond)}}},
		{Kind: &recordv1.Event_Statement{Statement: &recordv1.Statement{Number: 2, Text: "delete from orders where id = $1", Parameters: []*approvalv1.Parameter{{Type: "int4", Value: "7"}, {IsNull: true}, {Value: "a\n$9 = b"}}}}},
		{Kind: &recordv1.Event_Decision{Decision: &recordv1.Decision{Number: 2, Verdict: recordv1.Decision_HOLD, Rules: []string{"writes", "more"}, BundleVersion: "0123456789abcdef"}}},
		{Kind: &recordv1.Event_HoldStart{HoldStart: &recordv1.HoldStart{Number: 2, Approval: approval}}},
		{Kind: &recordv1.Event_HoldEnd{HoldEnd: &recordv1.HoldEnd{Number: 2, Approval: decided}}},
		{Kind: &recordv1.Event_Execution{Execution: &recordv1.Execution{Number: 2, ApprovalId: "01ABC"}}},
		toAgent(encode(t, done("DELETE 1"))),
		{Kind: &recordv1.Event_Statement{Statement: &recordv1.Statement{Number: 3, Text: "drop table x"}}},
		{Kind: &recordv1.Event_Decision{Decision: &recordv1.Decision{Number: 3, Verdict: recordv1.Decision_DENY, BundleVersion: "short\x1b", Code: "42501", Message: "No\ndropping."}}},
		toAgent(encode(t, &pgproto3.ErrorResponse{Severity: "ERROR", Code: "42501", Message: "No dropping."})),
		{Kind: &recordv1.Event_Outcome{Outcome: &recordv1.Outcome{Number: 3, Code: "42501", Message: "No dropping."}}},
		toAgent(encode(t, &pgproto3.CopyOutResponse{}, &pgproto3.CopyData{Data: []byte("1\tx\n")}, &pgproto3.CopyDone{}, done("COPY 1"))),
		{Kind: &recordv1.Event_Data{Data: &recordv1.Data{Direction: recordv1.Data_FROM_AGENT, Bytes: []byte("12345")}}},
		toAgent(encode(t, rowDescription(field("a", 25, 0)), text("a row before the end"))),
		{},
		{Kind: &recordv1.Event_SessionEnd{SessionEnd: &recordv1.SessionEnd{Reason: "the client ended it\r"}}},
	}
	for i, e := range events {
		e.At = timestamppb.New(start.Add(time.Duration(i) * 100 * time.Millisecond))
	}
	return events
}

func write(t testing.TB, events []*recordv1.Event) string {
	t.Helper()
	var out bytes.Buffer
	w := transcript.NewWriter(&out, New)
	for _, e := range events {
		if err := w.Event(e); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestATranscriptReadsAsTheSessionWas(t *testing.T) {
	got := write(t, session(t))
	path := filepath.Join("testdata", "session.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestNothingInATranscriptControlsATerminal(t *testing.T) {
	for _, r := range write(t, session(t)) {
		if transcript.Escape(string(r)) != string(r) {
			t.Errorf("%U", r)
		}
	}
}

func TestFormatsAreThoseOfTheStatementThatAnswers(t *testing.T) {
	ask := func(number uint64, s *recordv1.Statement) []*recordv1.Event {
		s.Number = number
		return []*recordv1.Event{
			{Kind: &recordv1.Event_Statement{Statement: s}},
			{Kind: &recordv1.Event_Execution{Execution: &recordv1.Execution{Number: number}}},
		}
	}
	number := dataRow([]byte{0, 0, 0, 7})
	described := rowDescription(field("id", 23, 0))
	var events []*recordv1.Event
	events = append(events, ask(1, &recordv1.Statement{Protocol: recordv1.Statement_SIMPLE})...)
	events = append(events, ask(2, &recordv1.Statement{Protocol: recordv1.Statement_EXTENDED, ResultFormats: []uint32{1}})...)
	events = append(events, ask(3, &recordv1.Statement{Protocol: recordv1.Statement_EXTENDED})...)
	events = append(events, toAgent(encode(
		t, &pgproto3.EmptyQueryResponse{}, described, number, done("SELECT 1"), described, text("8"), done("SELECT 1"),
	)))
	got := write(t, events)
	if !strings.Contains(got, "  7\n") || !strings.Contains(got, "  8\n") {
		t.Error(got)
	}
}

func TestMessagesMaySplitOverEventsAnywhere(t *testing.T) {
	stream := encode(
		t, rowDescription(field("id", 23, 1), field("name", 25, 0)),
		dataRow([]byte{0, 0, 0, 7}, []byte("Ann")), dataRow(nil, []byte("B")), done("SELECT 2"),
		&pgproto3.ErrorResponse{Severity: "ERROR", Code: "42501", Message: "no", Detail: "d", Hint: "h"},
	)
	want := write(t, []*recordv1.Event{toAgent(stream)})
	if !strings.Contains(want, "SELECT 2") || !strings.Contains(want, "HINT: h") {
		t.Fatal(want)
	}
	for i := range stream {
		for _, j := range []int{i, min(i+1, len(stream)), len(stream)} {
			if got := write(t, []*recordv1.Event{toAgent(stream[:i]), toAgent(stream[i:j]), toAgent(stream[j:])}); got != want {
				t.Fatalf("split at %d and %d:\n%s", i, j, got)
			}
		}
	}
	single := make([]*recordv1.Event, len(stream))
	for i := range stream {
		single[i] = toAgent(stream[i : i+1])
	}
	if got := write(t, single); got != want {
		t.Errorf("byte by byte:\n%s", got)
	}
}

func TestAMessageTooLargeToShowIsSaidToBe(t *testing.T) {
	large := encode(t, text(strings.Repeat("x", 2*maxMessage)))
	var events []*recordv1.Event
	for rest := append(large, encode(t, done("SELECT 1"))...); len(rest) > 0; {
		n := min(len(rest), 100_000)
		events = append(events, toAgent(rest[:n]))
		rest = rest[n:]
	}
	if got := write(t, events); !strings.Contains(got, "is not shown") || !strings.Contains(got, "SELECT 1") || len(got) > 1000 {
		t.Errorf("%d bytes: %.300s", len(got), got)
	}
}

func TestRowsAreNotKeptWithoutBound(t *testing.T) {
	var out bytes.Buffer
	s := screen{out: &out}
	s.data(encode(t, rowDescription(field("a", 25, 0))))
	row := encode(t, text(strings.Repeat("x", 100_000)))
	for range 100 {
		s.data(row)
		if s.size > 2*tableBytes || len(s.rows) > tableRows {
			t.Fatalf("%d rows of %d bytes are kept", len(s.rows), s.size)
		}
	}
}

func TestMalformedMessagesAreLeftOutQuickly(t *testing.T) {
	began := time.Now()
	for name, stream := range map[string][]byte{
		"a length of nothing":       {'D', 0, 0, 0, 3, 1},
		"a negative length":         {'D', 0xff, 0xff, 0xff, 0xff},
		"a row without a count":     {'D', 0, 0, 0, 5, 1},
		"a row of 65,535 columns":   {'D', 0, 0, 0, 6, 0xff, 0xff},
		"a length past the row":     {'D', 0, 0, 0, 10, 0, 1, 0, 0, 0, 9},
		"a negative value":          {'D', 0, 0, 0, 10, 0, 1, 0x80, 0, 0, 0},
		"a description cut off":     {'T', 0, 0, 0, 8, 0, 1, 'a', 0},
		"an error without an end":   {'E', 0, 0, 0, 6, 'M', 'x'},
		"an empty error":            {'E', 0, 0, 0, 4},
		"a notification cut off":    {'A', 0, 0, 0, 6, 0, 0},
		"a million fields":          message('E', bytes.Repeat([]byte("ab\x00"), 300_000)),
		"a million columns":         message('T', append([]byte{0xff, 0xff}, bytes.Repeat([]byte{0}, 1_000_000)...)),
		"rows of different lengths": append(encode(t, text("a"), text("a", "b"), text()), encode(t, done("X"))...),
		"no description":            encode(t, text("a", "b"), done("SELECT 1")),
	} {
		t.Run(name, func(t *testing.T) { write(t, []*recordv1.Event{toAgent(stream), {}}) })
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func message(kind byte, body []byte) []byte {
	n := len(body) + 4
	return append([]byte{kind, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

// full takes so many bytes, then none.
type full struct{ room int }

func (f *full) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}

var errFull = errors.New("full")

func TestTheFirstErrorOfTheOutputIsKept(t *testing.T) {
	w := transcript.NewWriter(&full{room: 50}, New)
	var err error
	for _, e := range session(t) {
		err = w.Event(e)
	}
	if !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

func FuzzScreen(f *testing.F) {
	for _, e := range session(f) {
		if e.GetData() != nil {
			f.Add(e.GetData().GetBytes(), uint16(7))
		}
	}
	f.Add([]byte{'D', 0xff, 0xff, 0xff, 0xff}, uint16(1))
	f.Add(message('T', []byte{0xff, 0xff, 'a', 0}), uint16(3))
	f.Fuzz(func(t *testing.T, stream []byte, at uint16) {
		i := min(int(at), len(stream))
		got := write(t, []*recordv1.Event{toAgent(stream[:i]), toAgent(stream[i:]), {}})
		for _, r := range got {
			if transcript.Escape(string(r)) != string(r) {
				t.Fatalf("%U in %q", r, got)
			}
		}
	})
}
