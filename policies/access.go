package policies

import (
	"fmt"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// grant is a compiled Access.
type grant struct {
	who who
	may map[policyv1.Permission]struct{}
}

func (c *compiler) access(p *Policy) {
	for i, a := range p.bundle.GetAccess() {
		field := fmt.Sprintf("access[%d]", i)
		w, err := compileWho(a.GetWho(), c.names, field+".who")
		if err != nil {
			c.faults.add(field, err)
			continue
		}
		g := grant{who: w, may: map[policyv1.Permission]struct{}{}}
		for _, m := range a.GetMay() {
			g.may[m] = struct{}{}
		}
		p.access = append(p.access, g)
	}
}

// May reports whether a principal has a permission of the API. Default: nobody.
func (p *Policy) May(principal *identityv1.Principal, permission policyv1.Permission) bool {
	for _, g := range p.access {
		if _, ok := g.may[permission]; ok && g.who.match(principal) {
			return true
		}
	}
	return false
}
