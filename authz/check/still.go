package check

import (
	"errors"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/policies"
)

// kept is what rules may ask of a request while its response is under way, which may be a stream without end. A body that is
// large, or could be once it is unpacked, is not: then a rule that reads the body decides as if it could not be read.
func (r *request) kept() *request {
	kept := *r
	if kept.reads() > smallBody {
		kept.body, kept.bodyGone = nil, true
	}
	return &kept
}

// still weighs a request anew while its response is under way.
func (a *asking) still(v guard.Verdict, who *identityv1.Principal, approved bool) func() error {
	operations, problem := readPaths(a.request.kept(), a.admission.Target, v.Policy)
	if problem != nil { // it was none when the request was decided on
		return func() error { return problem }
	}
	again := &weighing{
		guard: a.server.o.Guard, admission: a.admission, session: a.session, policy: v.Policy, who: who, approved: approved,
		operations: operations,
	}
	return again.weigh
}

// weighing is a request that was let through, by the policy that did so last.
type weighing struct {
	guard      *guard.Guard
	admission  *guard.Admission
	session    *session
	policy     *policies.Policy
	who        *identityv1.Principal
	operations []policies.Operation
	approved   bool
}

// weigh is cheap as long as nothing has changed.
func (w *weighing) weigh() error {
	if err := w.session.life.Err(); err != nil {
		return w.session.why()
	}
	who, err := w.guard.Principal(w.admission)
	if err != nil {
		return err
	}
	now, err := w.guard.Current()
	if err != nil || now == w.policy {
		return err
	}
	target := w.admission.Target.GetName()
	if !now.Masks(who, target).Alike(w.policy.Masks(w.who, target)) || !now.Masks(nil, target).Alike(w.policy.Masks(nil, target)) {
		return errors.New("the masks of the policy changed while it was under way")
	}
	v, err := w.guard.Decide(w.admission, w.operations, nil)
	switch {
	case err != nil:
		return err
	case v.Verdict == policies.Deny:
		return errors.New("the policy changed while it was under way: " + v.Message)
	case v.Verdict == policies.Hold && !w.approved:
		return errors.New("the policy changed while it was under way, and asks for an approval now")
	}
	w.policy, w.who = now, who
	return nil
}
