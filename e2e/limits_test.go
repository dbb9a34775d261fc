package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sluicegate/sluice/e2e/stack"
)

// limitCases run each limit of deploy/LIMITS.md by its id. want is the SQLSTATE, or "masked".
var limitCases = map[string][]struct{ sql, want string }{
	"search-path":        {{"set search_path = public", "42501"}, {"select set_config('search_path', 'public', false)", "42501"}},
	"temp-objects":       {{"create temp table t (i int)", "42501"}},
	"sql-prepare":        {{"prepare p as select 1", "0A000"}, {"execute p", "0A000"}, {"explain execute p", "0A000"}, {"create table x as execute p", "0A000"}, {"explain analyze create table x as execute p", "0A000"}},
	"sql-cursors":        {{"declare c cursor with hold for select 1", "0A000"}, {"fetch c", "0A000"}, {"move c", "0A000"}, {"explain declare c cursor for select 1", "0A000"}},
	"two-phase":          {{"prepare transaction 'x'", "0A000"}},
	"pg18-grammar":       {{"update orders set total = 1 where id = 1 returning with (old as o) o.total", "42601"}},
	"comment-string":     {{"select 'a' -- c\n'b'", "42601"}},
	"encoding":           {{"set client_encoding = 'LATIN1'", "0A000"}, {"set standard_conforming_strings = off", "0A000"}},
	"unknown-effect":     {{"do $$begin end$$", "42501"}, {"create extension hstore", "42501"}, {"create function f() returns int language sql as 'select 1'", "42501"}},
	"masked-use":         {{"select id from customers where password = 'x'", "42501"}, {"select upper(password) from customers", "42501"}, {"select id from customers order by password", "42501"}},
	"masked-name":        {{"select orders.id from customers, orders where email is not null", "42501"}},
	"masked-star":        {{"select id from (select * from customers) c", "42501"}, {"select to_json(c) from customers c", "42501"}, {"select a from customers as c(a, b)", "42501"}},
	"masked-view":        {{"select id from customer_view limit 1", "masked"}, {"select 1 from customer_view where id = 1", "42501"}},
	"masked-computed":    {{"select customer_password(1)", "masked"}},
	"acting-functions":   {{"select pg_sleep(0)", "42501"}, {"select pg_terminate_backend(1)", "42501"}, {"select lo_create(0)", "42501"}, {"select pg_input_is_valid('1', 'int4')", "42501"}, {"select query from pg_stat_activity", "42501"}},
	"impure-place":       {{"select id from orders where customer_password(1) = 'x'", "42501"}},
	"masked-definition":  {{"alter table customers alter column password type varchar(12)", "42501"}, {"alter table customers rename column email to e", "42501"}},
	"masked-explain":     {{"explain select password from customers", "42501"}, {"explain analyze select id from customers", "42501"}},
	"unknown-relation":   {{"select id from public.nowhere where id = 1", "42P01"}},
	"foreign-table":      {{"select id from far_away", "42501"}},
	"own-code":           {{"select 'x'::spoken", "42501"}, {"insert into speakers values ('x')", "42501"}},
	"setting-value":      {{"show app.secret", "42501"}, {"select current_setting('app.secret')", "42501"}},
	"trigger-writes":     {{"insert into guarded values (1)", "42501"}},
	"ddl-in-transaction": {{"create table ddl_t (i int); select id from customers", "0A000"}, {"select customer_password(1); select id from customers", "0A000"}},
	"behind-move":        {{"reset all; select id from orders", "0A000"}, {"discard all; select id from orders", "0A000"}},
	"errors-withheld":    {{"select name::int from customers", "22P02"}},
}

func TestLimits(t *testing.T) {
	s := sharedStage(t)
	policyFile(t, s, "90-limits.yaml", `rules:
- name: mallory-may
  who: {subjects: [mallory]}
  on: {targets: [orders], sql: {effects: [READ, INSERT, UPDATE, EXECUTE, DDL], relations: ["public.*", "ddl_t"]}}
  allow: {}
`)
	defer policyFile(t, s, "90-limits.yaml", "")
	for id, cases := range limitCases {
		t.Run(id, func(t *testing.T) {
			for _, c := range cases {
				conn := connectWith(t, s, "mallory", func(cfg *pgx.ConnConfig) { cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol })
				if c.want == "masked" {
					var v *string
					if err := conn.QueryRow(t.Context(), c.sql).Scan(&v); err != nil || v != nil && *v != "[masked]" {
						t.Errorf("%s: %v", c.sql, err)
					}
					continue
				}
				_, err := conn.Exec(t.Context(), c.sql)
				wantCode(t, err, c.want)
				if strings.Contains(err.Error(), "Customer") {
					t.Errorf("%s: a value is in %v", c.sql, err)
				}
			}
		})
	}
}

