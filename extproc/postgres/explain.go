package postgres

import (
	"context"
	"fmt"

	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/masking"
)

// Explain says what would be decided on a statement, and why, without running it.
func (s *Server) Explain(ctx context.Context, p *policies.Policy, who *identityv1.Principal, target *policyv1.Target, sql string) (*controlv1.ExplainResponse, error) {
	catalog, err := s.Catalog(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("the database's catalog cannot be read: %w", unreachableText(target, err))
	}
	facts, err := s.o.Analyzer.FactsContext(ctx, sql, catalog)
	if err != nil {
		return nil, unreadable(err)
	}
	out := &controlv1.ExplainResponse{}
	for i := range facts.Statements {
		for _, pair := range facts.Statements[i].Operation.Pairs {
			out.Pairs = append(out.Pairs, &recordv1.Pair{Effect: pair.Effect, Object: pair.Object})
		}
		for _, pair := range facts.Statements[i].Operation.ReachedShown() {
			out.Pairs = append(out.Pairs, &recordv1.Pair{Effect: pair.Effect, Object: pair.Object, Reached: true})
		}
	}
	if r := unsupported(facts, p.Unbounded(who, target.GetName())); r != nil {
		out.Decision = decisionOf(0, recordv1.Decision_DENY, policies.Decision{Version: p.Version()}, r)
		return out, nil
	}
	d, traces := p.Explain(&policies.Request{
		Principal: who, Target: target.GetName(), Operations: operationsOf(facts), Time: s.o.Now(),
		Attributes: map[string]any{"database": target.GetPostgres().GetDatabase()},
	})
	for _, t := range traces {
		out.Trace = append(out.Trace, &controlv1.RuleTrace{Rule: t.Rule, Action: t.Action, Matched: t.Matched, Reason: t.Reason})
	}
	verdict := map[policies.Verdict]recordv1.Decision_Verdict{
		policies.Allow: recordv1.Decision_ALLOW, policies.Hold: recordv1.Decision_HOLD, policies.Deny: recordv1.Decision_DENY,
	}[d.Verdict]
	refusal := refusalOf(codeForbidden, d)
	if d.Verdict == policies.Deny {
		refusal = reasoned(refusal, facts)
	} else {
		refusal = nil
		if v := masking.NewView(p.Masks(who, target.GetName()), catalog).Check(facts.Statements); v != nil {
			verdict, refusal = recordv1.Decision_DENY, refusalOf(codeForbidden, policies.Decision{Message: v.Error(), Hint: v.Hint()})
		}
	}
	out.Decision = decisionOf(0, verdict, d, refusal)
	return out, nil
}

func unreachableText(t *policyv1.Target, err error) error {
	return fmt.Errorf("target %q: %w", t.GetName(), err)
}
