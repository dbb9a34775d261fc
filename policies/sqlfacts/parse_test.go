package sqlfacts

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
)

func TestParseRefusesBeforeTheGrammar(t *testing.T) {
	deep := func(open, inner, shut string, n int) string {
		return "select " + strings.Repeat(open, n) + inner + strings.Repeat(shut, n)
	}
	for name, c := range map[string]struct{ sql, code string }{
		"too long":                              {"select 1 --" + strings.Repeat(" ", MaxText), "54000"},
		"too many statements":                   {strings.Repeat("show a;", MaxStatements+1), "54000"},
		"NUL":                                   {"select 'a\x00b'", "22021"},
		"NUL first":                             {"\x00select 1", "22021"},
		"not UTF-8":                             {"select '\xff'", "22021"},
		"brackets":                              {deep("(", "1", ")", 3000), "54001"},
		"square brackets":                       {deep("array[", "1", "]", 3000), "54001"},
		"CASE":                                  {deep("case when true then ", "1", " end", 3000), "54001"},
		"operators":                             {deep("1 + ", "1", "", 20000), "54001"},
		"signs without space":                   {deep("+-", "1", "", 40000), "54001"},
		"a sign too many":                       {"select 1 " + strings.Repeat("-+", 1200) + "1", "54001"},
		"signs behind an operator":              {"select 1 *" + strings.Repeat("+-", 40000) + " 1", "54001"},
		"casts":                                 {deep("", "1", "::int", 20000), "54001"},
		"IS NULL":                               {deep("", "1", " is null", 20000), "54001"},
		"BETWEEN hides no chain":                {deep("", "1", " between 1 and 2 is null", 20000), "54001"},
		"NOT":                                   {deep("not ", "true", "", 20000), "54001"},
		"COLLATE":                               {deep("", "a", ` collate "C"`, 20000), "54001"},
		"AT TIME ZONE":                          {deep("", "a", " at time zone 'x'", 20000), "54001"},
		"IN":                                    {deep("", "a", " in (1)", 20000), "54001"},
		"joins":                                 {"select from a" + strings.Repeat(" join a on true", 20000), "54001"},
		"set operations":                        {"select 1" + strings.Repeat(" union select 1", 20000), "54001"},
		"copies of a source":                    {"update a set (" + strings.Repeat("b,", 20000) + "b) = (" + strings.Repeat("1,", 20000) + "1)", "54001"},
		"depth behind a comment":                {"select /* ' */ " + strings.Repeat("(", 3000) + "1" + strings.Repeat(")", 3000), "54001"},
		"a sign too many behind queries":        {"select " + strings.Repeat("(select 1), ", 100) + "1 " + strings.Repeat("-+", 1200) + "1", "54001"},
		"queries within queries":                {deep("(select ", "1", ")", 1500), "54001"},
		"END as a column is no end":             {deep("case when a.end then ", "1", " end", 3000), "54001"},
		"signs behind SELECT":                   {"select " + strings.Repeat("-+", 1200) + "1", "54001"},
		"a cast too many":                       {deep("", "1", "::int", 1300), "54001"},
		"a CASE too many, and END as a column":  {deep("case when a.end then ", "1", " end", 2450), "54001"},
		"a bracket too many behind closed ones": {"select " + strings.Repeat("(", 1250) + "(1) + " + strings.Repeat("(", 1250) + "1" + strings.Repeat(")", 2500), "54001"},
		"a comment too many":                    {strings.Repeat("/*", 33) + strings.Repeat("*/", 33) + "select 1", "54001"},
		"capitals":                              {deep("NOT ", "true", "", 2450), "54001"},
		"a short word too many":                 {deep("", "a", " in (1)", 2450), "54001"},
		"a long word too many":                  {"select 1" + strings.Repeat(" intersect select 1", 2450), "54001"},
		"a join too many":                       {"select from a" + strings.Repeat(" join a on true", 2450), "54001"},
		"BETWEEN too often":                     {deep("", "1", " between 1 and 2 is null", 1250), "54001"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.sql)
			var e *Error
			if !errors.As(err, &e) || e.Code != c.code {
				t.Fatalf("got %v, want %s", err, c.code)
			}
		})
	}
}

