package check

import "github.com/sluicegate/sluice/authz/guard"

// aside runs a step on a goroutine of its own: a decision needs a deep stack, which a goroutine then keeps for as long as
// it lives, and thousands may wait for people. A step that panics is a denial.
func aside(step func()) *problem {
	done := make(chan error)
	go func() {
		done <- guard.Safely(func() error {
			step()
			return nil
		})
	}()
	if err := <-done; err != nil {
		return internal(err)
	}
	return nil
}
