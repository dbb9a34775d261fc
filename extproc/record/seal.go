package record

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/record/chunk"
	"github.com/sluicegate/sluice/extproc/record/index"
	"github.com/sluicegate/sluice/extproc/record/journal"
	"github.com/sluicegate/sluice/extproc/record/translog"
)

// maxPlacing is how many files are put in place together.
const maxPlacing = 64

// maxAge is how old a chunk's first byte may be before it is sealed.
const maxAge = time.Second

// ages are the open chunks in the order of their first bytes.
type ages struct {
	mu   sync.Mutex
	list []age
}

type age struct {
	session  *Session
	sequence uint64
	due      time.Time
}

func (a *ages) add(s *Session, sequence uint64, due time.Time) {
	a.mu.Lock()
	a.list = append(a.list, age{s, sequence, due})
	a.mu.Unlock()
}

// due takes those that are due.
func (a *ages) due(now time.Time) []age {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for n < len(a.list) && !a.list[n].due.After(now) {
		n++
	}
	out := a.list[:n:n]
	a.list = a.list[n:]
	if len(a.list) == 0 {
		a.list = nil
	}
	return out
}

// cutAged cuts the chunks that are old enough. A session that is busy is looked at again: it may be waiting for memory,
// and then it has nothing to cut.
func (r *Recorder) cutAged() {
	for _, a := range r.ages.due(time.Now()) {
		if !a.session.mu.TryLock() {
			r.ages.add(a.session, a.sequence, a.due)
			continue
		}
		if c := a.session.open; c != nil && c.sequence == a.sequence && r.failure.Load() == nil {
			a.session.cut()
		}
		a.session.mu.Unlock()
	}
}

// seal is a worker: it takes chunks from the queue, one session at a time, and passes files on to be put in place.
func (r *Recorder) seal(enc *chunk.Encoder) {
	for s := range r.queue {
		for s != nil {
			s.pendingMu.Lock()
			c := s.pending[s.encoded] // stays in the list until its file is there, for those who read
			s.pendingMu.Unlock()
			if r.failure.Load() == nil {
				if err := r.sealChunk(s, c, enc); err != nil {
					r.fail("seal", err)
				}
			}
			more := s.passed()
			r.placing <- sealed{s, c}
			if more {
				// Others first; if the queue is full, they have waited no longer than it takes.
				select {
				case r.queue <- s:
				default:
					continue
				}
			}
			s = nil
		}
	}
}

// passed counts a chunk as encoded and reports whether the session has more.
func (s *Session) passed() (more bool) {
	s.pendingMu.Lock()
	defer s.pendingMu.Unlock()
	s.encoded++
	s.queued = s.encoded < len(s.pending)
	return s.queued
}

// sealChunk makes a chunk's file and its leaf.
func (r *Recorder) sealChunk(s *Session, c *openChunk, enc *chunk.Encoder) error {
	file, err := enc.Encode(&recordv1.ChunkHeader{
		JournalHead: true,
		SessionId:   s.ID(), Sequence: c.sequence, Previous: s.previous, FirstEvent: c.firstEvent,
		OpenedAt: timestamppb.New(c.openedAt), Last: c.last, Events: c.events,
	}, c.payloads)
	if err != nil {
		return err
	}
	if c.prepared, err = r.store.Prepare(s.ID(), c.sequence, file); err != nil {
		return err
	}
	c.leaf = translog.Leaf{Session: s.ID(), Sequence: c.sequence, Digest: chunk.Digest(file)}
	copy(c.leaf.Previous[:], s.previous)
	s.previous = c.leaf.Digest[:]
	if len(c.notable) > 0 {
		rows, err := summarise(s.ID(), c.notable, c.payloads)
		if err != nil {
			return err
		}
		r.project.statements(rows)
	}
	return nil
}

// sealed is a chunk that a worker is done with.
type sealed struct {
	session *Session
	chunk   *openChunk
}

// place puts chunks in place, as many at a time as wait: what a file costs is mostly the wait for the disk, which many
// can share, and the next chunk is compressed meanwhile.
func (r *Recorder) place(ctx context.Context) {
	batch := make([]sealed, 0, maxPlacing)
	for first := range r.placing {
		batch = append(batch[:0], first)
	gather:
		for len(batch) < maxPlacing {
			select {
			case next, ok := <-r.placing:
				if !ok {
					break gather
				}
				batch = append(batch, next)
			default:
				break gather
			}
		}
		if r.failure.Load() != nil {
			discard(batch)
		} else if err := r.placeBatch(ctx, batch); err != nil {
			r.fail("seal", err)
		}
		for _, b := range batch {
			r.finish(b.session, b.chunk)
		}
		clear(batch)
	}
}

// discard gives up files that were prepared before the recorder failed; the journal has their events.
func discard(batch []sealed) {
	for _, b := range batch {
		if b.chunk.prepared != nil {
			_ = b.chunk.prepared.Discard() // it failed already
		}
	}
}

// placeBatch makes chunks durable, then puts their leaves on the way.
func (r *Recorder) placeBatch(ctx context.Context, batch []sealed) error {
	files := make([]*chunk.Prepared, len(batch))
	for i, b := range batch {
		files[i] = b.chunk.prepared
	}
	if err := r.store.Place(files); err != nil {
		return err
	}
	for _, b := range batch {
		hold := b.chunk.hold
		r.log.Add(ctx, b.chunk.leaf, func(err error) {
			if err != nil {
				r.fail("log", err)
				return
			}
			r.journal.Release(&hold)
		})
		r.project.changed(b.session)
	}
	return nil
}

// finish gives a chunk's memory back.
func (r *Recorder) finish(s *Session, c *openChunk) {
	s.pendingMu.Lock()
	s.pending = s.pending[1:]
	s.encoded--
	if len(s.pending) == 0 {
		s.pending = nil
	}
	s.pendingMu.Unlock()
	r.memory.give(int64(cap(c.buf.b)))
	r.buffers.put(c.buf)
	c.buf = nil
	if c.last {
		r.forget(s)
		close(s.sealed)
	}
	r.sealing.Done()
}

// payloads are the pieces of events in the chunk's records.
func (c *openChunk) payloads(yield func([]byte) bool) {
	journal.Records(c.buf.b[:c.written], func(rec journal.Record) bool {
		return rec.Kind != journal.KindEvents || yield(rec.Payload)
	})
}

// summarise makes the index's rows of some statements from pieces of events.
func summarise(session string, numbers map[uint64]struct{}, pieces func(func([]byte) bool)) ([]index.Statement, error) {
	sum := index.NewSummary(session, numbers)
	for piece := range pieces {
		for len(piece) > 0 {
			raw, rest, err := chunk.NextRaw(piece)
			if err != nil {
				return nil, err
			}
			piece = rest
			if raw.Kind == chunk.KindData {
				continue
			}
			e, err := raw.Decode()
			if err != nil {
				return nil, err
			}
			sum.Add(e)
		}
	}
	return sum.Statements(), nil
}
