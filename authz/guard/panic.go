package guard

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
)

// PanicError is a fault of ours that what came from outside has hit. It ends what it belongs to, and not the process with
// everybody's sessions.
type PanicError struct{ what, stack string }

// Error implements error. It is for everybody's eyes.
func (e *PanicError) Error() string { return "internal error" }

// LogValue tells the log what and where. A panic's value that is not the runtime's own is named by its type: it may hold
// anything.
func (e *PanicError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("panic", e.what), slog.String("stack", e.stack))
}

// Safely runs a step of work on what came from outside. A panic in it is a *PanicError.
func Safely(step func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			e := &PanicError{what: fmt.Sprintf("%T", fault), stack: string(debug.Stack())}
			if f, ok := fault.(runtime.Error); ok {
				e.what = f.Error()
			}
			err = e
		}
	}()
	return step()
}
