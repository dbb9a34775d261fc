package jsonmask

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// walker reads JSON token by token. jsontext reads through it: the walker hands over what it has read from the body and
// keeps what is not decided yet, so that untouched parts can go on as they came.
type walker struct {
	input
	dec     jsontext.Decoder
	options [1]jsontext.Options
	lanes   []*lane
	// lines: each value stands on a line of its own.
	lines bool

	// given is the offset up to which the decoder has been given bytes.
	given int64
	// start and stop are the last token's offsets.
	start, stop int64
	// settled is the end of what is decided: stop, or behind the white space there. broke: that has a line break.
	settled int64
	broke   bool
	// escape is the place of the next backslash, or up to where there is none.
	escape int64
	// failed is an error that must not be taken for one of JSON.
	failed error

	// longest is the length of the longest token, with the white space before it.
	longest int64

	depth  int
	frames []frame // by depth; the first is the body itself
	text   text

	// single: one value is read, and what stands behind it is left. level is how many strings the document stands in.
	single bool
	level  int
	// names: a lane has use for the names of fields. spelled has those that are open, as frames say.
	names bool
	// collects: a lane keeps strings that are given piece by piece.
	collects bool
	owners   []owner
	spelled  []byte
}

// frame is an open array or object.
type frame struct {
	object bool
	named  bool // in an object: the name has been read, its value is next
	count  int  // values begun
	// The name of the value at hand is spelled[base:] in an object. spelled[from:base] is the name of an array; in an
	// object the text that names its member value, if there is one.
	from, base int
	// hash is that of the place, if strings are collected. delta: all below is given piece by piece; pieces: so are the
	// strings of the array. position and told are those of the object's owner; owner is its number from 1, or 0.
	hash           uint64
	delta, pieces  bool
	position, told uint64
	owner          int
}

// newWalker makes a walker for lanes; reset says of what.
func newWalker(lanes []*lane) *walker {
	w, ok := lanes[0].view.walkers.Get().(*walker)
	if !ok {
		// Duplicate names are the sender's business: each is masked.
		w = &walker{options: [1]jsontext.Options{jsontext.AllowDuplicateNames(true)}}
	}
	w.lanes = append(w.lanes[:0], lanes...)
	w.names, w.collects = false, false
	for _, l := range lanes {
		w.collects = w.collects || l.collects
		w.names = w.names || l.view.namer != nil || l.collects
	}
	return w
}

// reset makes the walker ready for another body, of which data is the first part, or all of it if there is no src.
func (w *walker) reset(src io.Reader, data []byte, lines bool) {
	w.input = input{src: src, buf: data}
	w.dec.Reset(feed{w}, w.options[:]...)
	w.frames = append(w.frames[:0], frame{pieces: true, owner: 1})
	w.owners = append(w.owners[:0], owner{})
	w.lines, w.given, w.start, w.stop, w.settled, w.escape = lines, 0, 0, 0, 0, 0
	w.broke, w.failed, w.depth = false, nil, 0
	w.single, w.level, w.spelled = false, 0, w.spelled[:0]
	for _, l := range w.lanes {
		l.restart()
	}
}

// release gives the walker's buffers to another body, unless a long token has made them grow.
func (w *walker) release() {
	view := w.lanes[0].view
	w.src, w.failed = nil, nil
	clear(w.lanes)
	if cap(w.owners) > largestChunk {
		w.owners = nil
	}
	if w.longest <= largestChunk {
		view.walkers.Put(w)
	}
}

// run reads to the end of the body.
func (w *walker) run() error {
	for {
		kind, err := w.token()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return w.flush(w.end())
			}
			return err
		}
		top := &w.frames[w.depth]
		switch {
		case kind == '}' || kind == ']':
			w.leave()
		case top.object && !top.named:
			top.named = true
			w.name()
		default:
			top.named = false
			top.count++
			err = w.value(kind, top)
		}
		if err != nil {
			return err
		}
		if w.single && w.depth == 0 {
			return nil
		}
	}
}

