package chunk

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

// Decoder reads chunk files, one after the other. It is not safe for concurrent use.
type Decoder struct {
	zstd   *zstd.Decoder
	raw    []byte // of the open file, kept for the next
	rest   []byte
	header *recordv1.ChunkHeader
	seen   uint64
}

// NewDecoder makes a decoder; Close gives its memory back.
func NewDecoder() (*Decoder, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxRaw),
		zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("chunk: decompressor: %w", err)
	}
	return &Decoder{zstd: z}, nil
}

// Close gives the memory back.
func (d *Decoder) Close() { d.zstd.Close() }

// Open begins a file and returns its header. What Next returned before is no longer valid. A bad file is a
// *FormatError.
func (d *Decoder) Open(file []byte) (*recordv1.ChunkHeader, error) {
	d.header, d.seen, d.rest = nil, 0, nil
	raw, err := d.zstd.DecodeAll(file, d.raw[:0])
	if err != nil {
		cut := len(file) == 0 || errors.Is(err, io.ErrUnexpectedEOF) && !whole(raw)
		return nil, &FormatError{Err: fmt.Errorf("decompress: %w", err), Truncated: cut}
	}
	d.raw = raw
	body, n := protowire.ConsumeBytes(raw)
	if n < 0 {
		return nil, &FormatError{Err: fmt.Errorf("header: %w", protowire.ParseError(n)), Truncated: true}
	}
	h := &recordv1.ChunkHeader{}
	if err := proto.Unmarshal(body, h); err != nil {
		return nil, &FormatError{Err: fmt.Errorf("header: %w", err)}
	}
	d.header, d.rest = h, raw[n:]
	return h, nil
}

// Next is the next event, io.EOF after the last. It checks that the events are as many as the header says and that
// their sequence has no gap.
func (d *Decoder) Next() (Raw, error) {
	if d.header == nil {
		return Raw{}, io.EOF
	}
	if len(d.rest) == 0 {
		if d.seen != d.header.GetEvents() {
			return Raw{}, &FormatError{Err: fmt.Errorf("holds %d events, its header says %d", d.seen, d.header.GetEvents())}
		}
		return Raw{}, io.EOF
	}
	r, rest, err := NextRaw(d.rest)
	if err != nil {
		return Raw{}, err
	}
	if want := d.header.GetFirstEvent() + d.seen; r.Sequence != want {
		return Raw{}, &FormatError{Err: fmt.Errorf("event %d stands where event %d should", r.Sequence, want)}
	}
	d.rest = rest
	d.seen++
	return r, nil
}

// Rest is all events that Next did not return yet, as they stand in the file, unchecked; valid until the next Open.
func (d *Decoder) Rest() []byte { return d.rest }

// whole reports whether what could be decompressed is all that a chunk holds: then something was added to the file.
func whole(raw []byte) bool {
	body, n := protowire.ConsumeBytes(raw)
	h := &recordv1.ChunkHeader{}
	if n < 0 || proto.Unmarshal(body, h) != nil {
		return false
	}
	events := uint64(0)
	for raw = raw[n:]; len(raw) > 0; raw = raw[n:] {
		if _, n = protowire.ConsumeBytes(raw); n < 0 {
			return false
		}
		events++
	}
	return events == h.GetEvents()
}
