package postgres

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/credential"
)

// TestNothingThatTheServerSaysUnaskedIsTornApart: what stands behind the answer to the last question of ours was read ahead
// with it, and its rest is still to come.
func TestNothingThatTheServerSaysUnaskedIsTornApart(t *testing.T) {
	notice, err := (&pgproto3.NoticeResponse{Severity: "WARNING", Code: "01000", Message: "it is late"}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, cut := range map[string]int{"nothing": 0, "a byte": 1, "its head": 5, "half of it": len(notice) / 2, "all but a byte": len(notice) - 1, "all of it": len(notice)} {
		t.Run(name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer func() { _ = c.Close() }()
				tornServer(c, notice, cut)
			}()
			r := &route{socket: socket, target: &policyv1.Target{Name: "x", Protocol: &policyv1.Target_Postgres{Postgres: &policyv1.Postgres{
				Database: "x", Endpoints: []*policyv1.Endpoint{{Host: "db.example", Port: 5432}},
			}}}}
			up, err := r.connect(t.Context(), &credential.Lease{Username: "x"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = up.Conn.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := up.Conn.Write([]byte("Q\x00\x00\x00\x05\x00")); err != nil {
				t.Fatal(err)
			}
			want, _ := (&pgproto3.EmptyQueryResponse{}).Encode(nil)
			want, _ = (&pgproto3.ReadyForQuery{TxStatus: 'I'}).Encode(want)
			got := make([]byte, len(want))
			if cut == 0 { // none was torn: it comes whole, before the answer
				want = append(bytes.Clone(notice), want...)
				got = make([]byte, len(want))
			}
			if _, err := io.ReadFull(up.Conn, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
			_ = up.Conn.Close()
			<-ended
		})
	}
}

// tornServer answers what a connection asks at its beginning, with some of a notice behind it, and sends the rest of that before
// its next answer.
func tornServer(c net.Conn, notice []byte, cut int) {
	b := pgproto3.NewBackend(c, c)
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	b.Send(&pgproto3.BackendKeyData{ProcessID: 7, SecretKey: []byte{1, 2, 3, 4}})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if b.Flush() != nil {
		return
	}
	rest := notice
	for {
		m, err := b.Receive()
		if err != nil {
			return
		}
		var out []byte
		switch m.(type) {
		case *pgproto3.Sync:
			for _, m := range []pgproto3.BackendMessage{
				&pgproto3.ParseComplete{}, &pgproto3.BindComplete{},
				&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("a")}, {Name: []byte("b")}}},
				&pgproto3.DataRow{Values: [][]byte{[]byte("public"), []byte("app")}},
				&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'},
			} {
				if out, err = m.Encode(out); err != nil {
					return
				}
			}
			out = append(out, rest[:cut]...)
			rest = rest[cut:]
		case *pgproto3.Query:
			out = rest
			rest = nil
			out, _ = (&pgproto3.EmptyQueryResponse{}).Encode(out)
			out, _ = (&pgproto3.ReadyForQuery{TxStatus: 'I'}).Encode(out)
		default:
			continue
		}
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}
