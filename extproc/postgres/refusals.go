package postgres

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

func maskName(name string) string {
	if name == "" {
		return "any"
	}
	return name
}

// unreadable is the refusal of a text that has no facts.
func unreadable(err error) *engine.Refusal {
	var e *sqlfacts.Error
	if !errors.As(err, &e) {
		return &engine.Refusal{
			Code: codeNotReady, Message: "the statement cannot be decided at the moment", Hint: "Try again in a moment.",
		}
	}
	r := &engine.Refusal{
		Code: e.Code, Message: e.Message, Position: int32(min(e.Position, 1<<30)), Rule: "grammar", //nolint:gosec // bounded
	}
	if e.Grammar {
		r.Detail = "Sluice reads statements with PostgreSQL 17's grammar and forwards only what it can read."
	}
	return r
}

// reasoned adds why an effect is not known.
func reasoned(r *engine.Refusal, facts *sqlfacts.Facts) *engine.Refusal {
	for i := range facts.Statements {
		if why := facts.Statements[i].Reason; why != "" {
			r.Detail = "Not understood: " + why + ". " + r.Detail
			if why == sqlfacts.ReasonSearchPath {
				r.Hint = hintSearchPath
			}
			return r
		}
	}
	return r
}

// unsupported refuses what the engine cannot follow yet: what it takes a statement for that SQL prepared, or a cursor, must
// decide nothing.
func unsupported(facts *sqlfacts.Facts, unbounded bool) *engine.Refusal {
	for i := range facts.Statements {
		st := &facts.Statements[i]
		if st.Kind == sqlfacts.PrepareTransaction {
			return notSupported(st.Operation.Command+" is not supported by Sluice", "Commit on this connection.")
		}
		if !unbounded {
			if r := notFollowed(st.Kind, st.Operation.Command); r != nil {
				return r
			}
			if r := notFollowed(st.Inside, map[sqlfacts.Kind]string{sqlfacts.Execute: "EXECUTE", sqlfacts.DeclareCursor: "DECLARE CURSOR"}[st.Inside]); r != nil {
				return r
			}
		}
		if name := changesReading(&facts.Statements[i]); name != "" {
			return notSupported(name+" cannot be changed: Sluice reads statements as UTF8 with standard_conforming_strings on",
				"Leave it as it is; setting it to what it is already is allowed.")
		}
	}
	return nil
}

// notFollowed refuses a kind of statement behind which names mean what nobody has seen.
func notFollowed(k sqlfacts.Kind, command string) *engine.Refusal {
	switch k {
	case sqlfacts.Prepare, sqlfacts.Execute:
		return notSupported(command+" in SQL is not supported by Sluice yet", "Prepare statements by the protocol, as drivers do.")
	case sqlfacts.DeclareCursor, sqlfacts.Fetch:
		return notSupported(command+" is not supported by Sluice yet", "Run the query itself; results are streamed.")
	}
	return nil
}

// readingSettings decide where a string ends. If they changed, the server would read what follows in another way than
// Sluice has: a report of the change (ParameterStatus) comes too late for what was sent behind it.
var readingSettings = map[string]*regexp.Regexp{
	"standard_conforming_strings": regexp.MustCompile(`(?i)^\s*set\s+(session\s+|local\s+)?standard_conforming_strings\s*(=|\bto\b)\s*'?on'?\s*;?\s*$`),
	"client_encoding":             regexp.MustCompile(`(?i)^\s*set\s+(session\s+|local\s+)?client_encoding\s*(=|\bto\b)\s*'?(utf-?8|unicode)'?\s*;?\s*$`),
}

// changesReading names the setting that a statement may change, whichever way: SET, SET NAMES, set_config.
func changesReading(st *sqlfacts.Statement) string {
	for _, p := range st.Operation.Pairs {
		if p.Effect != policyv1.Effect_SESSION || st.Operation.Command == "RESET" {
			continue // RESET goes back to what the session began with
		}
		name := strings.ToLower(p.Object)
		if same, ok := readingSettings[name]; ok && !same.MatchString(st.Text) {
			return name
		}
	}
	return ""
}

func notSupported(message, hint string) *engine.Refusal {
	return &engine.Refusal{Code: codeUnsupported, Message: message, Hint: hint, Rule: "unsupported"}
}

// masked is the refusal of a statement that uses what is masked.
func masked(v *masking.Violation) *engine.Refusal {
	code := codeForbidden
	if v.Unknown {
		code = codeNoTable
	}
	return &engine.Refusal{
		Code: code, Message: v.Error(), Detail: fmt.Sprintf("Mask %q of the policy applies to you.", maskName(v.Mask)),
		Hint: v.Hint(), Rule: v.Mask,
	}
}
