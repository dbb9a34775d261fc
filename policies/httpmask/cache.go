package httpmask

import (
	"sync"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/policies"
)

// Cache keeps views for as long as their policy is the newest that was asked for: principals whom the same masks except
// share one. The zero value is ready.
type Cache struct {
	mu     sync.Mutex
	policy *policies.Policy
	views  []*View
}

// maxViews bounds a cache: masks with many exceptions can make many sets.
const maxViews = 1000

// Of are the views of a principal on a target, and of the record, which is masked as for somebody whom no mask excepts.
// They are the same pointer if they are alike, unless another policy was asked for in between.
func (c *Cache) Of(p *policies.Policy, principal *identityv1.Principal, target string) (agent, record *View, err error) {
	if record, err = c.OfRecord(p, target); err != nil {
		return nil, nil, err
	}
	agent, err = c.view(p, p.Masks(principal, target))
	return agent, record, err
}

// OfRecord is the record's view alone.
func (c *Cache) OfRecord(p *policies.Policy, target string) (*View, error) {
	return c.view(p, p.Masks(nil, target))
}

func (c *Cache) view(p *policies.Policy, masks policies.MaskSet) (*View, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.policy != p || len(c.views) >= maxViews {
		c.policy, c.views = p, nil
	}
	for _, v := range c.views {
		if v.masks.Equal(masks) {
			return v, nil
		}
	}
	v, err := NewView(masks)
	if err == nil {
		c.views = append(c.views, v)
	}
	return v, err
}
