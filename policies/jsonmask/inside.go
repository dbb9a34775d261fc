package jsonmask

import (
	"bytes"
	"errors"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/jsonpath"
)

// maxLevel is how deep JSON in strings of JSON is opened.
const maxLevel = 3

// opened reads documents that stand in a text for one lane.
type opened struct {
	walker *walker
	lane   *lane
}

// looksMost is how many bytes are looked at of a text for each of its own, at most: an array may begin at every other one, and a
// decoder is given firstGiven at once.
const looksMost = firstGiven

// opens reports whether the string at hand is to be looked into for documents whose place is st: paths may reach into
// them. A document has quotes, which are escaped in a string; only arrays of numbers need none.
func (w *walker) opens(l *lane, st jsonpath.State) bool {
	if len(l.view.rules) == 0 || !w.escapes() && w.buf[w.start+1-w.base] != '[' {
		return false
	}
	return w.level < maxLevel && !l.view.set.Dead(st)
}

// inside patches what paths name in the documents within a text: a text that is one, or several, or has some between words,
// as lines of logs do. A document that breaks off, or is none from some place on, is hidden from there if a name of a path
// stands behind.
func (l *lane) inside(text []byte, st jsonpath.State, level int) {
	l.insideWithin(text, st, level, looksMost*len(text))
}

// insideWithin is inside that looks at so many bytes at most. The rest of a text that needs more is hidden.
func (l *lane) insideWithin(text []byte, st jsonpath.State, level, most int) {
	l.cuts, l.texts = l.cuts[:0], l.texts[:0]
	most += l.looked
	lastNamed, asked := 0, false
	behind := 0  // what has been read
	endless := 0 // no string ends that begins before: each quote up to there is an escaped one to those before it
	for at := nextDocument(text, 0); at < len(text); {
		quote := text[at] == '"'
		if quote && at < endless {
			at = nextDocument(text, at+1)
			continue
		}
		if l.looked > most {
			l.hideRest(text, behind)
			return
		}
		end, whole := l.read(text[at:], st, level)
		if quote && !whole {
			endless = at + end
		}
		if quote && (!whole || !isQuotedDocument(text, at) && len(bytes.TrimSpace(text[at+end:])) > 0) {
			at = nextDocument(text, at+1) // words in quotes
			continue
		}
		if l.hideNamed(text, behind, at) {
			return
		}
		for _, p := range l.sub.lane.patches {
			l.put(at+p.start, at+p.end, l.sub.lane.out[p.from:p.to])
		}
		behind = at + max(end, 1)
		if !whole {
			if !asked { // once: a text may have many
				lastNamed, asked = l.view.lastNamed(text), true
			}
			if l.sub.pending() || lastNamed >= at+int(l.sub.walker.start) {
				l.hideRest(text, at+end)
				return
			}
		}
		at = nextDocument(text, behind)
	}
	l.hideNamed(text, behind, len(text))
}

// read reads the document at the begin of a text. end is where it ends, or where it stops to be one; of a string alone where
// that stops to be one.
func (l *lane) read(text []byte, st jsonpath.State, level int) (end int, whole bool) {
	if l.sub == nil {
		l.sub = l.view.opened()
	}
	err := l.sub.read(text, st, level)
	l.looked += int(l.sub.walker.given)
	if why, ok := errors.AsType[*Error](err); ok && text[0] == '"' {
		return int(why.Offset), false
	}
	return int(l.sub.walker.stop), err == nil
}

// hideNamed hides a text from where, between two places and outside of any document, a name of a path and a colon stand: it
// is a part of one. It reports whether it did.
func (l *lane) hideNamed(text []byte, from, to int) bool {
	l.looked += to - from
	for at := from; at < to; at++ {
		n := bytes.IndexByte(text[at:to], '"')
		if n < 0 {
			break
		}
		at += n
		if at+1 == to || !l.view.begins[text[at+1]] {
			continue
		}
		for _, name := range l.view.names {
			n := spelled(text[at+1:], name)
			end := at + 1 + n
			if n < 0 || end >= to || text[end] != '"' {
				continue
			}
			if rest := bytes.TrimLeft(text[end+1:], " \t\r\n"); len(rest) > 0 && rest[0] == ':' {
				l.hideRest(text, len(text)-len(rest)+1)
				return true
			}
		}
	}
	return false
}

