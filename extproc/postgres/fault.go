package postgres

import (
	"errors"
	"fmt"

	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/extproc/record"
	"github.com/sluicegate/sluice/policies"
)

// SQLSTATEs that are used here (PostgreSQL, appendix A).
const (
	codeUnreachable   = "08001" // sqlclient_unable_to_establish_sqlconnection
	codeProtocol      = "08P01" // protocol_violation
	codeUnsupported   = "0A000" // feature_not_supported
	codeAborted       = "25P02" // in_failed_sql_transaction
	codeNoIdentity    = "28000" // invalid_authorization_specification
	codeOtherDatabase = "3D000" // invalid_catalog_name
	codeForbidden     = "42501" // insufficient_privilege
	codeNoTable       = "42P01" // undefined_table
	codeNoMemory      = "53200" // out_of_memory
	codeTooLarge      = "54000" // program_limit_exceeded
	codeLocked        = "55P03" // lock_not_available
	codeCanceled      = "57014" // query_canceled
	codeShutdown      = "57P01" // admin_shutdown
	codeNotReady      = "57P03" // cannot_connect_now
	codeSystem        = "58000" // system_error
	codeNoRecord      = "58030" // io_error
)

// fatal ends a connection with words for the agent. Err is for the log.
type fatal struct {
	refusal engine.Refusal
	err     error
	// reason is a word for operators; without one it is the SQLSTATE.
	reason string
}

// Error implements error.
func (f *fatal) Error() string {
	if f.err != nil {
		return f.refusal.Message + ": " + f.err.Error()
	}
	return f.refusal.Message
}

// Unwrap returns the cause.
func (f *fatal) Unwrap() error { return f.err }

func fatalf(code, format string, args ...any) *fatal {
	return &fatal{refusal: engine.Refusal{Code: code, Message: fmt.Sprintf(format, args...)}}
}

func (f *fatal) hint(hint string) *fatal {
	f.refusal.Hint = hint
	return f
}

func (f *fatal) cause(err error) *fatal {
	f.err = err
	return f
}

// noRecord says that what cannot be recorded does not happen.
func noRecord(err error) *fatal {
	if large := (*record.TooLargeError)(nil); errors.As(err, &large) {
		return fatalf(codeTooLarge, "the statement is too large to be recorded, so nothing is forwarded").hint("Send it in several.").cause(err)
	}
	return fatalf(codeNoRecord, "Sluice cannot record, so nothing is forwarded").hint("Ask whoever runs Sluice: the recorder has failed or its disk is full.").cause(err)
}

// unidentified says why a token was refused, and how to get one. It never shows the token.
func unidentified(err error) *fatal {
	var refused *identity.Error
	if !errors.As(err, &refused) {
		return fatalf(codeNoIdentity, "the token was refused").cause(err)
	}
	f := fatalf(codeNoIdentity, "%s", refused.Public()).
		hint("The password must be a current token from your identity provider, for Sluice's audience (in the demo: bin/sluice token --as NAME).").cause(err)
	f.reason = refused.Kind.String()
	if refused.Kind == identity.Unavailable {
		f.refusal.Code, f.refusal.Hint = codeNotReady, identity.UnavailableHint
	}
	return f
}

// turnedAway is how a connection ends that guard does not let in.
func turnedAway(err error) *fatal {
	var d *guard.Denied
	if !errors.As(err, &d) {
		return fatalf(codeSystem, "an internal error").cause(err)
	}
	f := fatalf(codeOf(d.Kind), "%s", d.Message).cause(d.Err)
	f.reason = d.Kind.String()
	f.refusal.Detail, f.refusal.Hint, f.refusal.Rule = d.Detail, d.Hint, d.Rule()
	return f
}

func codeOf(k guard.Kind) string {
	switch k {
	case guard.NotReady:
		return codeNotReady
	case guard.SessionEnded:
		return codeShutdown
	case guard.Unavailable:
		return codeSystem
	}
	return codeForbidden
}

// refusalOf is a decision against a statement, for the agent.
func refusalOf(code string, d policies.Decision) *engine.Refusal {
	return &engine.Refusal{Code: code, Message: d.Message, Detail: d.Detail, Hint: d.Hint, Rule: d.Rule()}
}
