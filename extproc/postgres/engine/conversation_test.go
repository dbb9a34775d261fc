package engine

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluicegate/sluice/extproc/postgres/pgmodel"
)

// talk sends each part whole and lets everything answer before the next: the `|` of a transcript.
func talk(t *testing.T, parts ...[]byte) (got, ideal []string) {
	t.Helper()
	c := &conversation{backend: pgmodel.New(nil), script: vaultScript(t)}
	defer c.backend.Stop()
	for _, p := range parts {
		c.said = append(c.said, p...)
		c.unsent = append(c.unsent, p...)
		c.settle()
	}
	if c.err != nil {
		t.Fatal(c.err)
	}
	for _, secret := range pgmodel.Secrets() {
		if bytes.Contains(c.script.agent, []byte(secret)) {
			t.Errorf("%q in clear", secret)
		}
	}
	return transcript(c.script.agent), transcript(c.ideal().Take())
}

func frontend(t *testing.T, m pgproto3.FrontendMessage) []byte {
	t.Helper()
	b, err := m.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Each of these gave rows of one statement as those of another, or left the two sides of different minds.
func TestNoAnswerIsTakenForThatOfAnotherStatement(t *testing.T) {
	data := func(s string) []byte { return frontend(t, &pgproto3.CopyData{Data: []byte(s)}) }
	end, sync := frontend(t, &pgproto3.CopyDone{}), syncMessage()
	copyIn, secret := query("copy sink from stdin"), query("select id, key from vault")
	extended := func(sql string) []byte { return join(parse("", sql), bind("", ""), execute("")) }
	for name, parts := range map[string][][]byte{
		"a Sync before the COPY is granted": {join(copyIn, sync), end, query("select 1/0"), secret},
		"a Sync behind a bad row":           {copyIn, join(data("x\n"), sync, secret, query("select n from pub"))},
		"a Sync before a bad row":           {copyIn, join(data("1"), sync, data("x\n"), secret, query("select n from pub"))},
		"several Syncs about a bad row":     {copyIn, join(sync, data("x\n"), sync, sync, secret, query("select n from pub"))},
		"a Sync behind a bad row, extended": {join(extended("copy sink from stdin"), appendFlush(nil)), join(data("x\n"), sync, end, secret, sync, query("select n from pub"))},
		"a Sync before a bad row, extended": {extended("copy sink from stdin"), join(data("1"), sync, data("x\n")), secret, join(sync, query("select n from pub"))},
		"a failed COPY and a Sync":          {copyIn, join(sync, frontend(t, &pgproto3.CopyFail{Message: "no"}), sync), secret},
		"two COPYs in one string":           {query("copy sink from stdin;copy sink from stdin"), join(data("1\n"), end), join(sync, data("2\n"), end, sync), secret},
		"the second COPY fails":             {query("copy sink from stdin;copy sink from stdin"), join(data("1\n"), end, data("x\n"), sync), secret},
		"a query behind the end of data":    {copyIn, join(data("1\n"), end, secret, query("select n from pub"))},
		"data that nobody reads":            {join(data("x\n"), end), secret},
		"a denied Parse":                    {join(parse("", "select n from pub"), sync), join(parse("", pgmodel.Refused), sync), join(bind("", ""), execute(""), sync)},
		"a Parse with a fault":              {join(parse("", "select n from pub"), sync), join(parse("", pgmodel.Syntax), sync), join(bind("", ""), execute(""), sync)},
		"a Query":                           {join(parse("", "select n from pub"), sync), query(""), join(bind("", ""), execute(""), sync)},
		"a denied Query":                    {join(parse("", "select n from pub"), sync), query(pgmodel.Refused), join(bind("", ""), execute(""), sync)},
		"a denied Parse that is skipped":    {join(parse("", "select n from pub"), sync), join(bind("", "no"), parse("", pgmodel.Refused), sync), join(bind("", ""), execute(""), sync)},
		"DEALLOCATE ALL":                    {join(parse("", "select n from pub"), parse("a", "select n from pub"), sync), query("set statement_timeout = '1h'"), join(parse("", "select n from pub"), parse("b", "deallocate all"), bind("", "b"), execute(""), sync), join(bind("", ""), execute(""), sync), join(bind("", "a"), execute(""), sync)},
	} {
		t.Run(name, func(t *testing.T) {
			got, ideal := talk(t, append(parts, syncMessage())...)
			if g, w := strings.Join(got, "\n"), strings.Join(ideal, "\n"); g != w {
				t.Errorf("got\n%s\nPostgreSQL would say\n%s", g, w)
			}
		})
	}
}

// PostgreSQL keeps 63 bytes of a name, so longer ones are the same to it.
func TestNamesThatPostgreSQLWouldCutAreRefused(t *testing.T) {
	long := pgmodel.Long + "x"
	for name, message := range map[string][]byte{
		"Parse":                 parse(long, "select n from pub"),
		"Bind of a statement":   bind("", long),
		"Bind to a portal":      bind(long, ""),
		"Describe of a portal":  appendDescribePortal(nil, []byte(long)),
		"Execute":               execute(long),
		"Close":                 closeStatement(long),
		"a name of 60,000":      parse(strings.Repeat("n", 60_000), "select n from pub"),
		"Describe of statement": frontend(t, &pgproto3.Describe{ObjectType: 'S', Name: long}),
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := talk(t, join(message, syncMessage()))
			if want := "E ERROR 42622, " + `Z "I"`; strings.Join(got, ", ") != want {
				t.Errorf("got %q", got)
			}
		})
	}
	got, _ := talk(t, join(parse(pgmodel.Long, "select n from pub"), bind(pgmodel.Long, pgmodel.Long), execute(pgmodel.Long), syncMessage()))
	if got[0] != "1" || len(got) != 7 {
		t.Errorf("a name of 63 bytes: %q", got)
	}
}

