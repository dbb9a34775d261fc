package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/sluicegate/sluice/extproc/record/chunk"
	"github.com/sluicegate/sluice/extproc/record/translog"
)

// reading follows one session through its chunks.
type reading struct {
	id        string
	s         *session
	held      *held
	nextEvent uint64
	nextKnown bool // false after a chunk that could not be read
	last      bool // the session's end was read
}

// session checks one session's chunks against the log.
func (a *audit) session(id string) error {
	s := a.sessions[id]
	if s == nil {
		s = &session{}
		a.sessions[id] = s
	}
	files, strays, err := a.store.Chunks(id)
	if err != nil {
		return err
	}
	for _, name := range strays {
		if chunk.Leftover(name) {
			a.report.Notes = append(a.report.Notes, fmt.Sprintf("%s/%s/%s is a chunk that was being written when its process ended.", chunk.Dir, id, name))
			continue
		}
		a.report.add(Finding{Kind: Added, Session: id, File: chunk.Dir + "/" + id + "/" + name, Message: fmt.Sprintf("%q is no chunk of session %s.", name, id)})
	}
	if len(files) == 0 && len(s.leaves) == 0 {
		return nil // a directory whose first chunk is in the journal still
	}
	a.report.Sessions++
	r := &reading{id: id, s: s, held: newHeld(), nextKnown: true}
	have := map[uint64]bool{}
	for _, n := range files {
		have[n] = true
		s.files = max(s.files, n+1)
	}
	for n := range max(s.files, uint64(len(s.leaves))) {
		if !have[n] {
			if n < uint64(len(s.leaves)) && (s.leaves[n].known || len(a.suspects) == 0) || n < s.files {
				a.report.add(Finding{Kind: Removed, Session: id, Chunk: ptr(n), Message: fmt.Sprintf("Chunk %d of session %s was removed.", n, id)})
			}
			r.nextKnown = false
			continue
		}
		if err := a.chunk(r, n); err != nil {
			return err
		}
	}
	s.open = !r.last
	a.judgeHeld(r)
	return nil
}

// chunk checks one chunk's file.
func (a *audit) chunk(r *reading, n uint64) error {
	file, err := a.store.Read(r.id, n)
	if _, bad := errors.AsType[*chunk.FormatError](err); err != nil && !bad {
		if errors.Is(err, fs.ErrNotExist) {
			a.report.add(Finding{Kind: Removed, Session: r.id, Chunk: ptr(n), Message: fmt.Sprintf("Chunk %d of session %s was removed.", n, r.id)})
			r.nextKnown = false
			return nil
		}
		return err
	}
	digest := chunk.Digest(file)
	known := n < uint64(len(r.s.leaves)) && r.s.leaves[n].known
	if known && digest != r.s.leaves[n].digest {
		a.report.add(a.why(r.id, n, file))
		r.nextKnown = false
		return nil
	}
	if !known && !a.suspect(r.id, n, file) {
		a.unlogged = append(a.unlogged, place{r.id, n})
	}
	if r.last {
		a.report.add(Finding{Kind: Added, Session: r.id, Chunk: ptr(n), Message: fmt.Sprintf("Chunk %d stands after the end of session %s.", n, r.id)})
	}
	return a.read(r, n, file)
}

// suspect reports whether a chunk is one whose entry in the log was changed: the log's tile still knows the entry.
func (a *audit) suspect(id string, n uint64, file []byte) bool {
	if len(a.suspects) == 0 {
		return false
	}
	h, err := a.dec.Open(file)
	if err != nil {
		return false
	}
	l := translog.Leaf{Session: id, Sequence: n, Digest: chunk.Digest(file)}
	copy(l.Previous[:], h.GetPrevious())
	_, ok := a.suspects[[32]byte(hasher.HashLeaf(l.Marshal()))]
	return ok
}

// why says what happened to a chunk whose file is not the one that was logged.
func (a *audit) why(id string, n uint64, file []byte) Finding {
	f := Finding{Kind: Changed, Session: id, Chunk: ptr(n), Message: fmt.Sprintf("Chunk %d of session %s was changed.", n, id)}
	h, err := a.dec.Open(file)
	if bad, ok := errors.AsType[*chunk.FormatError](err); ok && bad.Truncated {
		f.Kind, f.Message = Truncated, fmt.Sprintf("Chunk %d of session %s was cut short.", n, id)
		return f
	}
	if err != nil || h.GetSessionId() == id && h.GetSequence() == n {
		return f
	}
	if o := a.sessions[h.GetSessionId()]; o != nil && h.GetSequence() < uint64(len(o.leaves)) && o.leaves[h.GetSequence()].digest == chunk.Digest(file) {
		f.Kind = Reordered
		f.Message = fmt.Sprintf("In the place of chunk %d of session %s stands chunk %d of session %s.", n, id, h.GetSequence(), h.GetSessionId())
	}
	return f
}

// read follows the events of a chunk.
func (a *audit) read(r *reading, n uint64, file []byte) error {
	bad := func(format string, args ...any) {
		a.report.add(Finding{Kind: Changed, Session: r.id, Chunk: ptr(n), Message: fmt.Sprintf("Chunk %d of session %s ", n, r.id) + fmt.Sprintf(format, args...) + "."})
	}
	h, err := a.dec.Open(file)
	if err != nil {
		bad("cannot be read: %v", err)
		r.nextKnown = false
		return nil
	}
	if h.GetSessionId() != r.id || h.GetSequence() != n {
		bad("says that it is chunk %d of session %s", h.GetSequence(), h.GetSessionId())
	}
	if n > 0 && n <= uint64(len(r.s.leaves)) && r.s.leaves[n-1].known && string(h.GetPrevious()) != string(r.s.leaves[n-1].digest[:]) {
		bad("does not follow chunk %d", n-1)
	}
	if r.nextKnown && h.GetFirstEvent() != r.nextEvent {
		a.report.add(Finding{
			Kind: Removed, Session: r.id, Chunk: ptr(n),
			Message: fmt.Sprintf("Chunk %d of session %s begins with event %d; event %d should come.", n, r.id, h.GetFirstEvent(), r.nextEvent),
		})
	}
	for {
		raw, err := a.dec.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			bad("cannot be read: %v", err)
			r.nextKnown = false
			return nil
		}
		a.report.Events++
		if raw.Kind == chunk.KindData {
			continue
		}
		e, err := raw.Decode()
		if err != nil {
			bad("cannot be read: %v", err)
			r.nextKnown = false
			return nil
		}
		r.held.event(e)
	}
	a.report.Chunks++
	r.nextEvent, r.nextKnown = h.GetFirstEvent()+h.GetEvents(), true
	r.last = h.GetLast()
	a.headed = a.headed || h.GetJournalHead()
	return nil
}
