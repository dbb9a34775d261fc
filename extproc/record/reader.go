package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"

	"google.golang.org/protobuf/proto"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record/chunk"
	"github.com/sluicegate/sluice/extproc/record/journal"
	"github.com/sluicegate/sluice/extproc/record/translog"
)

// Reader reads a directory of recordings without changing it, whether somebody records into it or not.
type Reader struct {
	root  *os.Root
	store *chunk.Store
}

// OpenDir opens a directory of recordings for reading.
func OpenDir(dir string) (*Reader, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return &Reader{root: root, store: chunk.NewStore(root)}, nil
}

// Close gives up the directory.
func (r *Reader) Close() error { return r.root.Close() }

// Sessions are the ids of the recordings that have a chunk, in no order.
func (r *Reader) Sessions(ctx context.Context) ([]string, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	var ids []string
	err := r.store.Sessions(func(id string) { ids = append(ids, id) }, func(string) {})
	return ids, err
}

// Events are a session's events in order: those of its chunks, then those that only the journal has. After an error
// there is nothing more; no recording of that id is ErrNotFound. Nothing is checked against the log: that is audit's.
func (r *Reader) Events(ctx context.Context, id string) iter.Seq2[*recordv1.Event, error] {
	return func(yield func(*recordv1.Event, error) bool) {
		w := &walk{ctx: ctx, id: id, store: r.store, yield: yield}
		defer w.close()
		err := w.sealed()
		for before := ^uint64(0); err == nil && w.chunk != before; {
			before = w.chunk
			err = r.tail(w)
			if _, gap := errors.AsType[*gapError](err); gap || err == nil {
				// Chunks that were sealed, and left the journal, while it was read.
				if serr := w.sealed(); serr != nil || w.chunk != before {
					err = serr
				}
			}
		}
		if err == nil && w.chunk == 0 && w.next == 0 {
			err = ErrNotFound
		}
		w.end(err)
	}
}

// tail walks what the journal has past the chunks.
func (r *Reader) tail(w *walk) error {
	refs := map[uint64]bool{}
	return journal.Scan(r.root,
		func(uint64, uint64) error { return nil },
		func(j journal.Record) error {
			switch {
			case j.Kind == journal.KindSession:
				_, description, err := journal.ParseSession(j.Payload)
				if err != nil {
					return err
				}
				var info sessionv1.Session
				if err := proto.Unmarshal(description, &info); err != nil {
					return fmt.Errorf("record: journal: %w", err)
				}
				if info.GetId() == w.id {
					refs[j.Ref] = true
				}
				return nil
			case !refs[j.Ref]:
				return nil
			}
			return w.events(j.Payload)
		},
		func(uint64, *journal.TornError) {}) // what is torn was never acknowledged as synced
}

// gapError says that events are missing.
type gapError struct {
	id         string
	want, have uint64
}

func (e *gapError) Error() string {
	return fmt.Sprintf("record: session %s: events %d to %d are missing", e.id, e.want, e.have-1)
}

// errStop ends a walk because nobody listens any more.
var errStop = errors.New("stop")

// walk gives the events of a session in order, each once, from wherever they are found.
type walk struct {
	ctx   context.Context
	id    string
	store *chunk.Store
	dec   *chunk.Decoder
	chunk uint64 // the next
	// logged are the digests that the log has of the session's chunks; nil: they are not compared.
	logged map[uint64][chunk.DigestSize]byte
	next   uint64 // event
	yield  func(*recordv1.Event, error) bool
}

func (w *walk) close() {
	if w.dec != nil {
		w.dec.Close()
	}
}

// end tells the listener about an error.
func (w *walk) end(err error) {
	if err != nil && !errors.Is(err, errStop) {
		w.yield(nil, err)
	}
}

// sealed walks the chunks that have files, up to the first that has none.
func (w *walk) sealed() error {
	if err := chunk.CheckSessionID(w.id); err != nil {
		return ErrNotFound
	}
	if w.dec == nil {
		dec, err := chunk.NewDecoder()
		if err != nil {
			return err
		}
		w.dec = dec
	}
	for ; ; w.chunk++ {
		file, err := w.store.Read(w.id, w.chunk)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if want, ok := w.logged[w.chunk]; err == nil && ok && chunk.Digest(file) != want {
			return fmt.Errorf("record: session %s, chunk %d: %w", w.id, w.chunk, ErrNotAsLogged)
		}
		if err == nil {
			_, err = w.dec.Open(file)
		}
		for err == nil {
			var raw chunk.Raw
			if raw, err = w.dec.Next(); err == nil {
				err = w.event(raw)
			}
		}
		if !errors.Is(err, io.EOF) {
			return fmt.Errorf("record: session %s, chunk %d: %w", w.id, w.chunk, err)
		}
	}
}

