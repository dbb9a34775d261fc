package postgres

import (
	"context"
	"time"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// scribe writes the record of a session: each thing before it happens. It belongs to the agent's side, but for shows and
// end, which touch the recording only.
type scribe struct {
	rec     Recording
	hide    func(value []byte) string
	now     func() time.Time
	metrics *Metrics

	// number is of the newest statement.
	number uint64
	// pending is written with what goes on next.
	pending []*recordv1.Event
	// Where events come from: those of the agent's side, and those of shows.
	asked, answered stock

	last struct {
		facts  *sqlfacts.Facts
		form   *sqlfacts.Form
		doings doings
	}
}

// note records the statement and what was decided. It is written before anything of the statement is sent on.
func (s *scribe) note(sub *subject, verdict recordv1.Decision_Verdict, r *engine.Refusal) {
	s.metrics.decided(verdict)
	h := s.asked.heads.next()
	h.fill(sub.q, sub.number, &sub.described)
	fillDecision(&h.decision, sub.number, verdict, sub.verdict.Decision, r)
	s.pending = append(s.pending, &h.events[0], &h.events[1])
}

// letsOn records what a step of the agent's side lets through.
func (s *scribe) letsOn(out *engine.Output) error {
	durable := false
	for i := range out.Notes {
		event, safe := s.event(&out.Notes[i], &s.asked)
		durable = durable || safe
		if event != nil {
			s.pending = append(s.pending, event)
		}
	}
	if len(s.pending) > 0 {
		err := s.rec.Append(durable, s.pending...)
		clear(s.pending)
		s.pending = s.pending[:0]
		s.asked.again()
		if err != nil {
			return noRecord(err)
		}
	}
	if out.FromAgent.Size > 0 {
		if err := s.rec.AppendData(nil, recordv1.Data_FROM_AGENT, s.number, out.FromAgent.Parts...); err != nil {
			return noRecord(err)
		}
	}
	return nil
}

// shows records what the agent is about to see of the server's side.
func (s *scribe) shows(out *engine.Output) error {
	var few [4]*recordv1.Event
	events := few[:0]
	for i := range out.Notes {
		if event, _ := s.event(&out.Notes[i], &s.answered); event != nil {
			events = append(events, event)
		}
	}
	shown := out.ToAgent.Parts
	if out.Dual {
		shown = out.ForRecord.Parts
	}
	err := s.rec.AppendData(events, recordv1.Data_TO_AGENT, 0, shown...)
	s.answered.again()
	if err != nil {
		return noRecord(err)
	}
	return nil
}

// tells records a message of Sluice's own to the agent.
func (s *scribe) tells(message []byte) error {
	if err := s.rec.AppendData(nil, recordv1.Data_TO_AGENT, s.number, message); err != nil {
		return noRecord(err)
	}
	return nil
}

// holdBegins records that people are asked, before the agent hears of it.
func (s *scribe) holdBegins(number uint64, a *approvalv1.Approval) error {
	events := append(s.pending, &recordv1.Event{Kind: &recordv1.Event_HoldStart{HoldStart: &recordv1.HoldStart{Number: number, Approval: a}}})
	s.pending = nil
	err := s.rec.Append(true, events...)
	s.asked.again()
	if err != nil {
		return noRecord(err)
	}
	return nil
}

// holdEnds records how the wait ended. The end of one that goes on is durable before the statement is.
func (s *scribe) holdEnds(number uint64, a *approvalv1.Approval, refusal *engine.Refusal) error {
	events := []*recordv1.Event{{Kind: &recordv1.Event_HoldEnd{HoldEnd: &recordv1.HoldEnd{Number: number, Approval: a}}}}
	if refusal != nil {
		denial := decisionOf(number, recordv1.Decision_DENY, policies.Decision{Rules: a.GetRules(), Version: a.GetBundleVersion()}, refusal)
		events = append(events, &recordv1.Event{Kind: &recordv1.Event_Decision{Decision: denial}})
	}
	if err := s.rec.Append(true, events...); err != nil {
		return noRecord(err)
	}
	return nil
}

// end ends the record, if it was begun.
func (s *scribe) end(ctx context.Context, reason string) error {
	if s.rec == nil {
		return nil
	}
	return s.rec.End(ctx, reason)
}
