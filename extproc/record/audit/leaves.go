package audit

import (
	"fmt"

	"github.com/sluicegate/sluice/extproc/record/chunk"
	"github.com/sluicegate/sluice/extproc/record/translog"
)

// leaves takes the log's entries to their sessions, but for those that were changed.
func (a *audit) leaves() error {
	changed := map[uint64]bool{}
	for _, n := range a.suspects {
		changed[n] = true
	}
	for index := uint64(0); index*translog.Width < a.checkpoint.Size; index++ {
		need := int(min(translog.Width, a.checkpoint.Size-index*translog.Width))
		t := translog.Tile{Entries: true, Index: index}
		widths, err := translog.Widths(a.root, t)
		if err != nil {
			return err
		}
		width := pick(widths, need)
		if width == 0 {
			continue
		}
		raw, err := translog.ReadWidth(a.root, t, width)
		if err != nil {
			return err
		}
		entries := salvage(raw)
		for i, e := range entries[:min(len(entries), need)] {
			if n := index*translog.Width + uint64(i); !changed[n] {
				a.leaf(n, e)
			}
		}
	}
	return nil
}

// leaf takes an entry of the log to its session.
func (a *audit) leaf(index uint64, entry []byte) {
	l, err := translog.ParseLeaf(entry)
	if err != nil || chunk.CheckSessionID(l.Session) != nil {
		a.report.add(Finding{Kind: Added, File: translog.Dir, Message: fmt.Sprintf("The log's entry %d is no chunk's.", index)})
		return
	}
	s := a.sessions[l.Session]
	if s == nil {
		s = &session{}
		a.sessions[l.Session] = s
	}
	have := uint64(len(s.leaves))
	switch {
	case l.Sequence < have && s.leaves[l.Sequence].digest == l.Digest:
		return // logged again after a crash
	case l.Sequence < have:
		a.report.add(Finding{
			Kind: Changed, Session: l.Session, Chunk: ptr(l.Sequence),
			Message: fmt.Sprintf("The log has two digests of chunk %d of session %s; entry %d is the later.", l.Sequence, l.Session, index),
		})
		return
	case l.Sequence > have:
		if len(a.suspects) == 0 { // else it may be one of them
			a.report.add(Finding{
				Kind: Reordered, Session: l.Session, Chunk: ptr(l.Sequence),
				Message: fmt.Sprintf("The log has chunk %d of session %s before chunk %d.", l.Sequence, l.Session, have),
			})
		}
		if l.Sequence-have > 1<<20 {
			return
		}
		s.leaves = append(s.leaves, make([]leaf, l.Sequence-have)...)
	}
	var previous [32]byte
	if n := len(s.leaves); n > 0 {
		previous = s.leaves[n-1].digest
	}
	if l.Previous != previous && (l.Sequence == 0 || s.leaves[l.Sequence-1].known) {
		a.report.add(Finding{
			Kind: Reordered, Session: l.Session, Chunk: ptr(l.Sequence),
			Message: fmt.Sprintf("Chunk %d of session %s does not follow the chunk before it.", l.Sequence, l.Session),
		})
	}
	s.leaves = append(s.leaves, leaf{digest: l.Digest, known: true})
}
