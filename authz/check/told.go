package check

import (
	"cmp"
	"strconv"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/policies"
)

// denied tells operators of a request that does not go on: its method, and nothing else that the agent wrote.
func (a *asking) denied(d policies.Decision, p *problem) {
	c := &oplog.Command{
		Protocol: oplog.HTTP, Target: a.request.target, Principal: a.admission.Principal,
		Number: a.number, Rule: p.Rule, Rules: d.Rules, Policy: cmp.Or(d.Version, a.policy.Version()),
	}
	if a.session != nil {
		c.Session = a.session.id
	}
	a.server.o.Told.Denied(c, strconv.Itoa(p.Status), []string{a.request.method})
}

// loginRefused tells of somebody who was not let in.
func (s *Server) loginRefused(r *request, who *identityv1.Principal, p *problem) *problem {
	told := *p // others may be told the same one
	told.login = true
	s.o.Told.LoginRefused(&oplog.Login{
		Protocol: oplog.HTTP, Target: r.target, Client: r.client, Principal: who, Reason: cmp.Or(p.reason, p.Type), Rule: p.Rule, Err: p.cause,
	})
	return &told
}
