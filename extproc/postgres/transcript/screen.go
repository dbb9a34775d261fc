package transcript

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluicegate/sluice/extproc/record/transcript"
)

const (
	// tableRows and tableBytes are how many rows, and how much text, are lined up together.
	tableRows  = 200
	tableBytes = 1 << 20
	// maxMessage bounds a recorded message that is shown, in bytes; a longer one is left out, and said to be.
	maxMessage = 1 << 20
)

// screen shows protocol bytes as the agent's client would have.
type screen struct {
	out     io.Writer
	buf     []byte
	skip    int
	columns []column
	rows    [][]string
	size    int // of rows, in bytes
	// running are the statements that were forwarded and have not answered yet, oldest first.
	running []running
}

// running is a statement on its way, with the formats that its results have.
type running struct {
	number  uint64
	formats []uint32
}

// ends forgets the oldest statement; with failed, all that belong to the same number.
func (s *screen) ends(failed bool) {
	if len(s.running) == 0 {
		return
	}
	number := s.running[0].number
	s.running = s.running[1:]
	for failed && len(s.running) > 0 && s.running[0].number == number {
		s.running = s.running[1:]
	}
}

// binary reports whether a column of the oldest statement's result is binary. The description does not always know:
// it may have been made before the client chose.
func (s *screen) binary(i int) bool {
	if len(s.running) > 0 {
		switch f := s.running[0].formats; {
		case len(f) == 1:
			return f[0] == 1
		case i < len(f):
			return f[i] == 1
		}
	}
	return i < len(s.columns) && s.columns[i].binary
}

type column struct {
	name   string
	typ    uint32
	binary bool
}

// data takes recorded bytes. Messages may be split over calls in any way.
func (s *screen) data(b []byte) {
	if s.skip > 0 {
		n := min(s.skip, len(b))
		s.skip -= n
		b = b[n:]
	}
	s.buf = append(s.buf, b...)
	for len(s.buf) >= 5 {
		size := int(binary.BigEndian.Uint32(s.buf[1:])) + 1
		switch {
		case size < 5:
			s.printf("  (bytes that are no message: %d)\n", len(s.buf))
			s.buf = nil
			return
		case size > maxMessage && len(s.buf) < size:
			s.printf("  (a message %q of %d bytes is not shown)\n", s.buf[0], size)
			s.skip, s.buf = size-len(s.buf), nil
			return
		case len(s.buf) < size:
			return
		}
		s.message(s.buf[0], s.buf[5:size])
		s.buf = s.buf[size:]
	}
}

func (s *screen) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format, args...) // the Writer keeps the error
}

func (s *screen) message(kind byte, body []byte) {
	switch kind {
	case 'T':
		s.flush()
		s.describe(body)
	case 'D':
		s.row(body)
	case 'C':
		s.flush()
		s.printf("  %s\n", transcript.Line(strings.TrimRight(string(body), "\x00")))
		s.columns = nil
		s.ends(false)
	case 'I':
		s.flush()
		s.ends(false)
	case 's', 'Z':
		s.flush()
	case 'd':
		s.printf("  %s\n", transcript.Line(strings.TrimRight(string(body), "\n")))
	case 'N':
		s.flush()
		s.report(body)
	case 'E':
		s.flush()
		s.report(body)
		s.ends(true)
	case 'A':
		s.flush()
		s.notification(body)
	}
}

func (s *screen) describe(body []byte) {
	s.columns = nil
	if len(body) < 2 {
		return
	}
	rest := body[2:]
	for range binary.BigEndian.Uint16(body) {
		name, after, ok := bytes.Cut(rest, []byte{0})
		if !ok || len(after) < 18 {
			return
		}
		s.columns = append(s.columns, column{
			name: transcript.Line(string(name)), typ: binary.BigEndian.Uint32(after[6:]), binary: after[17] == 1,
		})
		rest = after[18:]
	}
}

