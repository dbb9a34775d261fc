package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

const (
	// HeadSize is how many bytes stand before a record's payload.
	HeadSize = 32
	// MaxPayload bounds a record: a reader never allocates more.
	MaxPayload = 32 << 20
	// Dir is the journal's directory, within a recorder's.
	Dir = "journal"

	magic  = "sluice journal 2\n"
	magic1 = "sluice journal 1\n" // without a chain
	suffix = ".journal"
)

// Kind is what a record is.
type Kind uint8

const (
	// KindSegment opens each segment.
	KindSegment Kind = 1
	// KindSession is a live session as of here: its payload is a State and the session's description.
	KindSession Kind = 2
	// KindEvents is size-delimited events of one session's chunk.
	KindEvents Kind = 3
)

// Record is one record.
type Record struct {
	Kind Kind
	// Ref is the session, unique within the journal.
	Ref uint64
	// Chunk is the chunk that the events belong to; of a session, the one that it wrote to last.
	Chunk uint64
	// Count is the number of events.
	Count uint32
	// Payload is valid until the next record is read.
	Payload []byte
}

// State is how far a live session is. It is what a session's end is written from when its process is gone.
type State struct {
	NextEvent  uint64
	Statements uint64
	Denied     uint64
	Held       uint64
	Rows       uint64
	Bytes      uint64
}

const stateSize = 6 * 8

// The head: length of the payload, CRC-32C of all that follows it, kind, three zeros, count, ref, chunk; little-endian.
// The checksum finds torn writes; it proves nothing against people.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Reserve adds room for a head to b; Finish fills it when the payload stands after it.
func Reserve(b []byte) []byte {
	var head [HeadSize]byte
	return append(b, head[:]...)
}

// Finish makes b, which is a head's room and a payload, a record.
func Finish(b []byte, kind Kind, ref, chunk uint64, count uint32) {
	head := b[:HeadSize]
	binary.LittleEndian.PutUint32(head[0:], uint32(len(b)-HeadSize)) //nolint:gosec // G115: a chunk's buffer, far below 4 GiB
	head[8] = byte(kind)
	binary.LittleEndian.PutUint32(head[12:], count)
	binary.LittleEndian.PutUint64(head[16:], ref)
	binary.LittleEndian.PutUint64(head[24:], chunk)
	binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(b[8:], castagnoli))
}

// AppendSession adds the record of a session to b. The description is the caller's own.
func AppendSession(b []byte, ref, chunk uint64, st State, description []byte) []byte {
	start := len(b)
	b = Reserve(b)
	for _, v := range []uint64{st.NextEvent, st.Statements, st.Denied, st.Held, st.Rows, st.Bytes} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = append(b, description...)
	Finish(b[start:], KindSession, ref, chunk, 0)
	return b
}

// ParseSession reads the payload of a KindSession record. The description shares the payload's memory.
func ParseSession(payload []byte) (State, []byte, error) {
	if len(payload) < stateSize {
		return State{}, nil, &TornError{Err: errors.New("session record too short")}
	}
	at := func(i int) uint64 { return binary.LittleEndian.Uint64(payload[8*i:]) }
	return State{NextEvent: at(0), Statements: at(1), Denied: at(2), Held: at(3), Rows: at(4), Bytes: at(5)}, payload[stateSize:], nil
}

// appendSegment adds a segment's first record to b. No chunk with data in this segment or a later one has a place in
// the log before logSize.
// previous is the chain up to the end of the segment before.
func appendSegment(b []byte, logSize uint64, previous Chain) []byte {
	start := len(b)
	b = append(Reserve(b), magic...)
	b = binary.LittleEndian.AppendUint64(b, logSize)
	b = append(b, previous[:]...)
	Finish(b[start:], KindSegment, 0, 0, 0)
	return b
}

// Records splits bytes that Reserve and Finish made, such as a chunk's buffer, into records. It trusts them.
func Records(b []byte, yield func(Record) bool) {
	for len(b) >= HeadSize {
		n := HeadSize + int(binary.LittleEndian.Uint32(b))
		if !yield(parseHead(b[:HeadSize], b[HeadSize:n])) {
			return
		}
		b = b[n:]
	}
}

func parseHead(head, payload []byte) Record {
	return Record{
		Kind:    Kind(head[8]),
		Count:   binary.LittleEndian.Uint32(head[12:]),
		Ref:     binary.LittleEndian.Uint64(head[16:]),
		Chunk:   binary.LittleEndian.Uint64(head[24:]),
		Payload: payload,
	}
}

// TornError says that a segment holds nothing to be read from this offset on: its writer was cut off, or it was
// damaged.
type TornError struct {
	Offset int64
	Err    error
}