func TestParseReadsWhatIsWideButNotDeep(t *testing.T) {
	for name, sql := range map[string]string{
		"nothing":         "",
		"only semicolons": " ;; ; ",
		"the longest":     "select 1 --" + strings.Repeat(" ", MaxText-11),
		"most statements": strings.Repeat("show a;", MaxStatements),
		"a comment":       "-- nothing",
		"long list":       "select a from b where c in (1" + strings.Repeat(", 1", 50_000) + ")",
		"many conditions": "select a from b where c = 1" + strings.Repeat(" or c = 1", 20_000),
		"many rows":       "insert into a values (1, 'a')" + strings.Repeat(", (1, 'a' || 'b')", 20_000),
		"many columns":    "select 1 + 2" + strings.Repeat(", a + b", 20_000),
		"quoted brackets": "select '" + strings.Repeat("(", 5000) + "', \"" + strings.Repeat("(", 60) + "\", $x$" + strings.Repeat("((", 5000) + "$x$",
		"commented":       "select 1 /* " + strings.Repeat("(", 5000) + " */ -- " + strings.Repeat("(", 5000),
		// PostgreSQL takes these with the stack that it has by default.
		"600 subselects":     "select * from " + strings.Repeat("(select * from ", 600) + "t" + strings.Repeat(") s", 600),
		"600 scalar ones":    "select " + strings.Repeat("(select ", 600) + "1" + strings.Repeat(")", 600),
		"600 in predicates":  "select 1" + strings.Repeat(" where exists (select 1", 600) + strings.Repeat(")", 600),
		"600 CTEs":           strings.Repeat("with a as (", 600) + "select 1" + strings.Repeat(") select 1", 600),
		"1,000 brackets":     "select " + strings.Repeat("(", 1000) + "1" + strings.Repeat(")", 1000),
		"1,000 arms of CASE": "select case " + strings.Repeat("when a = 1 then a + 2 ", 1000) + "else 3 end",
		"1,000 CASEs":        "select " + strings.Repeat("case when true then ", 1000) + "1" + strings.Repeat(" end", 1000),
		"1,500 terms":        "select 1" + strings.Repeat("+1", 1500),
		"2,398 signs":        "select 1 " + strings.Repeat("-+", 1199) + "1",
		"1,000 calls":        "select " + strings.Repeat("lower(", 1000) + "'x'" + strings.Repeat(")", 1000),
		"700 set operations": "select 1" + strings.Repeat(" union select 1", 700),
		"assigned members":   "update a set (" + strings.Repeat("b,", 50) + "b) = (" + strings.Repeat("1,", 50) + "1)",
	} {
		t.Run(name, func(t *testing.T) {
			script, err := Parse(sql)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := script.Resolve(nobody{}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestWhatStandsSideBySideIsNotDeep(t *testing.T) {
	for name, sql := range map[string]string{
		"comments":            strings.Repeat("/*", 32) + strings.Repeat("*/", 32) + "select 1",
		"capitals":            "select 1 where " + strings.Repeat("a + b AND ", 3000) + "true",
		"BETWEEN":             "select 1 where " + strings.Repeat("a between 1 and 2 and ", 3000) + "true",
		"short words":         "select 1 where " + strings.Repeat("a + b or ", 3000) + "true",
		"statements":          strings.Repeat("select 1"+strings.Repeat(" union select 1", 500)+";", 10),
		"joins of several":    strings.Repeat("select from a"+strings.Repeat(" join a on true", 500)+";", 10),
		"arms":                "select case " + strings.Repeat("when a = 1 then a + 2 ", 2000) + "else 3 end",
		"CASEs that end":      "select " + strings.Repeat("case when a then 1 end, ", 3000) + "1",
		"brackets that close": "select " + strings.Repeat("(a + 1), ", 3000) + "1",
		"queries that close":  "select " + strings.Repeat("(select a + 1), ", 1500) + "1",
		"stars":               "select * from a" + strings.Repeat(" union all (select * from a)", 1100),
	} {
		if _, err := Parse(sql); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the walk has no rule for is not understood, wherever it stands.
func TestANodeWithoutARuleIsUnknown(t *testing.T) {
	where := &pg.Node{Node: &pg.Node_AccessPriv{AccessPriv: &pg.AccessPriv{}}}
	script := &Script{stmts: []*pg.RawStmt{{Stmt: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: &pg.SelectStmt{WhereClause: where}}}}}}
	facts, err := script.Resolve(nobody{})
	if err != nil || facts.Statements[0].Reason == "" || facts.Statements[0].ReadOnly {
		t.Errorf("%+v, %v", facts, err)
	}
}

// The grammar gives no tree that is too deep to be walked; if it did, the walk would end.
func TestADeepTreeIsNotWalkedToItsEnd(t *testing.T) {
	not := func(arg *pg.Node) *pg.Node {
		return &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: arg}}}
	}
	deep := not(nil)
	for range maxTree {
		deep = not(deep)
	}
	wide := make([]*pg.Node, maxTree)
	for i := range wide {
		wide[i] = not(nil)
	}
	for name, c := range map[string]struct {
		args []*pg.Node
		code string
	}{"deep": {[]*pg.Node{deep}, "54001"}, "wide": {wide, ""}} {
		where := &pg.Node{Node: &pg.Node_BoolExpr{BoolExpr: &pg.BoolExpr{Args: c.args}}}
		script := &Script{stmts: []*pg.RawStmt{{Stmt: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: &pg.SelectStmt{WhereClause: where}}}}}}
		_, err := script.Resolve(nobody{})
		var e *Error
		if c.code == "" && err != nil || c.code != "" && (!errors.As(err, &e) || e.Code != c.code) {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
	}
}

func TestSyntaxErrorsAreThoseOfPostgreSQL(t *testing.T) {
	for sql, want := range map[string]Error{
		"select 'é' fro fro x":      {Message: `syntax error at or near "fro"`, Position: 16},
		"select $a":                 {Message: `syntax error at or near "$"`, Position: 8},
		"selec 1":                   {Message: `syntax error at or near "selec"`, Position: 1},
		"select 'x":                 {Message: `unterminated quoted string at or near "'x"`, Position: 8},
		"select from where":         {Message: `syntax error at or near "where"`, Position: 13},
		"select 1a":                 {Message: `trailing junk after numeric literal at or near "1a"`, Position: 8},
		"delete from t returning (": {Message: "syntax error at end of input", Position: 26},
	} {
		_, err := Parse(sql)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: no error", sql)
			continue
		}
		if e.Code != "42601" || e.Message != want.Message || e.Position != want.Position {
			t.Errorf("%q: got %s %q at %d, want 42601 %q at %d", sql, e.Code, e.Message, e.Position, want.Message, want.Position)
		}
	}
}