// hideRest hides a text from a place on, or as much more of what is hidden there already.
func (l *lane) hideRest(text []byte, from int) {
	if n := len(l.cuts); n > 0 && l.cuts[n-1].end > from {
		l.cuts[n-1].end = len(text)
	} else if from < len(text) {
		l.put(from, len(text), []byte(policies.DefaultMaskText))
	}
}

// hideFrom hides a text from a place on, whatever is hidden behind it already.
func (l *lane) hideFrom(text []byte, from int) {
	for n := len(l.cuts); n > 0 && l.cuts[n-1].start >= from; n-- {
		l.cuts = l.cuts[:n-1]
	}
	l.hideRest(text, from)
}

// assigned is the place behind the first name of a path and a sign that gives it a value outside of any document, as in
// password=x or password: x; the text's length if there is none.
func (v *View) assigned(text []byte) int {
	first := len(text)
	for _, name := range v.names {
		for at := 0; at+len(name) < first; at++ {
			if !bytes.EqualFold(text[at:at+len(name)], []byte(name)) {
				continue
			}
			rest := bytes.TrimLeft(text[at+len(name):], " \t")
			if len(rest) > 0 && (rest[0] == '=' || rest[0] == ':') {
				first = min(first, len(text)-len(rest)+1)
			}
		}
	}
	return first
}

// nextDocument gives the place of the next bracket from which a document may go on, or of a quote before one, or the text's
// length; at the begin of a text of any quote.
func nextDocument(text []byte, at int) int {
	if at == 0 {
		if trimmed := bytes.TrimLeft(text, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '"' {
			return len(text) - len(trimmed)
		}
	}
	for ; at < len(text); at++ {
		switch text[at] {
		case '{', '[':
			next := behindBlanks(text, at+1)
			if next == len(text) {
				return next
			}
			switch c := text[next]; {
			case c == '"', text[at] == '[' && (c == '{' || c == '[' || c == '-' || c >= '0' && c <= '9' || c == 't' || c == 'f' || c == 'n'):
				return at
			}
		case '"':
			if isQuotedDocument(text, at) {
				return at
			}
		}
	}
	return at
}

// isQuotedDocument reports whether a quote begins a string that may be a document: its quotes have escapes.
func isQuotedDocument(text []byte, at int) bool {
	next := behindBlanks(text, at+1)
	if next == len(text) || text[next] != '{' && text[next] != '[' {
		return false
	}
	next = behindBlanks(text, next+1)
	return next < len(text) && (text[next] == '\\' || text[next] == '{' || text[next] == '[')
}

func behindBlanks(text []byte, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n') {
		at++
	}
	return at
}

// opened makes room to read documents in texts.
func (v *View) opened() *opened {
	l := newLane(v)
	l.tracks = true
	return &opened{walker: newWalker([]*lane{l}), lane: l}
}

// read reads the document at the begin of a text, whose place is st, and leaves what it hides as the lane's patches of that
// text. An error says where it stops to be one.
func (o *opened) read(text []byte, st jsonpath.State, level int) error {
	w, l := o.walker, o.lane
	w.reset(nil, text, false)
	w.single, w.level = true, level
	l.states[0] = st
	err := w.run()
	if err != nil && l.hidden != notHidden {
		l.at = int64(len(text))
	}
	l.close()
	w.buf = nil
	return err
}

// pending reports whether reading stopped where a value was due, or open, that a path names.
func (o *opened) pending() bool {
	w, l := o.walker, o.lane
	if l.hidden != notHidden {
		return true
	}
	top := &w.frames[w.depth]
	return top.object && top.named && l.view.set.Match(l.next) >= 0
}

// lastNamed is the last place in a text where a name of a path stands behind a quote, which may be an escape, or -1; the
// text's length if a path ends without a name, since that may name anything.
func (v *View) lastNamed(text []byte) int {
	if v.nameless {
		return len(text)
	}
	last := -1
	for _, quote := range [...]string{`"`, `\u0022`} {
		at := 0
		for n := bytes.Index(text, []byte(quote)); n >= 0; n = bytes.Index(text[at:], []byte(quote)) {
			at += n + len(quote)
			for _, name := range v.names {
				if spelled(text[at:], name) >= 0 {
					last = max(last, at-len(quote))
				}
			}
		}
	}
	return last
}