// token reads the next token; kind is its first byte. The error is io.EOF behind the last value.
func (w *walker) token() (kind byte, err error) {
	if _, err := w.dec.ReadToken(); err != nil {
		return 0, w.failure(err)
	}
	begin, stop := w.settled, w.dec.InputOffset()
	if n := stop - w.stop; n > w.longest {
		if w.longest = n; n > MaxToken {
			return 0, tooLong(w.stop)
		}
	}
	w.stop, w.settled = stop, stop
	b := w.span(begin, w.stop)
	n := 0
	for n < len(b) && (b[n] <= ' ' || b[n] == ',' || b[n] == ':') {
		w.broke = w.broke || b[n] == '\n'
		n++
	}
	w.start = begin + int64(n)
	w.text.known = false
	if w.lines {
		if err := w.line(); err != nil {
			return 0, err
		}
	}
	w.broke = false
	return b[n], nil
}

// line refuses what is not a value a line.
func (w *walker) line() error {
	switch {
	case w.depth > 0 && w.broke:
		return &Error{w.start, "a line ends within its value"}
	case w.depth == 0 && w.frames[0].count > 0 && !w.broke:
		return &Error{w.start, "a second value stands on one line"}
	}
	return nil
}

// value handles the first token of a value in an open array or object, or in the body itself. Unless it begins an array
// or object, it is all of the value.
func (w *walker) value(kind byte, in *frame) error {
	nested := kind == '{' || kind == '['
	if nested && w.depth == MaxDepth {
		return &Error{w.start, "arrays and objects nest too deeply"}
	}
	open := false
	var name []byte
	if w.names {
		name = w.fieldName(in)
	}
	var place uint64
	var pieces bool
	if w.collects {
		if place, pieces = w.place(in, kind); !nested {
			w.tells(in, place)
		}
	}
	for _, l := range w.lanes {
		if l.hidden != notHidden {
			continue
		}
		st := l.states[w.depth]
		switch {
		case in.object:
			st = l.next
		case w.depth > 0:
			st = l.view.set.Index(st, in.count-1)
		}
		if path := l.view.set.Match(st); path >= 0 && kind != 'n' {
			w.hide(l, kind, l.view.rules[path])
			continue
		}
		if pieces && kind == '"' && l.collects {
			w.collect(l, place)
		}
		switch {
		case nested:
			l.states = append(l.states[:w.depth+1], st)
			open = open || l.view.finder != nil || !l.view.set.Dead(st)
		case kind == '"' && w.opens(l, st):
			w.look(l, st, name)
		case l.view.finder == nil:
		case kind == '"':
			w.search(l, name)
		case kind != 'n' && kind != 't' && kind != 'f' && l.holdsFind(w.span(w.start, w.stop)):
			l.before(&w.input, w.start, w.stop)
			l.out = append(l.out, "null"...)
		}
	}
	switch {
	case !nested:
		if n := len(w.spelled) - in.base; w.names && kind == '"' && (n == len("key") || n == len("name")) {
			w.label(in)
		}
		return nil
	case !open:
		return w.skip()
	}
	next := frame{object: kind == '{', from: len(w.spelled), base: len(w.spelled), hash: place, pieces: pieces, delta: in.delta}
	if pieces && in.object && bytes.EqualFold(name, []byte("delta")) {
		next.delta = true
	}
	if next.object && !in.object {
		next.position = uint64(in.count - 1) //nolint:gosec // G115: a count
	}
	if !next.object && in.object {
		next.from = in.base
	}
	w.depth++
	w.frames = append(w.frames[:w.depth], next)
	return nil
}

// skip reads to the end of an array or object in which no lane has anything left to decide.
func (w *walker) skip() error {
	outer := w.depth
	w.depth++
	for w.depth > outer {
		kind, err := w.token()
		switch {
		case err != nil:
			return err
		case kind == '{' || kind == '[':
			if w.depth == MaxDepth {
				return &Error{w.start, "arrays and objects nest too deeply"}
			}
			w.depth++
		case kind == '}' || kind == ']':
			w.depth--
		}
	}
	w.shown()
	return nil
}

// leave ends an array or object.
func (w *walker) leave() {
	w.spelled = w.spelled[:w.frames[w.depth].from] // an array may have any number of objects
	w.depth--
	w.shown()
}

// shown ends what is hidden of the value that has just ended.
func (w *walker) shown() {
	for _, l := range w.lanes {
		if l.hidden == w.depth {
			l.hidden, l.at = notHidden, w.stop
		}
	}
}
