package record

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

// maxData is how many bytes an event of Data holds at most: a reader of a chunk need not hold more at a time.
const maxData = 256 << 10

// dataEventExtra is more than all of an event of Data but the bytes.
const dataEventExtra = 96

// Data is Append, not durable, of the bytes of the parts one after the other, in as many events as it takes. They are
// copied once, into the bytes that are written to the journal and sealed; they are the caller's again when it returns.
// Number is the statement that they belong to.
func (s *Session) Data(d recordv1.Data_Direction, number uint64, parts ...[]byte) error {
	return s.AppendData(nil, d, number, parts...)
}

// AppendData is Append, not durable, of the events and then Data, in one write to the journal.
func (s *Session) AppendData(events []*recordv1.Event, d recordv1.Data_Direction, number uint64, parts ...[]byte) error {
	total := 0
	for _, p := range parts {
		total += len(p)
	}
	if total == 0 && len(events) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return &Error{Op: "append", Err: ErrEnded}
	}
	if err := s.r.ready(false); err != nil {
		return err
	}
	now := s.r.opts.Now()
	if err := s.encode(now, events...); err != nil {
		return err
	}
	if err := s.encodeData(now, d, number, total, parts); err != nil {
		return err
	}
	_, err := s.flush(false)
	return err
}

// encodeData encodes the bytes into the open chunk.
func (s *Session) encodeData(now time.Time, d recordv1.Data_Direction, number uint64, total int, parts [][]byte) error {
	seconds, nanos := uint64(now.Unix()), uint64(now.Nanosecond()) //nolint:gosec // G115: a clock after 1970
	for total > 0 {
		n := min(total, maxData)
		total -= n
		if err := s.beginEvent(n + dataEventExtra); err != nil {
			return err
		}
		b, rest := appendData(s.open.buf.b, s.next, seconds, nanos, uint64(d), number, n, parts) //nolint:gosec // G115: an enum
		s.open.buf.b, parts = b, rest
		s.endEvent()
	}
	return nil
}

// appendData appends a size-delimited event with the first n bytes of the parts, and returns what is left of them.
func appendData(b []byte, sequence, seconds, nanos, direction, number uint64, n int, parts [][]byte) ([]byte, [][]byte) {
	size := protowire.SizeBytes
	at := sizeVarint(timeSeconds, seconds) + sizeVarint(timeNanos, nanos)
	data := sizeVarint(dataDirection, direction) + protowire.SizeTag(dataBytes) + size(n) + sizeVarint(dataNumber, number)
	event := sizeVarint(eventSequence, sequence) + protowire.SizeTag(eventAt) + size(at) + protowire.SizeTag(eventData) + size(data)

	b = protowire.AppendVarint(b, uint64(event)) //nolint:gosec // G115: a size
	b = appendVarint(b, eventSequence, sequence)
	b = appendLength(b, eventAt, at)
	b = appendVarint(b, timeSeconds, seconds)
	b = appendVarint(b, timeNanos, nanos)
	b = appendLength(b, eventData, data)
	b = appendVarint(b, dataDirection, direction)
	b = appendLength(b, dataBytes, n)
	for n > 0 {
		p := parts[0]
		if len(p) > n {
			b = append(b, p[:n]...)
			// The parts are the caller's: the list is copied before the first of them is shortened.
			parts = append([][]byte{p[n:]}, parts[1:]...)
			break
		}
		b = append(b, p...)
		n -= len(p)
		parts = parts[1:]
	}
	return appendVarint(b, dataNumber, number), parts
}
