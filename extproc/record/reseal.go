package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record/chunk"
	"github.com/sluicegate/sluice/extproc/record/index"
	"github.com/sluicegate/sluice/extproc/record/translog"
)

// finish seals, logs and indexes all, and waits until the leaves are in the log.
func (rec *recovery) finish(ctx context.Context) error {
	logged, err := rec.logged()
	if err != nil {
		return err
	}
	var rows []*sessionv1.Session
	for _, ref := range slices.Sorted(maps.Keys(rec.orphans)) {
		o := rec.orphans[ref]
		statements, err := rec.seal(o)
		if err != nil {
			return err
		}
		if err := rec.relog(ctx, o, logged); err != nil {
			return err
		}
		c := o.tally.Counts
		o.info.State = sessionv1.State_ENDED
		o.info.Statements, o.info.Denied, o.info.Held, o.info.Rows, o.info.Bytes = c.Statements, c.Denied, c.Held, c.Rows, c.Bytes
		rows = append(rows, o.info)
		if err := rec.r.index.PutStatements(ctx, statements); err != nil {
			rec.r.opts.Logger.Warn("index could not be written", slog.Any("error", err))
			if err := rec.r.project.markLost(); err != nil {
				return err
			}
		}
	}
	if err := rec.r.index.PutSessions(ctx, rows); err != nil {
		rec.r.opts.Logger.Warn("index could not be written", slog.Any("error", err))
		if err := rec.r.project.markLost(); err != nil {
			return err
		}
	}
	return rec.wait(ctx)
}

// wait returns when all leaves are in the log.
func (rec *recovery) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { // ends with the log's work, or with the process
		rec.adding.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("record: recover: %w", context.Cause(ctx))
	}
	if err := rec.failed.Load(); err != nil {
		return fmt.Errorf("record: recover: %w", *err)
	}
	return nil
}

// place is a chunk's.
type place struct {
	session  string
	sequence uint64
}

// logged are the leaves since the journal's beginning.
func (rec *recovery) logged() (map[place]translog.Leaf, error) {
	logged := map[place]translog.Leaf{}
	size := rec.r.log.Size()
	err := translog.Leaves(rec.r.root, rec.logSize, func(i uint64, l translog.Leaf, err error) error {
		if err == nil && i < size {
			logged[place{l.Session, l.Sequence}] = l
		}
		return err
	})
	return logged, err
}

// seal writes the chunks that are open, and a session's end if it has none. It returns the index's rows.
func (rec *recovery) seal(o *orphan) ([]index.Statement, error) {
	id := o.info.GetId()
	files, _, err := rec.r.store.Chunks(id)
	if err != nil {
		return nil, err
	}
	if n := len(files); n > 0 {
		if err := rec.readLast(o, files[n-1]); err != nil {
			return nil, err
		}
	}
	if !o.ended {
		c := o.chunks[o.last]
		if c == nil || c.sealed {
			o.last++
			c = &lostChunk{first: o.next}
			o.chunks[o.last] = c
		}
		rec.end(o, c)
	}
	var statements []index.Statement
	for _, n := range slices.Sorted(maps.Keys(o.chunks)) {
		c := o.chunks[n]
		pieces := c.pieces
		if c.sealed {
			if len(c.notable) == 0 {
				continue
			}
			if _, _, err := rec.open(id, n); err != nil {
				return nil, err
			}
			pieces = rec.dec.Rest()
		} else if err := rec.sealChunk(o, n, c); err != nil {
			return nil, err
		}
		rows, err := summarise(id, c.notable, func(yield func([]byte) bool) { yield(pieces) })
		if err != nil {
			return nil, err
		}
		statements = append(statements, rows...)
	}
	return statements, nil
}

