package sqlfacts

import "fmt"

// Error says why a text has no facts. Code is an SQLSTATE (PostgreSQL, appendix A). The message of a syntax error may
// quote the text, values included: it is for whoever wrote that; show others HideQuoted of it.
type Error struct {
	Code    string
	Message string
	// Position counts characters from 1, 0 if unknown, as in PostgreSQL's own errors.
	Position int
	// Grammar: it was PostgreSQL's grammar that did not take the text, in the version that is read here.
	Grammar bool
	// Err is the cause, for the log.
	Err error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s (SQLSTATE %s)", e.Message, e.Code) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
