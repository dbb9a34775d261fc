package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/extproc/postgres/engine"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// moves reports whether the role, the search_path, or how a text is read may be others once the statements have run.
func moves(facts *sqlfacts.Facts) bool {
	for i := range facts.Statements {
		if facts.Statements[i].MovesPath || len(facts.Statements[i].Calls) > 0 {
			return true
		}
	}
	return false
}

// behindMove refuses a string in which names are looked up behind a statement that says where: what they mean then is not
// what was decided. What calls a function that could do the same is for masks to refuse.
// inTransaction: a transaction is open that has moved them, so that its end, or a part of it, moves them back.
func behindMove(facts *sqlfacts.Facts, inTransaction bool) *engine.Refusal {
	moved := false
	for i := range facts.Statements {
		st := &facts.Statements[i]
		if moved && namesSomething(st) {
			return notSupported("role or search_path change within the string, so what its other statements name is not certain",
				"Send the change alone, and the statements after it.")
		}
		moved = moved || st.MovesPath && len(st.Calls) == 0 || inTransaction && ends(st)
	}
	return nil
}

// namesSomething reports whether names are looked up for a statement: those of relations, functions, operators and types.
func namesSomething(st *sqlfacts.Statement) bool {
	switch st.Kind {
	case sqlfacts.Set, sqlfacts.Show, sqlfacts.Begin, sqlfacts.Commit, sqlfacts.Rollback, sqlfacts.Savepoint, sqlfacts.ReleaseSavepoint,
		sqlfacts.RollbackToSavepoint, sqlfacts.Deallocate, sqlfacts.CloseCursor:
		return false
	}
	return true
}

// looksUp reports whether it matters to a text where names are looked up, or how it is read. To the rest the server must not
// be asked: a question takes a transaction's snapshot, behind which SET TRANSACTION comes too late.
func (j *judge) looksUp(ctx context.Context, text string) bool {
	if len(text) >= longText || !readsTheSame(text) {
		return true
	}
	catalog, err := j.catalog.Latest(ctx, j.path)
	if err != nil {
		return true
	}
	facts, err := j.o.Analyzer.FactsContext(ctx, text, catalog)
	return err != nil || slices.ContainsFunc(facts.Statements, func(st sqlfacts.Statement) bool { return namesSomething(&st) })
}

// whereNamesAre makes sure that the next text is read as the server will read it: with the search_path of the moment, and
// with strings that end where they seem to. It asks only if something let through may have changed that, and goes on
// asking until it has asked outside of a transaction, whose end could take a change back.
func (j *judge) whereNamesAre(ctx context.Context, text string, out *engine.Output) error {
	if !j.moved || !j.looksUp(ctx, text) {
		return nil
	}
	state, err := j.askPath(ctx, out)
	if err == nil && !state.Skipped {
		j.moved = inTransaction(state)
	}
	return err
}

// askPath asks the server where names are looked up and how texts are read. Where it skips what comes up to Sync, it says
// nothing, and will skip what comes next as well.
func (j *judge) askPath(ctx context.Context, out *engine.Output) (engine.State, error) {
	state, err := j.pipes.probe(ctx, out)
	if err != nil || state.Skipped {
		j.unread = notAsked(state)
		return state, err
	}
	if state.StandardStrings != "on" || !strings.EqualFold(state.Encoding, "UTF8") {
		return state, fatalf(codeUnsupported, "the session ends: how statements are read was changed").
			hint("Sluice reads statements as UTF8 with standard_conforming_strings on.")
	}
	var path []string
	if err := json.Unmarshal([]byte(state.Path), &path); err != nil {
		return state, fatalf(codeSystem, "an internal error").cause(err)
	}
	j.path = path
	return state, nil
}

// snapshot is the catalog of this moment. Which schemas names are looked up in depends on what schemas there are, and who
// may use them: with another catalog the session asks again. To whom nothing is bounded, the one of a moment ago will do: it
// is for the record.
func (j *judge) snapshot(ctx context.Context, text string, out *engine.Output, unbounded bool) (sqlfacts.Catalog, error) {
	if unbounded {
		return j.catalog.Latest(ctx, j.path)
	}
	for {
		catalog, err := j.catalog.Snapshot(ctx, j.path)
		if err != nil || catalog.Version() == j.pathOf || !j.looksUp(ctx, text) {
			return catalog, err
		}
		before := j.path
		state, err := j.askPath(ctx, out)
		if err != nil || state.Skipped {
			return catalog, err
		}
		if slices.Equal(before, j.path) {
			j.pathOf = catalog.Version()
			return catalog, nil
		}
	}
}

// unsure refuses what would not be read as it was judged, if the server could not be asked: in a failed transaction it may
// send nothing but the end of that, and in words that read the same in every way. A server takes no Parse of several
// statements, and says so before it looks at the transaction.
func (j *judge) unsure(q *engine.Question, facts *sqlfacts.Facts) *engine.Refusal {
	if j.unread == nil {
		return nil
	}
	others := slices.ContainsFunc(facts.Statements, func(st sqlfacts.Statement) bool { return !ends(&st) })
	refusedAnyway := q.Stage == engine.AtParse && len(facts.Statements) > 1
	if readsTheSame(q.Text) && (!others || refusedAnyway) {
		return nil
	}
	return j.unread
}

// notAsked is the refusal of a text of which nobody knows how it will be read: in a transaction that has failed, or where
// the question itself was interrupted.
func notAsked(state engine.State) *engine.Refusal {
	if state.Status == 'I' {
		return &engine.Refusal{
			Code: codeNotReady, Message: "the database could not be asked where names are looked up", Hint: "Try again.", Rule: ruleAborted,
		}
	}
	return aborted("Send ROLLBACK alone.")
}

// ends reports whether a statement may run in a transaction that has failed.
func ends(st *sqlfacts.Statement) bool {
	return st.Kind == sqlfacts.Commit || st.Kind == sqlfacts.Rollback || st.Kind == sqlfacts.RollbackToSavepoint
}

// readsTheSame reports whether no setting changes where the tokens of a text end: standard_conforming_strings is about
// backslashes, client_encoding about what is not ASCII.
func readsTheSame(text string) bool {
	for i := range len(text) {
		if c := text[i]; c == '\\' || c >= 0x80 {
			return false
		}
	}
	return true
}

const ruleAborted = "aborted"

func aborted(hint string) *engine.Refusal {
	return &engine.Refusal{
		Code: codeAborted, Message: "current transaction is aborted, commands ignored until end of transaction block", Hint: hint, Rule: ruleAborted,
	}
}

func asFatal(err error) bool {
	var f *fatal
	return errors.As(err, &f)
}
