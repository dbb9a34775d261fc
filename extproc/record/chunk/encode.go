package chunk

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

// Encoder makes chunk files, one after the other. It holds a compressor's memory (some MiB), so there is one a sealing
// worker, not one a session.
type Encoder struct {
	zstd *zstd.Encoder
	head []byte
	out  bytes.Buffer
}

// NewEncoder makes an encoder.
func NewEncoder() (*Encoder, error) {
	// One goroutine, a window of a chunk: the encoder's own memory stays small and nothing runs on after Encode. No checksum:
	// the log has the file's SHA-256.
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("chunk: compressor: %w", err)
	}
	return &Encoder{zstd: z}, nil
}

// Encode is the file of a chunk: the header, then the pieces, each some size-delimited events. The result is valid
// until the next call.
func (e *Encoder) Encode(h *recordv1.ChunkHeader, pieces iter.Seq[[]byte]) ([]byte, error) {
	e.out.Reset()
	e.zstd.Reset(&e.out)
	size := proto.Size(h)
	e.head = protowire.AppendVarint(e.head[:0], uint64(size)) //nolint:gosec // G115: a size
	var err error
	if e.head, err = (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend(e.head, h); err != nil {
		return nil, fmt.Errorf("chunk: header: %w", err)
	}
	if _, err := e.zstd.Write(e.head); err != nil {
		return nil, fmt.Errorf("chunk: compress: %w", err)
	}
	for p := range pieces {
		if _, err := e.zstd.Write(p); err != nil {
			return nil, fmt.Errorf("chunk: compress: %w", err)
		}
	}
	if err := e.zstd.Close(); err != nil {
		return nil, fmt.Errorf("chunk: compress: %w", err)
	}
	return e.out.Bytes(), nil
}
