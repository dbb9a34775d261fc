package jsonmask

import "bytes"

// piece is a string that a stream of events gives piece by piece: text[from:to] of the lane's pieceText, start to stop of
// the data, quotes included.
type piece struct {
	// key is that of the field, place that of all fields that only telling values tell from it.
	key, place  uint64
	owner       int // the object within which it stands
	from, to    int
	start, stop int
}

// pieceNames are the fields, beside all below a delta, that APIs give piece by piece: OpenAI's and Anthropic's chunks, those of
// others like them, MCP's progress and log notifications, output of programs.
var pieceNames = [...]string{
	"arguments", "body", "chunk", "completion", "content", "data", "fragment", "line", "log", "message", "output", "partial_json", "part",
	"reasoning", "reasoning_content", "response", "stderr", "stdout", "text", "thinking", "token",
}

// tellingNames are the fields whose values tell one such field from another of the same place.
var tellingNames = [...]string{"content_index", "index", "item_id", "output_index", "progressToken"}

// isOneOf compares without case, as many readers do.
func isOneOf(names []string, name []byte) bool {
	for _, n := range names {
		if len(name) == len(n) && bytes.EqualFold(name, []byte(n)) {
			return true
		}
	}
	return false
}

// hashed goes on with a hash (FNV-1a, 64 bits).
func hashed(h uint64, text []byte) uint64 {
	for _, b := range text {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// mixed goes on with a hash of 64 bits.
func mixed(h, with uint64) uint64 {
	return (h ^ with) * 1099511628211
}

// below stands between the names of a place, element for an object in an array; they are in no name, for they are not UTF-8.
var below, element = []byte{0xff}, []byte{0xfe}

// owner is an object within which a piece stands: its telling values tell the piece's field from others, or its position in an
// array if it has none. They may stand behind the piece.
type owner struct {
	parent         int
	told, position uint64
	// key and place are those of pieces in it, but for the names.
	key, place uint64
}

// place gives the hash of the place of the value at hand, and whether what stands there is given piece by piece.
func (w *walker) place(in *frame, kind byte) (h uint64, pieces bool) {
	switch {
	case in.object:
		name := w.spelled[in.base:]
		return hashed(hashed(in.hash, below), name), in.delta || bytes.EqualFold(name, []byte("delta")) || isOneOf(pieceNames[:], name)
	case kind == '{':
		return hashed(in.hash, element), in.pieces
	}
	return mixed(in.hash, uint64(in.count)), in.pieces //nolint:gosec // G115: a count
}

// collect keeps the string at hand for a lane.
func (w *walker) collect(l *lane, place uint64) {
	from := len(l.pieceText)
	l.pieceText = append(l.pieceText, w.string()...)
	l.pieces = append(l.pieces, piece{
		place: place, owner: w.owner(), from: from, to: len(l.pieceText), start: int(w.start), stop: int(w.stop),
	})
}

// owner gives the object at hand, or that around the array at hand, and makes one of each above.
func (w *walker) owner() int {
	at := w.depth
	for w.frames[at].owner == 0 {
		at--
	}
	for ; at < w.depth; at++ {
		f := &w.frames[at+1]
		f.owner = w.frames[at].owner
		if f.object {
			w.owners = append(w.owners, owner{parent: f.owner - 1, told: f.told, position: f.position})
			f.owner = len(w.owners)
		}
	}
	return w.frames[at].owner - 1
}

// tells keeps a value that tells a field from another.
func (w *walker) tells(in *frame, place uint64) {
	if !in.object || !isOneOf(tellingNames[:], w.spelled[in.base:]) {
		return
	}
	in.told += hashed(place, w.span(w.start, w.stop))
	if in.owner != 0 {
		w.owners[in.owner-1].told = in.told
	}
}

// tellApart works out the keys of all pieces.
func (w *walker) tellApart() {
	for i := range w.owners[1:] {
		n := &w.owners[i+1]
		above := w.owners[n.parent]
		if n.told != 0 {
			n.key, n.place = mixed(above.key, n.told), mixed(above.place, 0)
		} else {
			n.key, n.place = mixed(above.key, n.position), mixed(above.place, n.position)
		}
	}
	for _, l := range w.lanes {
		if !l.collects {
			continue
		}
		for i := range l.pieces {
			p := &l.pieces[i]
			n := w.owners[p.owner]
			p.key, p.place = mixed(n.key, p.place), mixed(n.place, p.place)
		}
	}
}
