package record

import (
	"errors"
	"fmt"
)

// Error says that something could not be recorded: what it belongs to must not happen (SQLSTATE 58030).
type Error struct {
	// Op is what failed, such as "append".
	Op  string
	Err error
}

func (e *Error) Error() string { return "record: " + e.Op + ": " + e.Err.Error() }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Causes of an Error that are not the operating system's.
var (
	// ErrNoSpace: less than Options.StopFree is left on the disk. It passes when there is room again.
	ErrNoSpace = errors.New("too little space is left on the disk of the recordings")
	// ErrEnded: the session has ended.
	ErrEnded = errors.New("the session has ended")
	// ErrClosed: the recorder is closed.
	ErrClosed = errors.New("the recorder is closed")
	// ErrExists: there is a recording with this id already.
	ErrExists = errors.New("there is a session with this id")
)

// ErrNotFound says that there is no recording with this id.
var ErrNotFound = errors.New("record: no such session")

// ErrNotAsLogged says that a recording is not what was recorded.
var ErrNotAsLogged = errors.New("it is not what was recorded; `sluice audit verify` says more")

// TooLargeError is the cause when an event is larger than a chunk can hold. Nothing of the Append was written; the
// session can go on.
type TooLargeError struct {
	Size int // bytes
	Max  int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("an event of %d bytes is too large to record, at most %d", e.Size, e.Max)
}

// LockedError says that another process records into the directory.
type LockedError struct {
	Dir string
	// PID is the process, 0 if it did not say.
	PID int
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("record: %s is in use by another process", e.Dir)
	}
	return fmt.Sprintf("record: %s is in use by process %d", e.Dir, e.PID)
}
