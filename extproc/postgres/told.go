package postgres

import (
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
)

// denied tells operators of a statement that does not run: what it would have done, and never how it says so.
func (j *judge) denied(sub *subject, r *engine.Refusal) {
	d := &sub.verdict.Decision
	j.o.Told.Denied(&oplog.Command{
		Protocol: oplog.Postgres, Target: j.admission.Target.GetName(), Session: j.session, Principal: j.admission.Principal,
		Number: sub.number, Rule: r.Rule, Rules: d.Rules, Policy: d.Version,
	}, r.Code, sub.described.does())
}

// unheld tells of a statement that needs approval and cannot be held.
func (j *judge) unheld(sub *subject, r *engine.Refusal, how string) *engine.Refusal {
	j.denied(sub, r)
	return j.holdEnds(r, how)
}

// does are effects on objects. A program, a file, a channel and a setting can hold more than a name: only that they are
// reached is said.
func (d *doings) does() []string {
	out := make([]string, 0, len(d.pairs))
	for _, p := range d.pairs {
		text := p.GetEffect().String()
		switch p.GetEffect() {
		case policyv1.Effect_IO, policyv1.Effect_NOTIFY, policyv1.Effect_SESSION, policyv1.Effect_UNKNOWN:
		default:
			if p.GetObject() != "" {
				text += " " + p.GetObject()
			}
		}
		out = append(out, text)
	}
	return out
}
