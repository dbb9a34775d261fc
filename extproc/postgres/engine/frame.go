package engine

import (
	"encoding/binary"
	"fmt"
)

// Limits of messages that must be seen whole, in bytes. What only passes has no limit and is never held whole.
const (
	// MaxStatement is the longest text of a statement: what the grammar reads at most.
	MaxStatement = 1 << 20
	// MaxBind is the longest Bind: an approval is bound to all of its values.
	MaxBind = 16 << 20
	// MaxRow is the longest row in which something must be hidden.
	MaxRow = 64 << 20

	maxQuery    = MaxStatement + 64<<10
	maxSmall    = 64 << 10
	maxResponse = 4 << 20
	headerSize  = 5
)

// ProtocolError says that a peer does not speak the protocol; the session must end.
type ProtocolError struct {
	// Peer is "client" or "server".
	Peer   string
	Reason string
	// Code is the SQLSTATE to tell the agent: 08P01, or 54000 for a limit.
	Code string
}

// Error implements error.
func (e *ProtocolError) Error() string { return fmt.Sprintf("%s: %s", e.Peer, e.Reason) }

func violation(peer, format string, args ...any) *ProtocolError {
	return &ProtocolError{Peer: peer, Reason: fmt.Sprintf(format, args...), Code: "08P01"}
}

// unexpected says that a result is not what its statement may give: not a byte of it goes on.
func unexpected(reason string) *ProtocolError {
	return &ProtocolError{Peer: "server", Reason: reason, Code: CodeUnexpected}
}

// CodeUnexpected is the SQLSTATE of a result that its statement cannot give: internal_error.
const CodeUnexpected = "XX000"

func tooLong(peer string, kind byte, size, limit int) *ProtocolError {
	return &ProtocolError{
		Peer: peer, Code: "54000",
		Reason: fmt.Sprintf("message %q has %d bytes, the limit is %d", kind, size, limit),
	}
}

// header reads a message's type and whole size, type byte included. ok is false while it is incomplete.
func header(b []byte) (kind byte, size int, ok bool) {
	if len(b) < headerSize {
		return 0, 0, false
	}
	return b[0], int(binary.BigEndian.Uint32(b[1:])) + 1, true
}

// checkSize refuses lengths that no message has (PostgreSQL, "Message Formats": the length includes itself, and is a
// signed 32-bit number).
func checkSize(peer string, kind byte, size int) error {
	if size < headerSize || size > 1<<30 {
		return violation(peer, "message %q with length %d", kind, size-1)
	}
	return nil
}

// cstring takes a string up to its zero byte.
func cstring(b []byte) (s, rest []byte, ok bool) {
	for i, c := range b {
		if c == 0 {
			return b[:i], b[i+1:], true
		}
	}
	return nil, nil, false
}
