package postgres

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/extproc/wire"
)

// Request codes of the startup phase (PostgreSQL, "Message Formats").
const (
	newestMinor      = 2 // of protocol 3
	codeCancel       = 80877102
	codeTLS          = 80877103
	codeGSSEncrypted = 80877104

	maxStartup  = 10_000 // PostgreSQL's own limit, in bytes
	maxPassword = 64<<10 + 5
	alpn        = "postgresql"
)

// hello is what a client said at startup.
type hello struct {
	conn       net.Conn
	parameters map[string]string
	// minor is the protocol's minor version, extensions the _pq_ parameters, of which none is known here.
	minor      uint16
	extensions []string
	encrypted  bool
	// cancel is set if the client asks for a cancel and nothing else.
	cancel *pgproto3.CancelRequest
	// who they proved to be; nil before that.
	who *identityv1.Principal
}

// buffered is a connection whose first bytes were read ahead.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// greet reads what the client wants, setting up TLS on the way. The connection has a deadline.
func (s *Server) greet(ctx context.Context, conn *wire.Conn) (*hello, error) {
	// One byte tells TLS without asking (sslnegotiation=direct) from a startup packet.
	r := bufio.NewReaderSize(conn, 512)
	first, err := r.Peek(1)
	if err != nil {
		return nil, err
	}
	h := &hello{conn: &buffered{conn, r}}
	if first[0] == 0x16 {
		if err := s.encrypt(ctx, h, true); err != nil {
			return h, err
		}
	}
	asked := false // for GSS encryption; once is enough
	for {
		code, body, err := readStartup(h.conn)
		if err != nil {
			return h, err
		}
		switch {
		case code == codeTLS && !h.encrypted:
			if r.Buffered() > 0 {
				// Bytes sent in the clear must not count as if they had come encrypted.
				return h, fatalf(codeProtocol, "data behind the request for TLS")
			}
			if _, err := h.conn.Write([]byte{'S'}); err != nil {
				return h, err
			}
			if err := s.encrypt(ctx, h, false); err != nil {
				return h, err
			}
		case code == codeGSSEncrypted && !h.encrypted && !asked:
			asked = true
			if _, err := h.conn.Write([]byte{'N'}); err != nil {
				return h, err
			}
		case code == codeCancel:
			h.cancel = &pgproto3.CancelRequest{}
			if err := h.cancel.Decode(append(be32(codeCancel), body...)); err != nil {
				return h, fatalf(codeProtocol, "malformed CancelRequest")
			}
			return h, nil
		case code>>16 == 3:
			h.minor = uint16(code & 0xffff)
			return h, h.readParameters(body)
		default:
			return h, fatalf(codeProtocol, "protocol version %d.%d is not supported", code>>16, code&0xffff)
		}
	}
}

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func readStartup(r io.Reader) (code uint32, body []byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 8 || size > maxStartup { // whoever it is speaks another protocol, and gets no answer, as from a server
		return 0, nil, fmt.Errorf("a startup packet of %d bytes", size)
	}
	body = make([]byte, size-4)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, err
	}
	return binary.BigEndian.Uint32(body), body[4:], nil
}

// encrypt does the server's side of TLS. Direct TLS must name the protocol, so that no other can be mistaken for it.
func (s *Server) encrypt(ctx context.Context, h *hello, direct bool) error {
	t := tls.Server(h.conn, &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: s.o.Certificate, NextProtos: []string{alpn},
	})
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	if direct && t.ConnectionState().NegotiatedProtocol != alpn {
		return errors.New("direct TLS without ALPN \"postgresql\"")
	}
	h.conn, h.encrypted = t, true
	return nil
}

// readParameters reads names and values of a StartupMessage.
func (h *hello) readParameters(body []byte) error {
	h.parameters = map[string]string{}
	for {
		name, rest, ok := strings.Cut(string(body), "\x00")
		if ok && name == "" && rest == "" {
			return nil
		}
		value, after, ok2 := strings.Cut(rest, "\x00")
		if !ok || !ok2 || name == "" {
			return fatalf(codeProtocol, "malformed startup packet")
		}
		if _, twice := h.parameters[name]; twice {
			return fatalf(codeProtocol, "startup parameter %q stands twice", name)
		}
		if strings.HasPrefix(name, "_pq_.") {
			h.extensions = append(h.extensions, name)
		} else {
			h.parameters[name] = value
		}
		body = []byte(after)
	}
}

// askToken asks for a password, which is the token, and returns it.
func (h *hello) askToken() (string, error) {
	var out []byte
	if h.minor > newestMinor || len(h.extensions) > 0 {
		slices.Sort(h.extensions)
		var err error
		agreed := 3<<16 | uint32(min(h.minor, newestMinor))
		out, err = (&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: agreed, UnrecognizedOptions: h.extensions}).Encode(out)
		if err != nil {
			return "", err
		}
	}
	out, err := (&pgproto3.AuthenticationCleartextPassword{}).Encode(out)
	if err != nil {
		return "", err
	}
	if _, err := h.conn.Write(out); err != nil {
		return "", err
	}
	var head [5]byte
	if _, err := io.ReadFull(h.conn, head[:]); err != nil {
		return "", err
	}
	size := binary.BigEndian.Uint32(head[1:])
	switch {
	case head[0] != 'p' || size < 5:
		return "", fatalf(codeProtocol, "a password message was expected")
	case size > maxPassword:
		if _, err := io.CopyN(io.Discard, h.conn, min(int64(size)-4, 1<<20)); err != nil { // so that the answer is read
			return "", err
		}
		return "", fatalf(codeTooLarge, "the password has %d bytes; a token may have %d", size-5, maxPassword-5).hint("Use a token with fewer claims.")
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(h.conn, body); err != nil {
		return "", err
	}
	token, rest, ok := strings.Cut(string(body), "\x00")
	if !ok || rest != "" {
		return "", fatalf(codeProtocol, "malformed password message")
	}
	return token, nil
}
