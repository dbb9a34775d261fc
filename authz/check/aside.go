package check

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// aside runs a step on a goroutine of its own: a decision needs a deep stack, which a goroutine then keeps for as long as
// it lives, and thousands may wait for people. A step that panics is a denial.
func aside(step func()) *problem {
	done := make(chan *problem)
	go func() {
		var p *problem
		defer func() {
			if fault := recover(); fault != nil {
				p = &problem{
					Status: 500, Type: "internal", Title: "An internal error", Detail: "Nothing was forwarded.", cause: Panicked(fault),
				}
			}
			done <- p
		}()
		step()
	}()
	return <-done
}

// PanicError is a fault of ours that what came from outside has hit. It ends what it belongs to, and not the process.
type PanicError struct {
	// What is the fault, and Stack where it is. They are for the log.
	What, Stack string
}

// Panicked is what recover gave, and where. A value of another kind than the runtime's own is named by its type: it may
// hold anything.
func Panicked(fault any) *PanicError {
	e := &PanicError{What: fmt.Sprintf("%T", fault), Stack: string(debug.Stack())}
	if f, ok := fault.(runtime.Error); ok {
		e.What = f.Error()
	}
	return e
}

// Error implements error.
func (e *PanicError) Error() string { return "internal error: " + e.What }
