package jsonmask

import "bytes"

// piece is a string that a stream of events gives piece by piece: text[from:to] of the lane's pieceText, start to stop of
// the data, quotes included.
type piece struct {
	key         uint64
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

func isOneOf(names []string, name []byte) bool {
	for _, n := range names {
		if string(name) == n {
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

// below stands between the names of a place; it is in none, for it is not UTF-8.
var below = []byte{0xff}

// place gives the hash of the place of the value at hand, and whether what stands there is given piece by piece.
func (w *walker) place(in *frame) (h uint64, pieces bool) {
	if !in.object {
		return (in.hash ^ uint64(in.count)) * 1099511628211, in.pieces //nolint:gosec // G115: a count
	}
	name := w.spelled[in.base:]
	return hashed(hashed(in.hash, below), name), in.delta || bytes.Equal(name, []byte("delta")) || isOneOf(pieceNames[:], name)
}

// collect keeps the string at hand for a lane.
func (w *walker) collect(l *lane, key uint64) {
	from := len(l.pieceText)
	l.pieceText = append(l.pieceText, w.string()...)
	l.pieces = append(l.pieces, piece{key: key, from: from, to: len(l.pieceText), start: int(w.start), stop: int(w.stop)})
}

// tells keeps a value that tells a field from another.
func (w *walker) tells(in *frame, key uint64) {
	if !in.object || !isOneOf(tellingNames[:], w.spelled[in.base:]) {
		return
	}
	h := hashed(key, w.span(w.start, w.stop))
	for _, l := range w.lanes {
		l.told ^= h
	}
}
