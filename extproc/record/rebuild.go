package record

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record/index"
)

// Rebuild makes an index again from the recordings in a directory that nobody records into: the rows of the processors
// whose sessions are there are replaced. Sessions that cannot be read to their end have the row that they have up to
// there; they are in the error, which joins all.
func Rebuild(ctx context.Context, dir string, store index.Store) error {
	rd, err := OpenDir(dir)
	if err != nil {
		return err
	}
	defer rd.Close()
	ids, err := rd.Sessions(ctx)
	if err != nil {
		return err
	}
	cleared := map[string]bool{}
	var errs []error
	for _, id := range ids {
		processor := id[:max(0, strings.LastIndexByte(id, '-'))]
		if !cleared[processor] {
			if err := store.Clear(ctx, processor); err != nil {
				return err
			}
			cleared[processor] = true
		}
		row, err := projectSession(ctx, rd, id, store)
		if err != nil {
			errs = append(errs, err)
		}
		if row != nil {
			if err := store.PutSessions(ctx, []*sessionv1.Session{row}); err != nil {
				return err
			}
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// reindex makes the index again while the recorder runs, of the sessions that were there when it started; the rows of
// later ones are written as always. If it is stopped, the next start begins again.
func (r *Recorder) reindex(ctx context.Context, ids []string) {
	rd := &Reader{root: r.root, store: r.store}
	for _, id := range ids {
		row, err := projectSession(ctx, rd, id, r.index)
		if err != nil && ctx.Err() == nil {
			r.opts.Logger.Error("session is not in the index", slog.String("session", id), slog.Any("error", err))
		}
		if row != nil {
			if err := r.index.PutSessions(ctx, []*sessionv1.Session{row}); err != nil {
				r.opts.Logger.Error("index could not be made again", slog.Any("error", err))
				return
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
	if err := r.project.found(); err != nil {
		r.opts.Logger.Error("index is made again, but the note of it stays", slog.Any("error", err))
	}
}

// rebuildBatch is how many rows of statements are written at a time.
const rebuildBatch = 512

// projectSession writes the rows of a session's statements and returns its own, nil if there is nothing of it.
func projectSession(ctx context.Context, rd *Reader, id string, store index.Store) (*sessionv1.Session, error) {
	var row *sessionv1.Session
	var tally index.Tally
	open := map[uint64]*recordv1.Event{} // statements and requests without a row yet, by number
	var batch []*recordv1.Event
	numbers := map[uint64]struct{}{}
	flush := func() error {
		sum := index.NewSummary(id, numbers)
		for _, e := range batch {
			sum.Add(e)
		}
		batch = batch[:0]
		clear(numbers)
		return store.PutStatements(ctx, sum.Statements())
	}
	for e, err := range rd.Events(ctx, id) {
		if err != nil {
			return row, errors.Join(fmt.Errorf("record: index of session %s: %w", id, err), flush())
		}
		switch k := e.GetKind().(type) {
		case *recordv1.Event_SessionStart:
			row = describe(id, k.SessionStart, e.GetAt().AsTime())
		case *recordv1.Event_SessionEnd:
			if row != nil {
				row.State, row.EndedAt, row.EndReason = sessionv1.State_ENDED, e.GetAt(), k.SessionEnd.GetReason()
			}
		case *recordv1.Event_Statement, *recordv1.Event_HttpRequest:
			if len(open) >= rebuildBatch {
				clear(open)
			}
			open[index.Number(e)] = e
		}
		number := tally.Add(e)
		if number != 0 {
			if st := open[number]; st != nil && st != e {
				batch = append(batch, st)
			}
			delete(open, number)
			batch, numbers[number] = append(batch, e), struct{}{}
		} else if _, ok := e.GetKind().(*recordv1.Event_Outcome); ok {
			delete(open, index.Number(e))
		}
		if len(batch) >= rebuildBatch {
			if err := flush(); err != nil {
				return row, err
			}
		}
	}
	if row != nil {
		c := tally.Counts
		row.Statements, row.Denied, row.Held, row.Rows, row.Bytes = c.Statements, c.Denied, c.Held, c.Rows, c.Bytes
	}
	return row, flush()
}
