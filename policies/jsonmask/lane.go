package jsonmask

import (
	"errors"
	"fmt"

	"github.com/sluicegate/sluice/policies/jsonpath"
)

// lane is one view on its way through a body. Outputs of the same view share one.
type lane struct {
	view   *View
	writes []func([]byte) error
	// out is what is decided and not yet written; what is unchanged goes from the input itself where it can.
	out []byte
	// at is the offset of the input up to which everything has been put out.
	at int64
	// changed: something has been hidden.
	changed bool

	// states has the state of the array or object open at each depth, from 1; next is that of the member whose name was
	// read last. hidden is the depth above which the value stands that is being hidden, or notHidden.
	states []jsonpath.State
	next   jsonpath.State
	hidden int

	spans []Span
	plain []byte // a decoded text, hidden
	// cuts are the patches of the string at hand, texts what they put.
	cuts  []patch
	texts []byte

	// tracks: what is hidden is kept as patches of the input, whose texts are in out, and nothing else is put out. open:
	// the last of them has not been closed.
	tracks, open bool
	patches      []patch
	sub          *opened // to read documents in strings
	// looked is how many bytes of texts have been looked at for documents.
	looked int

	// collects: strings that are given piece by piece are kept, with their texts.
	collects  bool
	pieces    []piece
	pieceText []byte
}

const notHidden = -1

func newLanes(outs []Output) ([]*lane, error) {
	var lanes []*lane
next:
	for _, o := range outs {
		if o.View == nil || o.Write == nil {
			return nil, errors.New("an output needs a view and a writer")
		}
		for _, l := range lanes {
			if l.view == o.View {
				l.writes = append(l.writes, o.Write)
				continue next
			}
		}
		lanes = append(lanes, newLane(o.View, o.Write))
	}
	return lanes, nil
}

func newLane(v *View, writes ...func([]byte) error) *lane {
	l, ok := v.lanes.Get().(*lane)
	if !ok {
		l = &lane{view: v, states: make([]jsonpath.State, 1, 16)}
	}
	l.writes = append(l.writes[:0], writes...)
	l.restart()
	return l
}

// restart makes the lane ready for another body.
func (l *lane) restart() {
	l.out, l.at, l.changed, l.hidden = l.out[:0], 0, false, notHidden
	l.states[0] = l.view.set.Start()
	l.open = false
	if l.collects {
		l.pieces, l.pieceText = l.pieces[:0], l.pieceText[:0]
	}
	if l.tracks {
		l.patches = l.patches[:0]
	}
}

// release gives the lane's buffers to another body, unless they have grown.
func (l *lane) release() {
	clear(l.writes)
	if l.sub != nil && l.sub.walker.longest > largestChunk {
		l.sub = nil
	}
	l.tracks, l.collects = false, false
	if cap(l.texts) > 4*largestChunk {
		l.texts = nil
	}
	if cap(l.pieces)+cap(l.pieceText) > 4*largestChunk {
		l.pieces, l.pieceText = nil, nil
	}
	if cap(l.out)+cap(l.plain)+cap(l.spans) <= 4*largestChunk {
		l.view.lanes.Put(l)
	}
}

// write gives p to every output of the lane.
func (l *lane) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	for _, w := range l.writes {
		if err := w(p); err != nil {
			return fmt.Errorf("writing the body: %w", err)
		}
	}
	return nil
}

// flush writes out and what is behind it in the input, whose offset becomes upTo.
func (l *lane) flush(in *input, upTo int64) error {
	if l.tracks {
		return nil
	}
	rest := in.span(l.at, upTo)
	l.at = upTo
	if l.hidden != notHidden {
		rest = nil
	}
	if len(l.out) > 0 {
		l.out = append(l.out, rest...)
		rest = nil
	}
	err := l.write(l.out)
	l.out = l.out[:0]
	if err == nil {
		err = l.write(rest)
	}
	return err
}

// before puts out the input up to an offset; what is put into out next stands for the input from there to behind.
func (l *lane) before(in *input, offset, behind int64) {
	if l.tracks {
		l.close()
		l.patches = append(l.patches, patch{start: int(offset), from: len(l.out)})
		l.at, l.open, l.changed = behind, true, true
		return
	}
	l.out = append(l.out, in.span(l.at, offset)...)
	l.at = behind
	l.changed = true
}

// close ends the patch that is open.
func (l *lane) close() {
	if !l.open {
		return
	}
	p := &l.patches[len(l.patches)-1]
	p.end, p.to = int(l.at), len(l.out)
	l.open = false
}
