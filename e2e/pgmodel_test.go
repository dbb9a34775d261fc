package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"github.com/sluicegate/sluice/e2e/stack"
	"github.com/sluicegate/sluice/extproc/postgres/pgmodel"
)

// The model that the engine is held against says what the real server says, on random conversations: message by
// message, with the bytes of rows, tags and states.
func TestTheModelOfPostgreSQLSaysWhatPostgreSQLSays(t *testing.T) {
	pg := stack.NewPostgres(t, stack.PostgresOptions{InitSQL: pgmodel.Fixture})
	oids := relationNames(t, pg)
	rapid.Check(t, func(r *rapid.T) {
		parts := rapid.SliceOfN(pgmodel.Messages(pgmodel.Texts(), pgmodel.Names()), 1, 25).Draw(r, "messages")
		all := bytes.Join(append(parts, pgmodel.Farewell(), pgmodel.Terminate()), nil)

		said := pgmodel.Transcript(converse(r, pg, all), oids)
		b := pgmodel.New(nil)
		defer b.Stop()
		b.Feed(all)
		modelled := pgmodel.Transcript(b.Take(), map[uint32]string{pgmodel.PubOID: "pub", pgmodel.VaultOID: "vault", pgmodel.SinkOID: "sink"})
		if diff := cmp.Diff(said, modelled); diff != "" {
			r.Fatalf("the model differs (-real +model):\n%s\non\n%s", diff, bytes.Join(lines(pgmodel.Requests(all)), nil))
		}
	})
}

func lines(words []string) (out [][]byte) {
	for _, w := range words {
		out = append(out, []byte(w+"\n"))
	}
	return out
}

func relationNames(t *testing.T, pg *stack.Postgres) map[uint32]string {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), pg.Superuser("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	result := conn.ExecParams(t.Context(), "select oid::text, relname::text from pg_class where relname in ('pub', 'vault', 'sink')", nil, nil, nil, nil).Read()
	if result.Err != nil || len(result.Rows) != 3 {
		t.Fatal(result.Err, len(result.Rows))
	}
	names := map[uint32]string{}
	for _, row := range result.Rows {
		var oid uint32
		for _, c := range row[0] {
			oid = oid*10 + uint32(c-'0')
		}
		names[oid] = string(row[1])
	}
	return names
}

// converse sends a whole conversation on a connection of its own and returns all that the server says.
func converse(t interface{ Fatal(...any) }, pg *stack.Postgres, all []byte) []byte {
	conn, err := pgconn.Connect(context.Background(), pg.Superuser("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hijacked.Conn.Close() }()
	if err := hijacked.Conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var sending sync.WaitGroup
	sending.Go(func() { _, _ = hijacked.Conn.Write(all) }) // a server that gives up reads no further
	answer, err := io.ReadAll(hijacked.Conn)
	sending.Wait()
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("the server does not answer")
	}
	return answer
}