// sealChunk writes a chunk that was open.
func (rec *recovery) sealChunk(o *orphan, n uint64, c *lostChunk) error {
	id := o.info.GetId()
	var previous []byte
	if n > 0 {
		switch file, err := rec.r.store.Read(id, n-1); {
		case err == nil:
			d := chunk.Digest(file)
			previous = d[:]
		case errors.Is(err, fs.ErrNotExist):
			// The chain is broken, and stays so for everybody to see.
			rec.r.opts.Logger.Error("a chunk is missing", slog.String("session", id), slog.Uint64("chunk", n-1))
		default:
			return err
		}
	}
	file, err := rec.enc.Encode(&recordv1.ChunkHeader{
		JournalHead: true,
		SessionId:   id, Sequence: n, Previous: previous, FirstEvent: c.first,
		OpenedAt: timestamppb.New(rec.r.opts.Now()), Last: o.ended && n == o.last, Events: c.events,
	}, func(yield func([]byte) bool) { yield(c.pieces) })
	if err != nil {
		return err
	}
	prepared, err := rec.r.store.Prepare(id, n, file)
	if err != nil {
		return err
	}
	return rec.r.store.Place([]*chunk.Prepared{prepared})
}

// end adds a session's end to a chunk.
func (rec *recovery) end(o *orphan, c *lostChunk) {
	at := timestamppb.New(rec.r.opts.Now())
	counts := o.tally.Counts
	b, err := proto.Marshal(&recordv1.Event{Sequence: o.next, At: at, Kind: &recordv1.Event_SessionEnd{SessionEnd: &recordv1.SessionEnd{
		Reason: restarted, Statements: counts.Statements, Rows: counts.Rows, Bytes: counts.Bytes,
	}}})
	if err != nil {
		panic(fmt.Sprintf("record: a message of ours does not marshal: %v", err))
	}
	c.pieces = append(protowire.AppendVarint(c.pieces, uint64(len(b))), b...)
	c.events++
	o.next++
	o.ended = true
	o.info.EndedAt, o.info.EndReason = at, restarted
}

// readLast takes from the last sealed chunk what the journal may not know: how far the session came, and its end if an
// earlier recovery wrote it.
func (rec *recovery) readLast(o *orphan, n uint64) error {
	id := o.info.GetId()
	_, header, err := rec.open(id, n)
	if err != nil {
		return err
	}
	o.next = max(o.next, header.GetFirstEvent()+header.GetEvents())
	o.last = max(o.last, n)
	if !header.GetLast() {
		return nil
	}
	for {
		raw, err := rec.dec.Next()
		if err != nil {
			return fmt.Errorf("record: recover: session %s: %w", id, err)
		}
		if raw.Kind != chunk.KindSessionEnd {
			continue
		}
		e, err := raw.Decode()
		if err != nil {
			return err
		}
		o.ended = true
		o.info.EndedAt, o.info.EndReason = e.GetAt(), e.GetSessionEnd().GetReason()
		return nil
	}
}

// open reads a sealed chunk's file and header.
func (rec *recovery) open(id string, n uint64) ([]byte, *recordv1.ChunkHeader, error) {
	file, err := rec.r.store.Read(id, n)
	if err != nil {
		return nil, nil, err
	}
	header, err := rec.dec.Open(file)
	if err != nil {
		return nil, nil, fmt.Errorf("record: recover: chunk %d of session %s: %w", n, id, err)
	}
	return file, header, nil
}

// relog adds the leaves of a session's chunks that the journal still kept and that are not in the log.
func (rec *recovery) relog(ctx context.Context, o *orphan, logged map[place]translog.Leaf) error {
	id := o.info.GetId()
	files, _, err := rec.r.store.Chunks(id)
	if err != nil {
		return err
	}
	for _, n := range files {
		// One that the journal has nothing of was let go: it is in the log. Unless an earlier recovery made it.
		if _, ok := logged[place{id, n}]; ok || o.chunks[n] == nil && n < o.last {
			continue
		}
		file, header, err := rec.open(id, n)
		if err != nil {
			return err
		}
		leaf := translog.Leaf{Session: id, Sequence: n, Digest: chunk.Digest(file)}
		copy(leaf.Previous[:], header.GetPrevious())
		rec.adding.Add(1)
		rec.r.log.Add(ctx, leaf, func(err error) {
			if err != nil {
				rec.failed.CompareAndSwap(nil, &err)
			}
			rec.adding.Done()
		})
	}
	return nil
}
