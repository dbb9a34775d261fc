package sqlfacts

import (
	"errors"
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"
	"google.golang.org/protobuf/proto"
)

// MaxText is the length in bytes of the longest text that is parsed.
const MaxText = 1 << 20

// MaxStatements is how many statements a text may have.
const MaxStatements = 20_000

// treeCost is how much more memory a tree takes than its encoding, measured over the golden texts.
const treeCost = 16

// Script is a parsed text: any number of statements. It is immutable.
type Script struct {
	text      string
	stmts     []*pg.RawStmt
	constants []span
	size      int
}

// Parse reads SQL with PostgreSQL's grammar. The error is an *Error: 54000 if the text is longer than MaxText or has
// more statements than MaxStatements, 22021 if it is not UTF-8 or holds a NUL, 54001 if it is nested too deeply, 42601
// with PostgreSQL's message and position if it does not parse. A text without statements is no error.
func Parse(sql string) (*Script, error) {
	if len(sql) > MaxText {
		return nil, &Error{
			Code:    "54000",
			Message: fmt.Sprintf("the statement is too long: %d bytes, at most %d are read", len(sql), MaxText),
		}
	}
	if err := CheckUTF8(sql); err != nil {
		return nil, err
	}
	constants, ok := prescan(sql)
	if !ok {
		return nil, &Error{Code: "54001", Message: "the statement is nested too deeply"}
	}
	encoded, err := parser.ParseToProtobuf(sql)
	if err != nil {
		return nil, syntaxError(err)
	}
	var tree pg.ParseResult
	if err := proto.Unmarshal(encoded, &tree); err != nil {
		return nil, &Error{Code: "54001", Message: "the statement is nested too deeply", Err: err}
	}
	if len(tree.GetStmts()) > MaxStatements {
		return nil, &Error{
			Code:    "54000",
			Message: fmt.Sprintf("the text has %d statements, at most %d are read", len(tree.GetStmts()), MaxStatements),
		}
	}
	return &Script{
		text:      sql,
		stmts:     tree.GetStmts(),
		constants: constants,
		size:      len(sql) + treeCost*len(encoded) + 8*len(constants) + 256,
	}, nil
}

func syntaxError(err error) error {
	var e *parser.Error
	if !errors.As(err, &e) {
		return &Error{Code: "42601", Message: "the statement cannot be parsed", Err: err}
	}
	if strings.HasPrefix(e.Message, "memory exhausted") {
		return &Error{Code: "54001", Message: "the statement is nested too deeply", Err: err}
	}
	return &Error{Code: "42601", Message: e.Message, Position: e.Cursorpos, Grammar: true, Err: err}
}
