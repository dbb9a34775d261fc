package record

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"

	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record/chunk"
	"github.com/sluicegate/sluice/extproc/record/index"
	"github.com/sluicegate/sluice/extproc/record/journal"
	"github.com/sluicegate/sluice/extproc/record/translog"
)

// restarted is the reason with which sessions end that their process did not end.
const restarted = "recorder restarted"

// orphan is a session that a process before left in the journal.
type orphan struct {
	info   *sessionv1.Session
	tally  index.Tally
	next   uint64 // event
	last   uint64 // the chunk that was written to last
	ended  bool
	chunks map[uint64]*lostChunk // that the journal has events of
}

// lostChunk is a chunk as the journal has it.
type lostChunk struct {
	sealed  bool // its file is there, which counts: the journal may have less after a power cut
	first   uint64
	events  uint64
	pieces  []byte // unless sealed
	notable map[uint64]struct{}
}

// recovery brings to an end what a process before left. Doing it twice, or in part and then again, comes to the same:
// a chunk whose file is there is sealed, a leaf that is in the log is not added again, and the journal goes last.
type recovery struct {
	r       *Recorder
	enc     *chunk.Encoder
	dec     *chunk.Decoder
	orphans map[uint64]*orphan // by ref
	logSize uint64             // leaves of these chunks are not before it
	adding  sync.WaitGroup
	failed  atomic.Pointer[error] // to add
}

// recoverJournal seals and logs what the journal holds and removes it. It returns the last segment's number.
func (r *Recorder) recoverJournal(ctx context.Context, signer note.Signer) (last uint64, err error) {
	segments, err := journal.Segments(r.root)
	if err != nil {
		return 0, err
	}
	if err := r.checkJournal(); err != nil {
		return 0, err
	}
	if len(segments) == 0 {
		return r.lastSegment(), r.checkBeginning()
	}
	rec := &recovery{r: r, orphans: map[uint64]*orphan{}, logSize: r.log.Size()}
	if rec.enc, err = chunk.NewEncoder(); err != nil {
		return 0, err
	}
	if rec.dec, err = chunk.NewDecoder(); err != nil {
		return 0, err
	}
	defer rec.dec.Close()
	if err := r.store.Create(); err != nil {
		return 0, err
	}
	if err := rec.scan(); err != nil {
		return 0, err
	}
	if err := rec.finish(ctx); err != nil {
		return 0, err
	}
	newest := segments[len(segments)-1]
	// The head first: it must not speak of what is gone, whenever this is cut off.
	if err := journal.WriteHead(r.root, journal.Head{Segment: newest}, signer); err != nil {
		return 0, err
	}
	if err := journal.Remove(r.root, segments); err != nil {
		return 0, err
	}
	return newest, nil
}

// checkJournal refuses a journal that is not what its head says: to go on would remove the trace of it.
func (r *Recorder) checkJournal() error {
	faults, err := journal.Check(r.root, r.key, false)
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return &translog.DamagedError{Reason: faults[0].Message}
	}
	return nil
}

// lastSegment is the newest number that the head knows: numbers are not used twice.
func (r *Recorder) lastSegment() uint64 {
	head, err := journal.ReadHead(r.root, r.key)
	if err != nil {
		return 0 // there is none: a new directory
	}
	return head.Segment
}

// checkBeginning refuses a directory that has chunks but neither a log nor a journal that knows them: somebody removed
// the log, and a new one would hide it.
func (r *Recorder) checkBeginning() error {
	if r.log.Size() == 0 {
		ids, err := r.known()
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			return &translog.DamagedError{Reason: fmt.Sprintf("it is empty, but %d sessions are recorded", len(ids))}
		}
	}
	return r.store.Create()
}

func (rec *recovery) scan() error {
	return journal.Scan(rec.r.root,
		func(number, logSize uint64) error {
			if size := rec.r.log.Size(); size < logSize {
				return &translog.DamagedError{Reason: fmt.Sprintf("it has %d entries, and had %d when segment %d of the journal was begun", size, logSize, number)}
			}
			rec.logSize = min(rec.logSize, logSize)
			return nil
		},
		func(j journal.Record) error {
			if j.Kind == journal.KindSession {
				return rec.session(j)
			}
			return rec.events(j)
		},
		func(number uint64, err *journal.TornError) {
			rec.r.opts.Logger.Warn("journal ends early, as after a power cut", slog.Uint64("segment", number), slog.Any("error", err))
		})
}

func (rec *recovery) session(j journal.Record) error {
	st, description, err := journal.ParseSession(j.Payload)
	if err != nil {
		return err
	}
	o := rec.orphans[j.Ref]
	if o == nil {
		o = &orphan{info: &sessionv1.Session{}, chunks: map[uint64]*lostChunk{}}
		if err := proto.Unmarshal(description, o.info); err != nil {
			return fmt.Errorf("record: journal: %w", err)
		}
		rec.orphans[j.Ref] = o
	}
	o.next, o.last = st.NextEvent, j.Chunk
	o.tally.Counts = index.Counts{Statements: st.Statements, Denied: st.Denied, Held: st.Held, Rows: st.Rows, Bytes: st.Bytes}
	return nil
}

func (rec *recovery) events(j journal.Record) error {
	o := rec.orphans[j.Ref]
	if o == nil {
		// Only what came before was lost: a segment that could not be read.
		rec.r.opts.Logger.Error("journal has events of an unknown session", slog.Uint64("ref", j.Ref))
		return nil
	}
	o.last = j.Chunk
	c := o.chunks[j.Chunk]
	if c == nil {
		sealed, err := rec.r.store.Exists(o.info.GetId(), j.Chunk)
		if err != nil {
			return err
		}
		c = &lostChunk{sealed: sealed}
		o.chunks[j.Chunk] = c
	}
	for b := j.Payload; len(b) > 0; {
		raw, rest, err := chunk.NextRaw(b)
		if err != nil {
			return err
		}
		b = rest
		if c.events == 0 {
			c.first = raw.Sequence
		}
		c.events++
		if raw.Kind != chunk.KindData {
			e, err := raw.Decode()
			if err != nil {
				return err
			}
			if number := o.tally.Add(e); number != 0 {
				if c.notable == nil {
					c.notable = map[uint64]struct{}{}
				}
				c.notable[number] = struct{}{}
			}
			if raw.Kind == chunk.KindSessionEnd {
				o.ended = true
				o.info.EndedAt, o.info.EndReason = e.GetAt(), e.GetSessionEnd().GetReason()
			}
		}
		o.next = raw.Sequence + 1
	}
	if !c.sealed {
		c.pieces = append(c.pieces, j.Payload...)
	}
	return nil
}