func (s *screen) row(body []byte) {
	if len(body) < 2 {
		return
	}
	count := int(binary.BigEndian.Uint16(body))
	rest := body[2:]
	var row []string // a count that is not true makes nothing
	for i := range count {
		if len(rest) < 4 {
			return
		}
		n := int(int32(binary.BigEndian.Uint32(rest))) //nolint:gosec // a signed 32-bit number on the wire
		rest = rest[4:]
		if n > len(rest) {
			return
		}
		if n < 0 {
			row = append(row, "")
			continue
		}
		c := column{}
		if i < len(s.columns) {
			c = s.columns[i]
		}
		c.binary = s.binary(i)
		row = append(row, c.show(rest[:n]))
		s.size += len(row[i])
		rest = rest[n:]
	}
	s.rows = append(s.rows, row)
	if len(s.rows) >= tableRows || s.size >= tableBytes {
		s.flush()
	}
}

// show gives a value as text. Of the binary formats only the common ones are read.
func (c column) show(v []byte) string {
	isText := !c.binary || c.typ == 25 || c.typ == 1043 || c.typ == 1042 || c.typ == 19
	switch {
	case isText && utf8.Valid(v):
		return transcript.Line(string(v))
	case isText:
	case c.typ == 16 && len(v) == 1:
		return strconv.FormatBool(v[0] != 0)
	case c.typ == 21 && len(v) == 2:
		return strconv.Itoa(int(int16(binary.BigEndian.Uint16(v)))) //nolint:gosec // a signed number
	case c.typ == 23 && len(v) == 4:
		return strconv.Itoa(int(int32(binary.BigEndian.Uint32(v)))) //nolint:gosec // a signed number
	case c.typ == 20 && len(v) == 8:
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(v)), 10) //nolint:gosec // a signed number
	}
	return `\x` + hex.EncodeToString(v)
}

// flush writes the rows that came so far as a table.
func (s *screen) flush() {
	if len(s.rows) == 0 {
		return
	}
	widths := make([]int, len(s.rows[0]))
	head := make([]string, len(widths))
	for i := range head {
		if i < len(s.columns) {
			head[i] = s.columns[i].name
		}
		widths[i] = utf8.RuneCountInString(head[i])
	}
	for _, r := range s.rows {
		for i := range min(len(r), len(widths)) {
			widths[i] = min(60, max(widths[i], utf8.RuneCountInString(r[i])))
		}
	}
	if len(s.columns) > 0 {
		s.line(head, widths)
	}
	for _, r := range s.rows {
		s.line(r, widths)
	}
	s.rows, s.size = s.rows[:0], 0
}

func (s *screen) line(cells []string, widths []int) {
	var b strings.Builder
	for i, c := range cells {
		if i > 0 {
			b.WriteString(" | ")
		}
		b.WriteString(c)
		if i < len(widths) && i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(c))))
		}
	}
	s.printf("  %s\n", b.String())
}

// notification is a NotificationResponse: a process, a channel, a payload.
func (s *screen) notification(body []byte) {
	if len(body) < 4 {
		return
	}
	channel, rest, _ := bytes.Cut(body[4:], []byte{0})
	payload, _, _ := bytes.Cut(rest, []byte{0})
	s.printf("  NOTIFY %s: %s\n", transcript.Line(string(channel)), transcript.Line(string(payload)))
}

func (s *screen) report(body []byte) {
	fields := map[byte]string{}
	for len(body) > 0 && body[0] != 0 {
		value, rest, ok := bytes.Cut(body[1:], []byte{0})
		if !ok {
			break
		}
		fields[body[0]] = string(value)
		body = rest
	}
	s.printf("  %s %s: %s\n", transcript.Line(fields['S']), transcript.Line(fields['C']), transcript.Line(fields['M']))
	if fields['D'] != "" {
		s.printf("    DETAIL: %s\n", transcript.Line(fields['D']))
	}
	if fields['H'] != "" {
		s.printf("    HINT: %s\n", transcript.Line(fields['H']))
	}
}