// events walks a piece of events.
func (w *walk) events(piece []byte) error {
	for len(piece) > 0 {
		raw, rest, err := chunk.NextRaw(piece)
		if err != nil {
			return err
		}
		piece = rest
		if err := w.event(raw); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) event(raw chunk.Raw) error {
	if raw.Sequence < w.next {
		return nil // seen in a chunk already
	}
	if raw.Sequence > w.next {
		return &gapError{w.id, w.next, raw.Sequence}
	}
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	e, err := raw.Decode()
	if err != nil {
		return err
	}
	w.next++
	if !w.yield(e, nil) {
		return errStop
	}
	return nil
}

// Events are a session's events so far in order, whether it is live or not. After an error there is nothing more; no
// recording of that id is ErrNotFound. Chunks are compared with the log: ErrNotAsLogged for one that was changed.
func (r *Recorder) Events(ctx context.Context, id string) iter.Seq2[*recordv1.Event, error] {
	return func(yield func(*recordv1.Event, error) bool) {
		w := &walk{ctx: ctx, id: id, store: r.store, yield: yield}
		defer w.close()
		var lerr error
		if w.logged, lerr = r.logged(ctx, id); lerr != nil {
			w.end(lerr)
			return
		}
		// Asked first: a session that ends meanwhile has all its chunks sealed.
		s := r.session(id)
		err := w.sealed()
		if err == nil && s != nil {
			err = s.tail(w)
		}
		if err == nil && w.chunk == 0 && w.next == 0 {
			err = ErrNotFound
		}
		w.end(err)
	}
}

// logged are the digests of a session's chunks in the log.
func (r *Recorder) logged(ctx context.Context, id string) (map[uint64][chunk.DigestSize]byte, error) {
	out := map[uint64][chunk.DigestSize]byte{}
	err := translog.Leaves(r.root, 0, func(_ uint64, l translog.Leaf, lerr error) error {
		if lerr == nil && l.Session == id {
			out[l.Sequence] = l.Digest
		}
		return context.Cause(ctx) // an entry that is none is audit's to tell
	})
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return out, nil
}

// Start is how a session began, from its recording: unlike the index it was logged.
func (r *Recorder) Start(ctx context.Context, id string) (*recordv1.SessionStart, error) {
	for e, err := range r.Events(ctx, id) {
		if err != nil {
			return nil, err
		}
		if s := e.GetSessionStart(); s != nil {
			return s, nil
		}
		break
	}
	return nil, fmt.Errorf("record: session %s: %w", id, ErrNotAsLogged)
}

// tail walks the chunks of a live session that are in memory.
func (s *Session) tail(w *walk) error {
	for {
		events, where := s.copyTail(w.chunk)
		switch where {
		case nowhere:
			return nil
		case inFile:
			// It was sealed since it was looked for.
			before := w.chunk
			if err := w.sealed(); err != nil || w.chunk == before {
				return err
			}
		case whole, growing:
			if err := w.events(events); err != nil || where == growing {
				return err // what has been added since is not "so far"
			}
			w.chunk++
		}
	}
}

// whereabouts is where a chunk of a live session is.
type whereabouts int

const (
	nowhere whereabouts = iota // there is no such chunk yet
	inFile                     // it was sealed
	whole                      // in memory, cut
	growing                    // in memory, open
)

// copyTail copies the events of a chunk that is in memory.
func (s *Session) copyTail(sequence uint64) ([]byte, whereabouts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil && s.open.sequence == sequence {
		return s.open.copyEvents(), growing
	}
	s.pendingMu.Lock()
	defer s.pendingMu.Unlock()
	for _, c := range s.pending {
		if c.sequence == sequence {
			return c.copyEvents(), whole
		}
	}
	if sequence < s.chunk {
		return nil, inFile
	}
	return nil, nowhere
}

func (c *openChunk) copyEvents() []byte {
	events := make([]byte, 0, c.written)
	c.payloads(func(p []byte) bool {
		events = append(events, p...)
		return true
	})
	return events
}
