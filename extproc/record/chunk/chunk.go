package chunk

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

const (
	// Target is how many bytes of events, uncompressed, make a chunk full. A chunk holds more only if a
	// single event does.
	Target = 1 << 20
	// MaxEvent is the greatest event, in bytes as encoded.
	MaxEvent = 16 << 20
	// maxRaw bounds what a file may unpack to: whoever writes a chunk cannot make its reader fill the memory.
	maxRaw = MaxEvent + Target + 1<<16
	// MaxFile bounds a chunk file in bytes: what does not compress grows a little.
	MaxFile = maxRaw + 1<<20
	// DigestSize is the length of a digest in bytes (SHA-256).
	DigestSize = sha256.Size
)

// Digest is SHA-256 over the bytes of a chunk's file: what the log keeps of it.
func Digest(file []byte) [DigestSize]byte { return sha256.Sum256(file) }

// ErrSessionID says that a session's name cannot be a directory's.
var ErrSessionID = errors.New("chunk: a session id is 1 to 64 letters, digits and dashes")

// CheckSessionID reports whether an id may name a session's directory: it goes into a path, so nothing else is taken.
func CheckSessionID(id string) error {
	if id == "" || len(id) > 64 {
		return ErrSessionID
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
		default:
			return ErrSessionID
		}
	}
	return nil
}

const suffix = ".chunk"

// Name is the file's name of the chunk with this sequence, within its session's directory.
func Name(sequence uint64) string { return fmt.Sprintf("%08d", sequence) + suffix }

// ParseName is Name's reverse; false for any other file.
func ParseName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return 0, false
	}
	var n uint64
	if _, err := fmt.Sscanf(digits, "%d", &n); err != nil || Name(n) != name {
		return 0, false
	}
	return n, true
}

// Kind is the field number of what an event is, in record.proto's Event.kind.
type Kind = protowire.Number

// The kinds that somebody tells apart before decoding.
const (
	KindData       Kind = 9
	KindSessionEnd Kind = 11
)

// Raw is an event before it is decoded.
type Raw struct {
	// Sequence counts from 0 within the session.
	Sequence uint64
	// Kind says what it is, 0 if nothing.
	Kind Kind
	// Bytes is the encoded Event, valid as long as what it was read from.
	Bytes []byte
}

// Decode is the event itself; it shares nothing with Bytes.
func (r Raw) Decode() (*recordv1.Event, error) {
	e := &recordv1.Event{}
	if err := proto.Unmarshal(r.Bytes, e); err != nil {
		return nil, &FormatError{Err: fmt.Errorf("event %d: %w", r.Sequence, err)}
	}
	return e, nil
}

// NextRaw takes one size-delimited event off b and returns it and what follows.
func NextRaw(b []byte) (Raw, []byte, error) {
	body, n := protowire.ConsumeBytes(b)
	if n < 0 {
		return Raw{}, nil, &FormatError{Err: fmt.Errorf("event: %w", protowire.ParseError(n)), Truncated: true}
	}
	r := Raw{Bytes: body}
	for rest := body; len(rest) > 0; {
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return Raw{}, nil, &FormatError{Err: fmt.Errorf("event: %w", protowire.ParseError(n))}
		}
		m := protowire.ConsumeFieldValue(num, typ, rest[n:])
		if m < 0 {
			return Raw{}, nil, &FormatError{Err: fmt.Errorf("event: %w", protowire.ParseError(m))}
		}
		switch {
		case num == 1 && typ == protowire.VarintType:
			r.Sequence, _ = protowire.ConsumeVarint(rest[n:])
		case num >= 3 && typ == protowire.BytesType:
			r.Kind = num
		}
		rest = rest[n+m:]
	}
	return r, b[n:], nil
}

// FormatError says that bytes are no chunk.
type FormatError struct {
	Err error
	// Truncated: the bytes end too early.
	Truncated bool
}

func (e *FormatError) Error() string { return "chunk: " + e.Err.Error() }

// Unwrap is the cause.
func (e *FormatError) Unwrap() error { return e.Err }