var lexSeeds = []string{
	"select 1", "select 'a''b', E'a\\'b', U&'d\\0061', b'1', X'ff', N'x', $$a$$, $t$ $$ $t$, $1",
	"select 'a'\n'b', 'a' \v\f\n\n 'b'", "select 'a' -- c\n 'b'", "select 1.5e10, .5, 0x1F, 1_000, 1e+5, 5.",
	"select a->>'b', a-- 'c'\n, a/* /* ' */ */ || 'x'", `select "a""b", U&"d" uescape '!'`, "select e'\\\\', 'x'",
	"select 1 between 1 and 2", "select N'x', n'y'", "select $1, $a$b$a$ ", "select a.b.c[1]::int", "select -5, - 5", "select 'a'\r'b'",
	"select 'é' || ü", "select 0b101, 0o17, 0xA_B", "select 'a' --\n--\n'b'", "select 1.e5", "select 5.e", "select x'a'\n'b'",
	"select 1 -- c", "select 1 /**/", "select 1/* 'a' */", "select /*/* */*/ 'x' /**/", "select 'a'\n", "select 'a' \n --", "select 'a'\n-5", "select 'a'\n+ 'b'",
	"select 1--'b'\n, 'c'", "select 1+--c\n2, 3", "select 1+/*c*/2 -1", "select a-1, 2+-3, 4 @-5, 6*-7", "select '1'/'2'",
	"select 0X1f, 0O17, 0B1, 0x_1, 1E5, 1e-5, 1e+5", "select 0 , 0.5, 0e1, 00, 1., .5e1, 1.e1", "select 1_0.2_5e1_0", "select a[1:2]",
	"select $1 + $22", "select $a1$ $a$ $a1$", "select $é$'$é$, $_$'$_$",
	"select $$$$, $a$$a$, 1", "select $a$ $b$ $a$, $b$ $a$ $b$", "select a$1, a$b$c, $b$c$b$", "select U&'a'\n'b', u&'\\0061'", "select U&\"a\" , 1",
	"select e'\\'' , E'a''b', e'\\\\'", "select b'1'\n'0', B'1', x'1f'\r\n'a'", "select e, b, x, u, n from u", "select u & 1, e'1', n'1'", "select xx'1', ae'1'",
	"select \"a\"\n\"b\", \"'\", '\"'", "select 'a'\v\n\f'b'", "select a::int, 5::text, a[:3]", "select 1;;select '2'", "select 1,2,1e5,3E5,4", "select u&a, 1, 'a', U&b, 2 from t", "select a +* b, c @- d, e -/ f",
	"select 'a'\t\n'b'", "select 9, 19.9, 9e9, $9, 0b1", "select À1, À, z1, Z1, zz, _1, a1",
}

