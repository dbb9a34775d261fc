package audit

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"strings"

	"google.golang.org/protobuf/proto"

	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record/chunk"
	"github.com/sluicegate/sluice/extproc/record/journal"
	"github.com/sluicegate/sluice/extproc/record/translog"
)

// inJournal is what the journal has of a session.
type inJournal struct {
	chunks map[uint64]*journaled
}

// journaled is what the journal has of a chunk: enough to tell whether a file holds the same.
type journaled struct {
	sum   hash.Hash
	bytes int
}

// tail judges what no checkpoint covers: it is no damage if the journal, which keeps every chunk until its leaf is in
// the log, or the log's unsigned end knows it. The journal is read first: what has left it by then is in the log.
func (a *audit) tail() error {
	if err := a.checkJournal(); err != nil {
		return err
	}
	sessions, err := a.readJournal()
	if err != nil {
		return err
	}
	unsigned := map[place]translog.Leaf{}
	ends := map[string]uint64{} // the chunk after the last that has an unsigned leaf
	err = translog.Leaves(a.root, a.checkpoint.Size, func(_ uint64, l translog.Leaf, lerr error) error {
		if lerr == nil {
			unsigned[place{l.Session, l.Sequence}] = l
			ends[l.Session] = max(ends[l.Session], l.Sequence+1)
		}
		return nil
	})
	if err != nil {
		a.report.Notes = append(a.report.Notes, "The log's unsigned end cannot be read: "+err.Error())
	}
	for _, u := range a.unlogged {
		if err := a.judgeUnlogged(u, sessions[u.session], unsigned); err != nil {
			return err
		}
	}
	for _, id := range sorted(a.sessions) {
		s := a.sessions[id]
		if !s.open || s.files == 0 {
			continue
		}
		if sessions[id] != nil || ends[id] > s.files {
			continue
		}
		a.report.add(Finding{
			Kind: Truncated, Session: id,
			Message: fmt.Sprintf("Session %s has no end, and the journal does not know it: what came after chunk %d was removed.", id, s.files-1),
		})
	}
	for _, id := range sorted(sessions) {
		s := a.sessions[id]
		n := uint64(0)
		for sequence := range sessions[id].chunks {
			if s == nil || sequence >= s.files {
				n++
			}
		}
		switch {
		case n > 0:
			a.report.Tail = append(a.report.Tail, Tail{Session: id, Message: fmt.Sprintf("The end of session %s is in the journal only.", id)})
		case s != nil && s.open:
			a.report.Tail = append(a.report.Tail, Tail{Session: id, Message: fmt.Sprintf("Session %s has not ended.", id)})
		}
	}
	return nil
}

func (a *audit) judgeUnlogged(u place, s *inJournal, unsigned map[place]translog.Leaf) error {
	file, err := a.store.Read(u.session, u.chunk)
	if err != nil {
		return err
	}
	tail := Tail{Session: u.session, Chunk: ptr(u.chunk)}
	if l, ok := unsigned[u]; ok && l.Digest == chunk.Digest(file) {
		tail.Message = fmt.Sprintf("Chunk %d of session %s is in the log; no checkpoint that was read covers it.", u.chunk, u.session)
		a.report.Tail = append(a.report.Tail, tail)
		return nil
	}
	var j *journaled
	if s != nil {
		j = s.chunks[u.chunk]
	}
	if j == nil && s != nil && a.onlyEnd(file) {
		tail.Message = fmt.Sprintf("Chunk %d of session %s, written by a recovery, is not in the log yet.", u.chunk, u.session)
		a.report.Tail = append(a.report.Tail, tail)
		return nil
	}
	if j == nil {
		a.report.add(Finding{
			Kind: Added, Session: u.session, Chunk: ptr(u.chunk),
			Message: fmt.Sprintf("Chunk %d of session %s is in neither the log nor the journal.", u.chunk, u.session),
		})
		return nil
	}
	if _, err := a.dec.Open(file); err != nil || len(a.dec.Rest()) < j.bytes || !sameSum(j.sum, a.dec.Rest()[:j.bytes]) {
		a.report.add(Finding{
			Kind: Changed, Session: u.session, Chunk: ptr(u.chunk),
			Message: fmt.Sprintf("Chunk %d of session %s, not logged yet, is not what the journal has.", u.chunk, u.session),
		})
		return nil
	}
	tail.Message = fmt.Sprintf("Chunk %d of session %s is not in the log yet.", u.chunk, u.session)
	a.report.Tail = append(a.report.Tail, tail)
	return nil
}

// onlyEnd reports whether a chunk is a session's end and nothing else: what a recovery adds to a live session of which
// the journal has no events.
func (a *audit) onlyEnd(file []byte) bool {
	h, err := a.dec.Open(file)
	if err != nil || !h.GetLast() || h.GetEvents() != 1 {
		return false
	}
	raw, err := a.dec.Next()
	return err == nil && raw.Kind == chunk.KindSessionEnd
}

func sameSum(h hash.Hash, b []byte) bool {
	sum := sha256.Sum256(b)
	return bytes.Equal(h.Sum(nil), sum[:])
}

// checkJournal compares the journal with its head.
func (a *audit) checkJournal() error {
	faults, err := journal.Check(a.root, a.key, a.headed)
	if err != nil {
		return err
	}
	for _, f := range faults {
		kind := Changed
		if f.Removed {
			kind = Truncated
			if f.File == journal.HeadFile {
				kind = Removed
			}
		}
		a.report.add(Finding{Kind: kind, File: f.File, Message: strings.ToUpper(f.Message[:1]) + f.Message[1:] + "."})
	}
	return nil
}

// readJournal gathers what the journal knows.
func (a *audit) readJournal() (map[string]*inJournal, error) {
	sessions := map[string]*inJournal{}
	ids := map[uint64]string{}
	err := journal.Scan(a.root,
		func(uint64, uint64) error { return nil },
		func(r journal.Record) error {
			if r.Kind == journal.KindSession {
				_, description, err := journal.ParseSession(r.Payload)
				if err != nil {
					return err
				}
				var info sessionv1.Session
				if err := proto.Unmarshal(description, &info); err != nil {
					return &journal.TornError{Err: err}
				}
				ids[r.Ref] = info.GetId()
				if sessions[info.GetId()] == nil {
					sessions[info.GetId()] = &inJournal{chunks: map[uint64]*journaled{}}
				}
				return nil
			}
			s := sessions[ids[r.Ref]]
			if s == nil {
				return nil // what named it is gone; its chunks stay unknown
			}
			c := s.chunks[r.Chunk]
			if c == nil {
				c = &journaled{sum: sha256.New()}
				s.chunks[r.Chunk] = c
			}
			_, _ = c.sum.Write(r.Payload) // a hash never fails
			c.bytes += len(r.Payload)
			return nil
		},
		func(number uint64, err *journal.TornError) {
			a.report.Notes = append(a.report.Notes, fmt.Sprintf("The journal's segment %d ends early, as after a power cut or while it is written: %v", number, err.Err))
		})
	return sessions, err
}
