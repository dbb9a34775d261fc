package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// A refusal at startup names the part and the bound, and a parameter that the database refuses is told as it told it.
func TestRefusalsAtStartupSayWhat(t *testing.T) {
	s := sharedStage(t)
	for name, c := range map[string]struct {
		change func(*pgx.ConnConfig)
		code   string
		words  string
	}{
		"a setting that there is not":      {func(c *pgx.ConnConfig) { c.RuntimeParams["options"] = "-c nosuch.thing=1" }, "42501", "nosuch.thing"},
		"a value that a setting has not":   {func(c *pgx.ConnConfig) { c.RuntimeParams["statement_timeout"] = "abc" }, "22023", "statement_timeout"},
		"a token past what is read":        {func(c *pgx.ConnConfig) { c.Password = strings.Repeat("x", 70_000) }, "54000", "65536"},
		"a token of 20,000, which is none": {func(c *pgx.ConnConfig) { c.Password = strings.Repeat("x", 20_000) }, "28000", "token"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tryAs(t, s, "agent", c.change)
			_ = answered(t, err, c.code, c.words) // it has looked at it
		})
	}
}

// What is said behind TLS stays behind TLS, refusals and good-byes too.
func TestWhatIsSaidBehindTLSStaysThere(t *testing.T) {
	s := sharedStage(t)
	dial := func() *tls.Conn {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		return tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	conn := dial()
	if _, err := conn.Write([]byte{0, 0, 0, 8, 0, 9, 0, 0}); err != nil { // protocol 9
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil && !strings.Contains(err.Error(), "unexpected EOF") || !bytes.Contains(got, []byte("FATAL")) {
		t.Errorf("%q, %v", got, err)
	}

	cancel := dial()
	b := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 16}, 80877102)
	if _, err := cancel.Write(append(b, 0, 0, 0, 1, 0, 0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(cancel); err != nil || len(got) > 0 { // without close_notify: unexpected EOF
		t.Errorf("an encrypted cancel ends with %q, %v", got, err)
	}
}

// A Bind that does not fit its parameters is an error, and a database that goes away is told once.
func TestOneErrorForOneFault(t *testing.T) {
	s := ownStage(t, stage.Options{})
	c := wide(t, s)
	got := say(t, c, group{
		parse("", "select $1::int"), &pgproto3.Bind{ParameterFormatCodes: []int16{0, 0}, Parameters: [][]byte{[]byte("1")}}, sync3(),
	}, group{queryOf("select 41 + 1")})
	if !bytes.Contains(got, []byte("08P01")) || !bytes.Contains(got, []byte("42")) || bytes.Contains(got, []byte("FATAL")) {
		t.Errorf("got %q", got)
	}
	superuserExec(t, s, "select pg_terminate_backend("+strconv.FormatUint(uint64(c.PgConn().PID()), 10)+")")
	// It comes by itself; whoever writes to a connection that is closed meanwhile may lose what it has not read.
	if got := say(t, c, group{}); bytes.Count(got, []byte("VFATAL")) != 1 {
		t.Errorf("the loss of the database is told as %q", got)
	}
}

func superuserExec(t *testing.T, s *stage.Stage, sql string) {
	t.Helper()
	if _, err := superuser(t, s).Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
