package record

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record/chunk"
	"github.com/sluicegate/sluice/extproc/record/index"
	"github.com/sluicegate/sluice/extproc/record/journal"
	"github.com/sluicegate/sluice/extproc/record/translog"
)

// Session is one session's recording. It is safe for concurrent use; events are in the order in which calls got in.
type Session struct {
	r     *Recorder
	info  *sessionv1.Session // as it began; never changed
	place *journal.Session

	mu    sync.Mutex // guards the fields to the next blank line
	next  uint64     // event
	chunk uint64     // the next chunk to be opened
	tally index.Tally
	open  *openChunk // nil: none
	ended bool
	// sizes and scratch are encode's, of the events at hand.
	sizes   []sized
	scratch []byte

	pendingMu sync.Mutex   // guards the fields to the next blank line; never held while waiting
	pending   []*openChunk // cut, until they are in place
	encoded   int          // how many of them are past the worker
	queued    bool         // in the queue, or with a worker

	ending   atomic.Pointer[ending] // set when the end is written
	previous []byte                 // digest of the chunk sealed last; the worker's
	sealed   chan struct{}          // closed when the last chunk is sealed, or never will be
}

// ending is how a session ended.
type ending struct {
	at     time.Time
	reason string
}

// openChunk is a chunk until it is sealed. Its bytes are journal records: what was written to the journal is what is
// sealed, and each event is encoded once.
type openChunk struct {
	sequence   uint64
	firstEvent uint64
	events     uint64
	openedAt   time.Time
	last       bool
	buf        *buffer
	written    int // bytes of buf that are in the journal
	record     int // where the record begins that events are added to, -1: none
	count      uint32
	leaf       translog.Leaf
	prepared   *chunk.Prepared
	notable    map[uint64]struct{} // statements whose rows in the index change by this chunk
	hold       journal.Hold
}

// ID is the session's id.
func (s *Session) ID() string { return s.info.GetId() }

// begin writes the session's place in the journal and its first event in one go.
func (s *Session) begin(start *recordv1.SessionStart, description []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return &Error{Op: "begin", Err: ErrClosed}
	}
	// In front of the first record, so that the next process knows the session before its events; the first event is
	// about as long as the description.
	err := s.room(2*len(description) + 4*journal.HeadSize)
	if err == nil {
		s.open.buf.b = journal.AppendSession(s.open.buf.b, s.place.Ref(), 0, journal.State{}, description)
		_, err = s.append(false, s.info.GetStartedAt().AsTime(), &recordv1.Event{Kind: &recordv1.Event_SessionStart{SessionStart: start}})
	}
	if err != nil {
		s.ended = true
		s.drop()
	}
	return err
}

// Append writes events with their sequence and time, and returns when they are in the journal: a kill of this
// process does not lose them. If durable, it returns when a power cut does not lose them either; else that is so within
// 50 ms. Any error means that they may be lost, and what they belong to must not happen; it is an *Error.
//
// Append waits while chunks cannot be sealed as fast as they fill. The events must not be changed meanwhile; they are
// the caller's again when it returns.
func (s *Session) Append(durable bool, events ...*recordv1.Event) error {
	s.mu.Lock()
	place, err := s.appendIfLive(events)
	s.mu.Unlock()
	if err != nil || !durable {
		return err
	}
	if err := s.r.journal.Commit(place); err != nil {
		return s.r.failed("commit", err)
	}
	return nil
}

func (s *Session) appendIfLive(events []*recordv1.Event) (uint64, error) {
	if s.ended {
		return 0, &Error{Op: "append", Err: ErrEnded}
	}
	if err := s.r.ready(false); err != nil {
		return 0, err
	}
	return s.append(false, s.r.opts.Now(), events...)
}

// append encodes events into the open chunk and writes it to the journal. At the end nothing comes after them.
func (s *Session) append(end bool, now time.Time, events ...*recordv1.Event) (uint64, error) {
	if err := s.encode(now, events...); err != nil {
		return 0, err
	}
	return s.flush(end)
}

