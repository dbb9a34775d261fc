package jsonmask

import (
	"bytes"

	"github.com/sluicegate/sluice/policies"
)

// hiddenData stands for data that cannot be read.
const hiddenData = policies.DefaultMaskText

type lineKind byte

const (
	emptyLine   lineKind = iota
	dataLine             // the field data
	plainLine            // a comment, or the field event, id or retry
	unknownLine          // anything else: readers ignore it
)

// eventLine is a line by offsets: begin, of its value, behind its value, behind its end.
type eventLine struct {
	kind                    lineKind
	begin, value, stop, end int64
}

var byteOrderMark = []byte("\uFEFF")

// parse reads a line without its end.
func (e *events) parse(begin, stop int64) eventLine {
	text := e.span(begin, stop)
	line := eventLine{begin: begin, value: stop, stop: stop}
	if begin == 0 {
		text = bytes.TrimPrefix(text, byteOrderMark)
	}
	field, _, colon := bytes.Cut(text, []byte(":"))
	if colon {
		line.value = stop - int64(len(text)-len(field)-1)
		if b := e.span(line.value, stop); len(b) > 0 && b[0] == ' ' {
			line.value++
		}
	}
	switch string(field) {
	case "data":
		line.kind = dataLine
	case "event", "id", "retry":
		line.kind = plainLine
	case "":
		if colon {
			line.kind = plainLine
		}
	default:
		line.kind = unknownLine
	}
	return line
}

// putLine appends a line without data, masked.
func (e *events) putLine(l *eventLane, dst []byte, line eventLine) []byte {
	from := line.begin
	switch line.kind {
	case plainLine:
		from = line.value
	case unknownLine:
		if len(l.view.rules) > 0 {
			dst = append(append(dst, ": "...), hiddenData...)
			return append(dst, e.span(line.stop, line.end)...)
		}
	default:
		return append(dst, e.span(line.begin, line.end)...)
	}
	text := e.span(from, line.stop)
	m := l.masked
	m.readText(text)
	if len(m.cuts) == 0 {
		return append(dst, e.span(line.begin, line.end)...)
	}
	dst = append(dst, e.span(line.begin, from)...)
	start := len(dst)
	dst = appendPatched(dst, text, m.cuts, m.texts)
	for i, c := range dst[start:] {
		if c == '\n' || c == '\r' { // of the mask's text: it must not end the line
			dst[start+i] = ' '
		}
	}
	return append(dst, e.span(line.stop, line.end)...)
}

// putEvent appends an event, with other data; nil leaves the data as it came.
func (e *events) putEvent(l *eventLane, dst []byte, lines []eventLine, data []byte) []byte {
	last := 0
	for i, line := range lines {
		if line.kind == dataLine {
			last = i
		}
	}
	rest, more := data, true
	for i, line := range lines {
		if line.kind != dataLine {
			dst = e.putLine(l, dst, line)
			continue
		}
		if data == nil {
			dst = append(dst, e.span(line.begin, line.end)...)
			continue
		}
		for more {
			var part []byte
			part, rest, more = cutLine(rest)
			dst = e.putData(dst, line, part)
			if i < last {
				break
			}
			if more && line.end == line.stop {
				dst = append(dst, '\n')
			}
		}
	}
	return dst
}

// putData appends a line of data with another value.
func (e *events) putData(dst []byte, line eventLine, value []byte) []byte {
	field := e.span(line.begin, line.value)
	dst = append(dst, field...)
	switch {
	case len(value) == 0:
	case bytes.IndexByte(field, ':') < 0:
		dst = append(dst, ": "...)
	case value[0] == ' ' && field[len(field)-1] == ':': // the first space is not of the value
		dst = append(dst, ' ')
	}
	dst = append(dst, value...)
	return append(dst, e.span(line.stop, line.end)...)
}

// cutLine cuts text at its first line end, of whatever kind.
func cutLine(text []byte) (line, rest []byte, more bool) {
	n := bytes.IndexAny(text, "\r\n")
	if n < 0 {
		return text, nil, false
	}
	behind := n + 1
	if text[n] == '\r' && behind < len(text) && text[behind] == '\n' {
		behind++
	}
	return text[:n], text[behind:], true
}
