package e2e

import (
	"context"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Messages as a client sends them.
func parse(name, sql string) pgproto3.FrontendMessage { return &pgproto3.Parse{Name: name, Query: sql} }

func bind(portal, statement string, format int16) pgproto3.FrontendMessage {
	return &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement, ResultFormatCodes: []int16{format}}
}

func execute(portal string, most uint32) pgproto3.FrontendMessage {
	return &pgproto3.Execute{Portal: portal, MaxRows: most}
}

func closing(what byte, name string) pgproto3.FrontendMessage {
	return &pgproto3.Close{ObjectType: what, Name: name}
}

func sync3() pgproto3.FrontendMessage { return &pgproto3.Sync{} }

func functionCall(oid uint32, argument []byte) pgproto3.FrontendMessage {
	return &pgproto3.FunctionCall{Function: oid, Arguments: [][]byte{argument}}
}

// raw sends messages as they are and reads until each Sync among them is answered, or the connection ends.
func raw(_ context.Context, c *pgconn.PgConn, messages ...pgproto3.FrontendMessage) {
	_ = c.Conn().SetDeadline(time.Now().Add(20 * time.Second))
	defer func() { _ = c.Conn().SetDeadline(time.Time{}) }()
	answers := 0
	for _, m := range messages {
		switch m.(type) {
		case *pgproto3.Sync, *pgproto3.FunctionCall:
			answers++
		}
		c.Frontend().Send(m)
	}
	if c.Frontend().Flush() != nil {
		return
	}
	for answers > 0 {
		m, err := c.Frontend().Receive()
		if err != nil {
			return
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			answers--
		}
	}
}

// pipeline sends statements in one batch with one Sync.
func pipeline(ctx context.Context, c *pgconn.PgConn, statements ...string) {
	p := c.StartPipeline(ctx)
	for _, sql := range statements {
		p.SendQueryParams(sql, nil, nil, nil, nil)
	}
	_ = p.Sync()
	drainPipeline(p, 1)
	_ = p.Close()
}

func drainPipeline(p *pgconn.Pipeline, syncs int) {
	for syncs > 0 {
		r, err := p.GetResults()
		switch r := r.(type) {
		case *pgconn.ResultReader:
			_, _ = r.Close()
		case *pgconn.PipelineSync:
			syncs--
		case nil:
			if err == nil || ended(err) {
				return
			}
		}
	}
}

// ended tells the end of a connection from an error of the server's.
func ended(err error) bool {
	var e *pgconn.PgError
	return !asPgError(err, &e)
}

// oidOf asks for the OID of a type, or of a function with its arguments.
func oidOf(ctx context.Context, c *pgconn.PgConn, name string) uint32 {
	kind := "regtype"
	if name[len(name)-1] == ')' {
		kind = "regprocedure"
	}
	r := c.ExecParams(ctx, "select '"+name+"'::"+kind+"::oid", nil, nil, nil, nil).Read()
	if r.Err != nil || len(r.Rows) != 1 {
		return 0
	}
	oid, _ := strconv.ParseUint(string(r.Rows[0][0]), 10, 32)
	return uint32(oid)
}

// portalTaken opens a portal that shows nothing hidden, lets go of it at the server, lets a function open a cursor of
// its name, and fetches from it.
func portalTaken(ctx context.Context, c *pgconn.PgConn, name, letGo, open string) {
	for _, sql := range []string{"begin", "savepoint a"} {
		_, _ = c.Exec(ctx, sql).ReadAll()
	}
	raw(ctx, c, parse("h", "select note from work order by id"), bind(name, "h", 0), execute(name, 1), sync3())
	_, _ = c.Exec(ctx, letGo).ReadAll()
	c.ExecParams(ctx, open, nil, nil, nil, nil).Read()
	raw(ctx, c, execute(name, 5), sync3())
	_, _ = c.Exec(ctx, "rollback").ReadAll()
}

func portalTakenInBatch(ctx context.Context, c *pgconn.PgConn) {
	_, _ = c.Exec(ctx, "begin").ReadAll()
	raw(ctx, c,
		parse("h", "select note from work order by id"), bind("x", "h", 0),
		parse("c", "select close_it('x')"), bind("", "c", 0), execute("", 0),
		parse("o", "select open_passwords('x')"), bind("", "o", 0), execute("", 0),
		execute("x", 5), sync3())
	_, _ = c.Exec(ctx, "rollback").ReadAll()
}

// be32 is a number as the protocol has it.
func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
