package engine

import (
	"github.com/jackc/pgx/v5/pgproto3"
)

// Refusal is an error that the agent sees in place of a result, with what a person or a model can act on.
type Refusal struct {
	// Code is the SQLSTATE.
	Code                  string
	Message, Detail, Hint string
	// Position in the statement, in characters from 1; 0 if none.
	Position int32
	// Rule names the first rule that refused, for the server's log.
	Rule string
	// Asks is a text that no grammar of ours takes. The server is asked what its own has to say, without running
	// anything: that goes to the agent in place of this. Number is of the statement within the session, for a note on it.
	Asks   string
	Number uint64
}

// Error implements error.
func (r *Refusal) Error() string { return r.Message + " (SQLSTATE " + r.Code + ")" }

// append writes it as an ErrorResponse.
func (r *Refusal) append(dst []byte) []byte { return appendError(dst, "ERROR", r) }

// appendError writes an ErrorResponse.
func appendError(dst []byte, severity string, r *Refusal) []byte {
	out, err := (&pgproto3.ErrorResponse{
		Severity: severity, SeverityUnlocalized: severity, Code: r.Code,
		Message: r.Message, Detail: r.Detail, Hint: r.Hint, Position: r.Position, Routine: "sluice",
	}).Encode(dst)
	if err != nil {
		// Longer than the protocol can carry: the code alone is always short enough.
		out, _ = (&pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity, Code: r.Code, Message: "refused"}).Encode(dst)
	}
	return out
}

// Fatal is an ErrorResponse after which the session ends.
func Fatal(r *Refusal) []byte { return appendError(nil, "FATAL", r) }

// Notice is a NoticeResponse.
func Notice(r *Refusal) []byte {
	out, err := (&pgproto3.NoticeResponse{
		Severity: "NOTICE", SeverityUnlocalized: "NOTICE", Code: r.Code,
		Message: r.Message, Detail: r.Detail, Hint: r.Hint, Routine: "sluice",
	}).Encode(nil)
	if err != nil {
		return nil
	}
	return out
}

// statement is a text that no grammar takes, so that the server fails as it would have on an error of the agent's. It
// names the rule for whoever reads the server's log.
func (r *Refusal) statement() string {
	name := make([]byte, 0, 64)
	for i := 0; i < len(r.Rule) && len(name) < 63; i++ {
		c := r.Rule[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' {
			name = append(name, c)
		}
	}
	return "SLUICE REFUSED (rule: " + string(name) + ")"
}
