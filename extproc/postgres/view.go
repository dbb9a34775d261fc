package postgres

import (
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// viewCache keeps the two views of a session for as long as policy and catalog stay: most statements find them here.
type viewCache struct {
	policy  *policies.Policy
	who     *identityv1.Principal
	version uint64
	views   views
}

// views are how results are shown to the agent and in the record. The same pointer if they are alike.
type views struct {
	agent, record *masking.View
}

func (j *judge) viewsOf(p *policies.Policy, catalog sqlfacts.Catalog) views {
	c, who := &j.views, j.admission.Who()
	if c.policy == p && c.who == who && c.version == catalog.Version() && c.views.agent != nil {
		return c.views
	}
	target := j.admission.Target.GetName()
	mine, everybodys := p.Masks(who, target), p.Masks(nil, target)
	v := views{agent: masking.NewView(mine, catalog)}
	v.record = v.agent
	if !mine.Equal(everybodys) {
		v.record = masking.NewView(everybodys, catalog)
	}
	*c = viewCache{policy: p, who: who, version: catalog.Version(), views: v}
	return v
}