func (e *TornError) Error() string {
	return fmt.Sprintf("journal: torn at byte %d: %v", e.Offset, e.Err)
}

// Unwrap is the cause.
func (e *TornError) Unwrap() error { return e.Err }

// Reader reads one segment.
type Reader struct {
	r       io.Reader
	buf     []byte
	offset  int64
	logSize uint64
	chained bool
	before  Chain
	chain   *chain
	head    [HeadSize]byte
}

// NewReader reads the segment's first record. A segment without one is a *TornError; an empty one is io.EOF.
func NewReader(r io.Reader) (*Reader, error) {
	rd := &Reader{r: r, chain: newChain(Chain{})}
	rec, err := rd.next()
	if err != nil {
		return nil, err
	}
	p := rec.Payload
	switch {
	case rec.Kind == KindSegment && len(p) == len(magic)+8+len(Chain{}) && string(p[:len(magic)]) == magic:
		rd.chained, rd.before = true, Chain(p[len(magic)+8:])
	case rec.Kind == KindSegment && len(p) == len(magic1)+8 && string(p[:len(magic1)]) == magic1:
	default:
		return nil, &TornError{Err: errors.New("no journal of this version")}
	}
	rd.logSize = binary.LittleEndian.Uint64(p[len(magic):])
	rd.chain = newChain(rd.before)
	rd.chain.add(rd.head[:])
	return rd, nil
}

// LogSize is the size of the log when the segment was begun.
func (r *Reader) LogSize() uint64 { return r.logSize }

// Next is the next record: io.EOF at a clean end, which may be zeros, *TornError where nothing more can be read.
func (r *Reader) Next() (Record, error) {
	rec, err := r.next()
	if err == nil && rec.Kind != KindSession && rec.Kind != KindEvents {
		return Record{}, &TornError{Offset: r.offset, Err: fmt.Errorf("record of kind %d", rec.Kind)}
	}
	return rec, err
}

func (r *Reader) next() (Record, error) {
	torn := func(err error) (Record, error) { return Record{}, &TornError{Offset: r.offset, Err: err} }
	switch have, err := io.ReadFull(r.r, r.head[:]); {
	case errors.Is(err, io.EOF):
		return Record{}, io.EOF
	case err != nil && bytes.Count(r.head[:have], []byte{0}) == have:
		return Record{}, io.EOF // the last of what was allocated
	case err != nil:
		return torn(err)
	}
	if r.head == [HeadSize]byte{} {
		return Record{}, r.unwritten()
	}
	n := binary.LittleEndian.Uint32(r.head[:])
	if n > MaxPayload {
		return torn(fmt.Errorf("record of %d bytes", n))
	}
	if r.head[9]|r.head[10]|r.head[11] != 0 {
		return torn(errors.New("malformed head"))
	}
	// Grown as bytes arrive: a length alone makes nobody allocate.
	r.buf = r.buf[:0]
	for want := int(n); len(r.buf) < want; {
		step := min(want-len(r.buf), 1<<20)
		old := len(r.buf)
		if cap(r.buf) < old+step {
			grown := make([]byte, old, max(old+step, 2*cap(r.buf)))
			copy(grown, r.buf)
			r.buf = grown
		}
		r.buf = r.buf[:old+step]
		switch _, err := io.ReadFull(r.r, r.buf[old:]); {
		case errors.Is(err, io.EOF):
			return torn(io.ErrUnexpectedEOF) // a head without its payload is no clean end
		case err != nil:
			return torn(err)
		}
	}
	sum := crc32.Update(crc32.Checksum(r.head[8:], castagnoli), castagnoli, r.buf)
	if sum != binary.LittleEndian.Uint32(r.head[4:]) {
		return torn(errors.New("checksum differs"))
	}
	r.offset += HeadSize + int64(n)
	r.chain.add(r.head[:])
	return parseHead(r.head[:], r.buf), nil
}

// unwritten reads the space that is allocated and not written: zeros up to the file's end are a clean end.
func (r *Reader) unwritten() error {
	var b [4096]byte
	for {
		n, err := r.r.Read(b[:])
		switch {
		case bytes.Count(b[:n], []byte{0}) != n:
			return &TornError{Offset: r.offset, Err: errors.New("zeros before other bytes")}
		case err != nil && !errors.Is(err, io.EOF):
			return &TornError{Offset: r.offset, Err: err}
		case err != nil:
			return io.EOF
		}
	}
}

func segmentName(n uint64) string { return fmt.Sprintf("%08d", n) + suffix }

func parseSegmentName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return 0, false
	}
	var n uint64
	if _, err := fmt.Sscanf(digits, "%d", &n); err != nil || segmentName(n) != name {
		return 0, false
	}
	return n, true
}
