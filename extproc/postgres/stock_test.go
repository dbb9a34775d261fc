package postgres

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
)

// keeps is a recording that copies what it is given: events are the session's again afterwards.
type keeps struct {
	Recording
	events []*recordv1.Event
}

func (k *keeps) Append(_ bool, events ...*recordv1.Event) error {
	for _, e := range events {
		k.events = append(k.events, proto.CloneOf(e))
	}
	return nil
}

func (k *keeps) AppendData(events []*recordv1.Event, _ recordv1.Data_Direction, _ uint64, _ ...[]byte) error {
	return k.Append(false, events...)
}

func TestAnEventHasNothingOfTheOneThatWasWrittenBefore(t *testing.T) {
	k := &keeps{}
	s := &scribe{rec: k, now: time.Now, metrics: NewMetrics(prometheus.NewRegistry())}
	full := &subject{q: &engine.Question{Stage: engine.AtQuery, Name: "p", Text: "select 1"}, number: 7}
	full.described = described{text: "select 1", doings: doings{commands: []string{"SELECT"}, pairs: []*recordv1.Pair{{Object: "t"}}}, formats: []uint32{1}}
	full.verdict.Rules, full.verdict.Version = []string{"r"}, "1"
	bare := &subject{q: &engine.Question{}, number: 8}
	for _, sub := range []*subject{full, bare} {
		s.note(sub, recordv1.Decision_DENY, map[*subject]*engine.Refusal{full: {Code: "42501", Message: "no", Detail: "d", Hint: "h"}}[sub])
		if err := s.letsOn(&engine.Output{}); err != nil {
			t.Fatal(err)
		}
	}
	run := &engine.Run{Grant: engine.Grant{Number: 7, Context: &granted{approvalID: "a", began: time.Unix(1, 0)}}}
	later := &engine.Run{Grant: engine.Grant{Number: 8, Context: &granted{}}}
	for _, n := range []engine.Note{
		{Kind: engine.NoteOutcome, Run: run, Tag: "SELECT 1", Code: "1", Message: "m", Rows: 1, Bytes: 1},
		{Kind: engine.NoteOutcome, Run: later},
	} {
		if err := s.shows(&engine.Output{Notes: []engine.Note{n}}); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range map[int]*recordv1.Event{
		2: {Kind: &recordv1.Event_Statement{Statement: &recordv1.Statement{Number: 8, Protocol: recordv1.Statement_EXTENDED}}},
		3: {Kind: &recordv1.Event_Decision{Decision: &recordv1.Decision{Number: 8, Verdict: recordv1.Decision_DENY}}},
		5: {Kind: &recordv1.Event_Outcome{Outcome: &recordv1.Outcome{Number: 8}}},
	} {
		if got := k.events[i]; !proto.Equal(got, want) {
			t.Errorf("event %d: %v, want %v", i, got, want)
		}
	}
}

func TestALongBatchIsNotKept(t *testing.T) {
	var s shelf[int]
	for range longShelf + 1 {
		*s.next() = 1
	}
	s.again()
	if len(s.all) != 0 {
		t.Errorf("%d are kept", len(s.all))
	}
	first := s.next()
	*first = 1
	s.again()
	if second := s.next(); second != first || *second != 0 {
		t.Errorf("what comes back is not given again, as if it were new")
	}
}