// elsewhere are ids that other tests pin, by what is asked and answered there.
var elsewhere = map[string]string{
	"function-call":    "TestFunctionCallMessagesAreRefused",
	"replication":      "TestFunctionCallMessagesAreRefused",
	"pg-dump":          "TestPgDumpIsRefused",
	"statement-size":   "TestSizesAreBounded",
	"statement-depth":  "TestSizesAreBounded",
	"statement-work":   "TestWorkOnOneTextIsBounded in policies/sqlfacts",
	"bind-size":        "TestSizesAreBounded",
	"held-copy":        "TestACopyThatNeedsApprovalIsRefused",
	"behind-failure":   "TestAFailedTransactionEndsThoughTheCatalogChanged in extproc/postgres",
	"unfinished-batch": "TestAQueryBehindAnUnfinishedBatchMaySeeItsTransaction in extproc/postgres",
	"early-snapshot":   "TestAQuestionLeavesNoTransactionBehind in extproc/postgres",
	"prepared-again":   "TestWhatWasPutInThePlaceOfANameIsNotTakenForIt in extproc/postgres",
	"prepared-names":   "TestAPreparedNameIsRefusedOnceItMeansSomethingElse in extproc/postgres",
	"record-computed":  "TestTheRecordHidesWhatTheExceptedWorkOutOfWhatIsMasked",
	"record-copied":    "TestDataOfCopyInHasNoSecrets in policies/masking",
	"copy-null":        "TestALineThatCanBeCutInTwoWaysIsNoRow in policies/masking",
	"long-names":       "TestNamesThatPostgreSQLWouldCutAreRefused in extproc/postgres/engine",
	"hold-input":       "TestTooMuchInputWhileHeldWithdraws",
	"parameter-type":   "TestAParameterOfAUsersTypeIsRefusedWhereMasksApply",
	"constraints":      "TestAConstraintAnswersGuessesOfAMaskedColumn",
	"channel-binding":  "TestChannelBindingCannotBeHadAndTheTokenDoesNotLeave",
	"startup-names":    "TestTheDatabaseSeesWhoAsksAndWhatTheClientCallsItself in extproc/postgres",
	"token-size":       "TestRefusalsAtStartupSayWhat",
	"notify-payload":   "TestNotificationsLoseTheirPayload in extproc/postgres/engine",

	"http-charset":         "TestWhatIsInLettersThatAreNotLikeASCIIIsNotHeldWherePathsNameSomething in policies/httpmask",
	"http-multipart":       "TestNothingOfAMultipartBodyIsBesideWhatPeopleSee in policies/httpmask",
	"http-undecodable":     "TestHTTPRefusalsSayWhy",
	"http-compressed":      "TestAnHTTPAgentSeesMaskedJSON",
	"http-path":            "TestHTTPRefusalsSayWhy",
	"http-program":         "TestRulesThatDenyOrAskReadPathsBehindPrograms in policies",
	"http-parameters":      "TestAServiceSeesWhatWasDecidedOrNothing",
	"http-head":            "TestRulesThatDenyOrAskAboutGETAreAboutHEAD in policies",
	"http-underscore":      "TestEnvoyServesHTTPTargets",
	"http-body-size":       "TestHTTPRefusalsSayWhy",
	"http-token-size":      "TestATokenThatIsTooLongForAHeadReachesNobody",
	"http-event-size":      "TestAnEventHasBounds in policies/jsonmask",
	"http-duplicate-keys":  "TestRefusalsAreProblemDetails in authz/check",
	"http-method-override": "TestAMethodInAnotherPlaceIsRefusedWhereMethodsMatter in authz/check",
	"http-cookies":         "TestWhatAgentsMayNotSayOfARequestStaysBehind in authz/check",
	"http-slow-body":       "TestARequestMustArriveAndAHoldMayWait",
	"http-connect":         "TestRefusalsAreProblemDetails in authz/check",
	"http-websocket":       "TestWhatCannotBeMaskedIsKeptBack in extproc/http",
}

func TestEveryLimitIsPinned(t *testing.T) {
	root, err := stack.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "deploy", "LIMITS.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([a-z0-9-]+) \| (?:over-denial|missing|window|bound|inference) \|`).FindAllStringSubmatch(string(text), -1) {
		listed[m[1]] = true
		if limitCases[m[1]] == nil && elsewhere[m[1]] == "" {
			t.Errorf("no test pins %q", m[1])
		}
	}
	for id := range limitCases {
		if !listed[id] {
			t.Errorf("%q is tested, but not in LIMITS.md", id)
		}
	}
	for id := range elsewhere {
		if !listed[id] {
			t.Errorf("%q is tested, but not in LIMITS.md", id)
		}
	}
}