// A COPY is over when the server says so: what follows need not wait for anything else.
func TestACopyIsOverWhenItIsOver(t *testing.T) {
	data := frontend(t, &pgproto3.CopyData{Data: []byte("1\n")})
	for name, end := range map[string][]byte{
		"done":     frontend(t, &pgproto3.CopyDone{}),
		"given up": frontend(t, &pgproto3.CopyFail{Message: "no"}),
		"bad data": frontend(t, &pgproto3.CopyData{Data: []byte("x\n")}),
	} {
		for _, begin := range [][]byte{query("copy sink from stdin"), join(parse("", "copy sink from stdin"), bind("", ""), execute(""))} {
			c := &conversation{backend: pgmodel.New(nil), script: vaultScript(t), unsent: begin}
			c.settle()
			c.unsent = join(data, end)
			c.settle()
			if c.err != nil || !c.script.engine.Answered() {
				t.Errorf("%s: answered %v, %v", name, c.script.engine.Answered(), c.err)
			}
			c.backend.Stop()
		}
	}
}

// Whether the server ignored a Sync is not known while its answer may still be on the way: a statement that went on now
// could be taken for over by it.
func TestAfterAFailedCopyAStatementWaitsForTheAnswersToEarlierSyncs(t *testing.T) {
	for name, c := range map[string]struct {
		readies []byte // before the engine's own Close is answered
		want    string // what the agent gets of them
	}{
		"the server ignored it":  {ready('I'), ""},
		"the server answered it": {join(ready('I'), ready('I')), "Z"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.mustSend(query("copy in"))
			s.mustAnswer(encodeBackend(&pgproto3.CopyInResponse{}))
			s.mustSend(join(frontend(t, &pgproto3.CopyData{Data: []byte("x\n")}), syncMessage()))
			s.mustAnswer(failure("22P02", "bad row", ""), ready('I'))
			s.server, s.agent = nil, nil
			s.mustSend(query("select"))
			if got := kinds(s.server); got != "SCH" || !s.stalled {
				t.Fatalf("the server got %s", got)
			}
			if s.mustSend(syncMessage()); kinds(s.server) != "SCH" {
				t.Errorf("it is asked again: the server got %s", kinds(s.server))
			}
			s.mustAnswer(join(c.readies, closed()))
			if got := kinds(s.agent); got != c.want {
				t.Errorf("the agent got %q", got)
			}
			s.mustSend(nil)
			if got := kinds(s.server); got != "SCHQS" {
				t.Errorf("in the end the server got %s", got)
			}
		})
	}
	// Once all have been answered, nothing needs to be asked.
	s := newScript(t)
	s.mustSend(query("copy in"))
	s.mustAnswer(encodeBackend(&pgproto3.CopyInResponse{}))
	s.mustSend(syncMessage())
	s.mustAnswer(failure("57014", "canceled", ""), ready('I'), ready('I'))
	s.server = nil
	s.mustSend(query("select"))
	if got := kinds(s.server); got != "Q" || kinds(s.agent) != "GEZZ" {
		t.Errorf("the server got %s, the agent %s", got, kinds(s.agent))
	}
	// Good-bye needs no answer.
	s = newScript(t)
	s.mustSend(query("copy in"))
	s.mustAnswer(encodeBackend(&pgproto3.CopyInResponse{}))
	s.mustSend(syncMessage())
	s.mustAnswer(failure("57014", "canceled", ""), ready('I'))
	s.mustSend(message('X', nil))
	if s.stalled || !s.closed {
		t.Error("good-bye waits")
	}
}