// sameConstants compares the constants of the lexer with those of PostgreSQL's scanner.
func sameConstants(t *testing.T, sql string) {
	t.Helper()
	script, err := Parse(sql)
	if err != nil {
		return
	}
	constants := script.constants
	result, err := pg.Scan(sql)
	if err != nil {
		t.Fatalf("%q parses, but: %v", sql, err)
	}
	var want []span
	for _, token := range result.GetTokens() {
		switch token.GetToken() {
		case pg.Token_SCONST, pg.Token_USCONST, pg.Token_XCONST, pg.Token_BCONST, pg.Token_ICONST, pg.Token_FCONST:
			want = append(want, span{token.GetStart(), token.GetEnd()})
		default:
		}
	}
	if len(want) != len(constants) {
		t.Fatalf("%q: %d constants, the scanner has %d: %v, %v", sql, len(constants), len(want), constants, want)
	}
	for i := range want {
		if want[i] != constants[i] {
			t.Fatalf("%q: constant %d is %q, the scanner has %q", sql, i, sql[constants[i].start:constants[i].end], sql[want[i].start:want[i].end])
		}
	}
}

func TestLexerAgreesWithTheScanner(t *testing.T) {
	for _, sql := range lexSeeds {
		sameConstants(t, sql)
	}
}

// PostgreSQL lets a comment stand between the parts of a string; the parser in use does not. Refusing is safe.
func TestAStringThatGoesOnBehindACommentIsRefused(t *testing.T) {
	if _, err := Parse("select 'a' -- c\n 'b'"); err == nil {
		t.Fatal("it parses now: take it out of LIMITS.md")
	}
}

// FuzzParse: no text brings the parser down, and what parses is cut into constants as PostgreSQL's scanner cuts it.
func FuzzParse(f *testing.F) {
	for _, sql := range lexSeeds {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		script, err := Parse(sql)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Code == "" {
				t.Fatalf("not an *Error with a code: %v", err)
			}
			if shown := HideQuoted(sql); utf8.ValidString(sql) && !utf8.ValidString(shown) {
				t.Fatalf("hiding broke %q: %q", sql, shown)
			}
			return
		}
		for i, c := range script.constants {
			if c.start >= c.end || int(c.end) > len(sql) || (i > 0 && c.start < script.constants[i-1].end) {
				t.Fatalf("%q: constants %v", sql, script.constants)
			}
		}
		sameConstants(t, sql)
	})
}

// nobody is a catalog that knows nothing.
type nobody struct{}

func (nobody) Version() uint64                              { return 1 }
func (nobody) Relation(string, string) (*Relation, error)   { return nil, nil }
func (nobody) RelationByOID(uint32) (*Relation, error)      { return nil, nil }
func (nobody) Functions(string, string) ([]Function, error) { return nil, nil }
func (nobody) Operators(string) ([]Operator, error)         { return nil, nil }
func (nobody) Type(string, string) (*Type, error)           { return nil, nil }
func (nobody) UserCasts() bool                              { return false }
func (nobody) TypeByOID(uint32) (*Type, error)              { return nil, nil }
func (nobody) DefinitionCalls() []string                    { return nil }
