package postgres

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// slowConn is a connection whose writes take longer, for a time, than pgconn waits before it reads in the background.
type slowConn struct {
	net.Conn
	slow *atomic.Bool
}

func (c slowConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if c.slow.Load() {
		time.Sleep(60 * time.Millisecond)
	}
	return n, err
}

// A connection that was slow while Sluice asked on it gives the session all that the server says.
func TestWhatTheServerSaysBehindASlowStartIsTheSessions(t *testing.T) {
	for name, messages := range map[string][]pgproto3.FrontendMessage{
		"nothing asked":     nil,
		"one question":      {&pgproto3.Query{String: "select 1"}},
		"several questions": {&pgproto3.Query{String: "select 1"}, &pgproto3.Query{String: "select 2"}, &pgproto3.Query{String: "select 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = listener.Close() })
			go answerEmpty(listener)
			cfg, err := pgconn.ParseConfig("host=127.0.0.1 user=u database=d sslmode=disable")
			if err != nil {
				t.Fatal(err)
			}
			var slow atomic.Bool
			slow.Store(true)
			cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", listener.Addr().String())
				return slowConn{conn, &slow}, err
			}
			conn, err := pgconn.ConnectConfig(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				if _, err := conn.Exec(t.Context(), m.(*pgproto3.Query).String).ReadAll(); err != nil {
					t.Fatal(err)
				}
			}
			slow.Store(false)
			taken, err := takeOver(t.Context(), conn)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = taken.Conn.Close() }()
			if err := taken.Conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := taken.Conn.Write(query("the session's first")); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 11)
			if _, err := io.ReadFull(taken.Conn, got); err != nil || string(got) != "I\x00\x00\x00\x04Z\x00\x00\x00\x05I" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// answerEmpty is a server of one connection to which every query is empty.
func answerEmpty(listener net.Listener) {
	conn, err := listener.Accept()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	b := pgproto3.NewBackend(conn, conn)
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	for b.Flush() == nil {
		m, err := b.Receive()
		if _, asked := m.(*pgproto3.Query); err != nil || !asked {
			return
		}
		b.Send(&pgproto3.EmptyQueryResponse{})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	}
}