// encode encodes events into the open chunk: none of them if one is too large.
func (s *Session) encode(now time.Time, events ...*recordv1.Event) error {
	s.scratch = s.scratch[:0]
	s.sizes = s.sizes[:0]
	for i, e := range events {
		size, byHand := s.byHand(now, s.next+uint64(i), e)
		if !byHand {
			e = valid(e)
			e.Sequence, e.At = s.next+uint64(i), timestamppb.New(now)
			size = proto.Size(e)
		}
		if size > chunk.MaxEvent {
			return &Error{Op: "append", Err: &TooLargeError{Size: size, Max: chunk.MaxEvent}}
		}
		s.sizes = append(s.sizes, sized{size, byHand, e})
	}
	scratch := s.scratch
	if cap(s.scratch) > 4*maxByHand {
		s.scratch = nil
	}
	defer clear(s.sizes)
	for _, one := range s.sizes {
		n, byHand, e := one.bytes, one.byHand, one.event
		if err := s.beginEvent(n + protowire.SizeVarint(uint64(n))); err != nil { //nolint:gosec // G115: a size
			return err
		}
		c := s.open
		b := protowire.AppendVarint(c.buf.b, uint64(n)) //nolint:gosec // G115: a size
		if byHand {
			b, scratch = append(b, scratch[:n]...), scratch[n:]
		} else {
			var err error
			if b, err = (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend(b, e); err != nil {
				return &Error{Op: "encode", Err: err} // the buffer ends before it, so the recording goes on
			}
		}
		c.buf.b = b
		s.endEvent()
		if number := s.tally.Add(e); number != 0 {
			if c.notable == nil {
				c.notable = map[uint64]struct{}{}
			}
			c.notable[number] = struct{}{}
		}
	}
	return nil
}

// sized is an event as encode has it in its first round: in scratch, or by its size only.
type sized struct {
	bytes  int
	byHand bool
	event  *recordv1.Event
}

// byHand encodes an event behind the scratch, if it is of those that are encoded so.
func (s *Session) byHand(now time.Time, sequence uint64, e *recordv1.Event) (size int, ok bool) {
	from := len(s.scratch)
	m := message{b: s.scratch, end: from + maxByHand}
	if ok = m.event(sequence, now, e); !ok {
		m.b = m.b[:from]
	}
	s.scratch = m.b
	return len(m.b) - from, ok
}

// beginEvent makes room for an event of n bytes in the open record.
func (s *Session) beginEvent(n int) error {
	if err := s.room(n + journal.HeadSize); err != nil {
		return err
	}
	if c := s.open; c.record < 0 {
		c.record, c.count = len(c.buf.b), 0
		c.buf.b = journal.Reserve(c.buf.b)
	}
	return nil
}

func (s *Session) endEvent() {
	s.open.count++
	s.open.events++
	s.next++
}

// flush ends the open record and writes what is not written yet to the journal.
func (s *Session) flush(end bool) (uint64, error) {
	c := s.open
	if c == nil {
		return 0, nil
	}
	if c.record >= 0 {
		journal.Finish(c.buf.b[c.record:], journal.KindEvents, s.place.Ref(), c.sequence, c.count)
		c.record = -1
	}
	if c.written == len(c.buf.b) {
		return 0, nil
	}
	counts := s.tally.Counts
	state := journal.State{
		NextEvent: s.next, Statements: counts.Statements, Denied: counts.Denied, Held: counts.Held,
		Rows: counts.Rows, Bytes: counts.Bytes,
	}
	place, err := s.r.journal.Append(s.place, c.buf.b[c.written:], c.sequence, state, &c.hold, end)
	if err != nil {
		return 0, s.r.failed("append", err)
	}
	c.written = len(c.buf.b)
	return place, nil
}

// room makes sure that the open chunk can take n more bytes. A chunk that is full is cut; so is one that cannot grow
// for want of memory, and then it waits for memory while holding none: whoever has some can be sealed.
func (s *Session) room(n int) error {
	if c := s.open; c != nil {
		have := len(c.buf.b)
		if have+n <= cap(c.buf.b) && have+n <= chunk.Target {
			return nil
		}
		if have+n <= chunk.Target && s.grow(have+n) {
			return nil
		}
		if _, err := s.flush(false); err != nil {
			return err
		}
		s.cut()
	}
	size, class := sizeFor(n)
	if !s.r.memory.take(int64(size)) {
		return s.r.ready(true)
	}
	s.open = &openChunk{
		sequence: s.chunk, firstEvent: s.next, openedAt: s.r.opts.Now(), record: -1,
		buf: s.r.buffers.get(size, class),
	}
	s.r.ages.add(s, s.chunk, time.Now().Add(maxAge))
	return nil
}

// grow moves the open chunk to a greater buffer, if there is memory now.
func (s *Session) grow(n int) bool {
	size, class := sizeFor(n)
	c := s.open
	if !s.r.memory.try(int64(size)) {
		return false
	}
	old := c.buf
	c.buf = s.r.buffers.get(size, class)
	c.buf.b = append(c.buf.b, old.b...)
	s.r.memory.give(int64(cap(old.b)))
	s.r.buffers.put(old)
	return true
}

// cut hands the open chunk, whole in the journal, to the sealing workers. It waits while too many sessions wait.
func (s *Session) cut() {
	c := s.open
	s.open = nil
	s.chunk++
	s.r.sealing.Add(1)
	s.pendingMu.Lock()
	s.pending = append(s.pending, c)
	queued := s.queued
	s.queued = true
	s.pendingMu.Unlock()
	if !queued {
		s.r.queue <- s
	}
}

// End writes the session's end with its totals, and waits until its last chunk is sealed or the context ends; it is
// sealed then all the same. A second End waits like the first.
func (s *Session) End(ctx context.Context, reason string) error {
	if err := s.stop(reason); err != nil {
		return err
	}
	select {
	case <-s.sealed:
		if f := s.r.failure.Load(); f != nil {
			return f
		}
		return nil
	case <-ctx.Done():
		return &Error{Op: "end", Err: context.Cause(ctx)}
	}
}

// stop writes the session's end and cuts its last chunk.
func (s *Session) stop(reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	s.ended = true
	at := s.r.opts.Now()
	err := s.r.ready(true)
	if err == nil && s.next == 0 {
		err = &Error{Op: "end", Err: ErrClosed} // the recorder was closed before the session's first event
	}
	if err == nil {
		_, err = s.append(true, at, &recordv1.Event{Kind: &recordv1.Event_SessionEnd{SessionEnd: &recordv1.SessionEnd{
			Reason: reason, Statements: s.tally.Counts.Statements, Rows: s.tally.Counts.Rows, Bytes: s.tally.Counts.Bytes,
		}}})
	}
	if err != nil {
		// The journal has what could be written; the next process ends the session.
		s.drop()
		return err
	}
	s.ending.Store(&ending{at: at, reason: reason})
	s.open.last = true
	s.cut()
	return nil
}

// drop gives up the open chunk of a session that cannot be recorded any more.
func (s *Session) drop() {
	if c := s.open; c != nil {
		s.open = nil
		s.r.memory.give(int64(cap(c.buf.b)))
	}
	s.r.forget(s)
	close(s.sealed)
}

// row is the session as it is in the journal.
func (s *Session) row() *sessionv1.Session {
	row := proto.CloneOf(s.info)
	state := s.r.journal.State(s.place)
	row.Statements, row.Denied, row.Held, row.Rows, row.Bytes = state.Statements, state.Denied, state.Held, state.Rows, state.Bytes
	if e := s.ending.Load(); e != nil {
		row.State, row.EndedAt, row.EndReason = sessionv1.State_ENDED, timestamppb.New(e.at), e.reason
	}
	return row
}