// People would approve a line, and not see the data that comes behind it.
func TestACopyThatNeedsApprovalIsRefused(t *testing.T) {
	s := sharedStage(t)
	c := connect(t, s, "agent")
	before := one[int](t, s, "select count(*) from orders")
	_, err := c.PgConn().CopyFrom(t.Context(), strings.NewReader("90001\t1\t1\topen\n"), "copy public.orders from stdin")
	wantCode(t, err, "42501", "COPY")
	var n int
	if err := c.QueryRow(t.Context(), "select count(*) from orders").Scan(&n); err != nil || n != before {
		t.Errorf("%d orders, there were %d: %v", n, before, err)
	}
}

func TestAParameterOfAUsersTypeIsRefusedWhereMasksApply(t *testing.T) {
	s := sharedStage(t)
	c := connect(t, s, "agent").PgConn()
	value := [][]byte{[]byte("(1,a,b)")}
	oid := oidOf(t.Context(), c, "public.speakers") // whose column's type has a check
	if oid < 16384 {
		t.Fatalf("the type has OID %d", oid)
	}
	wantCode(t, c.ExecParams(t.Context(), "select $1", [][]byte{[]byte("(x)")}, []uint32{oid}, nil, nil).Read().Err, "0A000", "a type that is not one of PostgreSQL's own")
	plain := oidOf(t.Context(), c, "public.staff")
	for _, of := range []uint32{25, plain} {
		if err := c.ExecParams(t.Context(), "select $1", value, []uint32{of}, nil, nil).Read().Err; err != nil {
			t.Errorf("of type %d, which runs nothing: %v", of, err)
		}
	}
	if err := connect(t, s, "alice").PgConn().ExecParams(t.Context(), "select $1", [][]byte{[]byte("(x)")}, []uint32{oid}, nil, nil).Read().Err; err != nil {
		t.Errorf("where no mask applies: %v", err)
	}
}

func TestAConstraintAnswersGuessesOfAMaskedColumn(t *testing.T) {
	s := sharedStage(t)
	if _, err := superuser(t, s).Exec(t.Context(), `create table vault (id int primary key, api_key text unique);
		insert into vault values (1, 'sk-live-key-vault'); grant all on vault to orders_app`); err != nil {
		t.Fatal(err)
	}
	policyFile(t, s, "90-vault.yaml", "rules: [{name: vault, who: {subjects: [mallory]}, on: {targets: [orders], sql: {relations: [public.vault]}}, allow: {}}]\n")
	defer policyFile(t, s, "90-vault.yaml", "")
	c := connect(t, s, "mallory")
	waitUntil(t, "a wrong guess is refused", func() bool { // the table is new to the catalog
		_, err := c.Exec(t.Context(), "insert into vault values (2, 'sk-live-key-wrong')")
		return err == nil
	})
	_, err := c.Exec(t.Context(), "insert into vault values (3, 'sk-live-key-vault')")
	wantCode(t, err, "23505", "withheld")
	if strings.Contains(err.Error(), "sk-live") {
		t.Errorf("the value is in %v", err)
	}
}

func TestFunctionCallMessagesAreRefused(t *testing.T) {
	s := sharedStage(t)
	conn := connect(t, s, "agent")
	hijacked, err := conn.PgConn().Hijack()
	if err != nil {
		t.Fatal(err)
	}
	defer hijacked.Conn.Close()
	if _, err := hijacked.Conn.Write([]byte{'F', 0, 0, 0, 14, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	msg, err := hijacked.Frontend.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if got := codeOf(msg); got != "0A000" {
		t.Errorf("got %T %s", msg, got)
	}

	cfg, err := pgx.ParseConfig(s.PG)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Password, err = s.Token(t.Context(), "agent"); err != nil {
		t.Fatal(err)
	}
	cfg.RuntimeParams["replication"] = "database"
	_, err = pgx.ConnectConfig(t.Context(), cfg)
	wantCode(t, err, "0A000", "replication")
}

func TestPgDumpIsRefused(t *testing.T) {
	s := sharedStage(t)
	out, err := runTool(t, s, "pg_dump", "agent", "-t", "work")
	if err == nil || !strings.Contains(out, "search_path") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestSizesAreBounded(t *testing.T) {
	s := sharedStage(t)
	conn := connectWith(t, s, "agent", func(cfg *pgx.ConnConfig) { cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol })
	_, err := conn.Exec(t.Context(), "select '"+strings.Repeat("x", 1<<20)+"'")
	wantCode(t, err, "54000")
	_, err = conn.Exec(t.Context(), "select "+strings.Repeat("(", 3000)+"1"+strings.Repeat(")", 3000))
	wantCode(t, err, "54001")
	ext := connect(t, s, "agent")
	var n int
	err = ext.QueryRow(t.Context(), "select length($1::text)", strings.Repeat("x", 17<<20)).Scan(&n)
	wantCode(t, err, "54000")
	for _, c := range []*pgx.Conn{conn, ext} { // the sessions live
		if err := c.QueryRow(t.Context(), "select 1").Scan(&n); err != nil {
			t.Error(err)
		}
	}
}
