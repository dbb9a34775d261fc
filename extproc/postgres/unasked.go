package postgres

import (
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies"
)

// unasked keeps the engine informed of whether masks apply to what the server says of its own accord, such as a
// notification: an agent that only listens sends nothing by which that would be found out. It belongs to the server's side.
type unasked struct {
	guard     *guard.Guard
	admission *guard.Admission
	engine    *engine.Engine
	// of is the policy that was looked at last.
	of *policies.Policy
}

// look tells the engine of the policy of this moment, if it is another than the last. Where it cannot be had, masks apply.
func (u *unasked) look() {
	p, err := u.guard.Current()
	if err == nil && p == u.of {
		return
	}
	u.of = p
	who, whoErr := u.guard.Principal(u.admission)
	if err != nil || whoErr != nil {
		u.of = nil
		u.engine.Masked(true, true)
		return
	}
	target := u.admission.Target.GetName()
	u.engine.Masked(p.Masks(who, target).HidesColumns(), p.Masks(nil, target).HidesColumns())
}
