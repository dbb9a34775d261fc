// Package sqlite is the index in a SQLite file (write-ahead log), for one process: the default.
//
// It owns the schema. It refuses to know where rows come from.
package sqlite

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite" // registers the driver

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record/index"
)

// version is the schema's; a file with another is emptied: an index is made again, not migrated.
const version = 2

const schema = `
CREATE TABLE sessions (
	id         TEXT PRIMARY KEY,
	state      INTEGER NOT NULL,
	target     TEXT NOT NULL,
	principal  TEXT NOT NULL,
	owner      TEXT NOT NULL, -- issuer URL and subject
	processor  TEXT NOT NULL,
	started_at INTEGER NOT NULL, -- nanoseconds since 1970
	session    BLOB NOT NULL     -- sluice.session.v1.Session
) WITHOUT ROWID;
CREATE INDEX sessions_by_start ON sessions (started_at, id);
CREATE INDEX sessions_by_principal ON sessions (principal, started_at, id);
CREATE INDEX sessions_by_owner ON sessions (owner, started_at, id);
CREATE INDEX sessions_by_state ON sessions (state, started_at, id);
CREATE TABLE statements (
	session     TEXT NOT NULL,
	number      INTEGER NOT NULL,
	at          INTEGER NOT NULL,
	text        TEXT NOT NULL,
	commands    TEXT NOT NULL, -- JSON
	verdict     INTEGER NOT NULL,
	rules       TEXT NOT NULL, -- JSON
	approval_id TEXT NOT NULL,
	command_tag TEXT NOT NULL,
	code        TEXT NOT NULL,
	message     TEXT NOT NULL,
	rows        INTEGER NOT NULL,
	bytes       INTEGER NOT NULL,
	took        INTEGER NOT NULL, -- nanoseconds
	PRIMARY KEY (session, number)
) WITHOUT ROWID;
`

// Store is an index.Store in a file.
type Store struct{ db *sql.DB }

var _ index.Store = (*Store)(nil)

// Open opens the index, or makes it. Fresh: it was made, or was of another version, and holds nothing.
func Open(ctx context.Context, path string) (s *Store, fresh bool, err error) {
	q := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, false, fmt.Errorf("sqlite: %w", err)
	}
	db.SetMaxOpenConns(4)
	if fresh, err = migrate(ctx, db); err != nil {
		return nil, false, fmt.Errorf("sqlite: %s: %w", path, errors.Join(err, db.Close()))
	}
	return &Store{db: db}, fresh, nil
}

func migrate(ctx context.Context, db *sql.DB) (fresh bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	var have int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return false, err
	}
	if have == version {
		return false, nil
	}
	for _, stmt := range []string{
		"DROP TABLE IF EXISTS sessions", "DROP TABLE IF EXISTS statements", schema,
		"PRAGMA user_version = " + strconv.Itoa(version),
	} {
		if _, err := tx.ExecContext(ctx, stmt); err != nil {
			return false, err
		}
	}
	return true, tx.Commit()
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// each runs a statement for many rows in one transaction.
func (s *Store) each(ctx context.Context, query string, n int, args func(i int) ([]any, error)) error {
	if n == 0 {
		return nil
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	stmt, err := tx.PrepareContext(ctx, query)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	defer stmt.Close()
	for i := range n {
		a, err := args(i)
		if err != nil {
			return err
		}
		if _, err := stmt.ExecContext(ctx, a...); err != nil {
			return fmt.Errorf("sqlite: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	return nil
}

// PutSessions implements index.Store.
func (s *Store) PutSessions(ctx context.Context, sessions []*sessionv1.Session) error {
	return s.each(ctx, `INSERT INTO sessions (id, state, target, principal, owner, processor, started_at, session)
		VALUES (?,?,?,?,?,?,?,?)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, session = excluded.session
		WHERE sessions.state <> `+strconv.Itoa(int(sessionv1.State_ENDED))+` OR excluded.state = sessions.state`,
		len(sessions), func(i int) ([]any, error) {
			row := sessions[i]
			b, err := proto.Marshal(row)
			if err != nil {
				return nil, fmt.Errorf("sqlite: %w", err)
			}
			return []any{
				row.GetId(), int32(row.GetState()), row.GetTarget(), principal(row), index.OwnerOf(row.GetPrincipal()), row.GetProcessor(),
				row.GetStartedAt().AsTime().UnixNano(), b,
			}, nil
		})
}

func principal(s *sessionv1.Session) string {
	return s.GetPrincipal().GetIssuer() + ":" + s.GetPrincipal().GetSubject()
}

// PutStatements implements index.Store.
func (s *Store) PutStatements(ctx context.Context, statements []index.Statement) error {
	return s.each(ctx, `INSERT INTO statements (session, number, at, text, commands, verdict, rules, approval_id,
			command_tag, code, message, rows, bytes, took)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT (session, number) DO UPDATE SET
			at = iif(excluded.at <> 0, excluded.at, at),
			text = iif(excluded.text <> '', excluded.text, text),
			commands = iif(excluded.commands <> '', excluded.commands, commands),
			verdict = iif(excluded.verdict <> 0, excluded.verdict, verdict),
			rules = iif(excluded.rules <> '', excluded.rules, rules),
			approval_id = iif(excluded.approval_id <> '', excluded.approval_id, approval_id),
			command_tag = iif(excluded.command_tag <> '', excluded.command_tag, command_tag),
			message = iif(excluded.code <> '', excluded.message, message),
			code = iif(excluded.code <> '', excluded.code, code),
			rows = iif(excluded.rows <> 0, excluded.rows, rows),
			bytes = iif(excluded.bytes <> 0, excluded.bytes, bytes),
			took = iif(excluded.took <> 0, excluded.took, took)`,
		len(statements), func(i int) ([]any, error) {
			st := statements[i]
			var at int64
			if !st.At.IsZero() {
				at = st.At.UnixNano()
			}
			return []any{
				st.Session, int64(st.Number), at, st.Text, list(st.Commands), int32(st.Verdict), list(st.Rules), //nolint:gosec // G115: counts, far below 2^63
				st.ApprovalID, st.CommandTag, st.Code, st.Message, int64(st.Rows), int64(st.Bytes), int64(st.Took), //nolint:gosec // G115: counts, far below 2^63
			}, nil
		})
}

func list(v []string) string {
	if len(v) == 0 {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "" // strings always marshal
	}
	return string(b)
}

func parseList(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	var v []string
	return v, json.Unmarshal([]byte(s), &v)
}

// ListSessions implements index.Store.
func (s *Store) ListSessions(ctx context.Context, f index.Filter, p index.Page) ([]*sessionv1.Session, string, error) {
	where, args := []string{"1"}, []any{}
	for column, value := range map[string]string{"target": f.Target, "principal": f.Principal, "owner": f.Owner, "processor": f.Processor} {
		if value != "" {
			where, args = append(where, column+" = ?"), append(args, value)
		}
	}
	if len(f.States) > 0 {
		marks := make([]string, len(f.States))
		for i, st := range f.States {
			marks[i], args = "?", append(args, int32(st))
		}
		where = append(where, "state IN ("+strings.Join(marks, ",")+")")
	}
	if p.Token != "" {
		at, id, err := parseToken(p.Token)
		if err != nil {
			return nil, "", err
		}
		where, args = append(where, "(started_at, id) < (?, ?)"), append(args, at, id)
	}
	limit := p.Limit()
	//nolint:gosec // G202: made of constants; the values are parameters
	rows, err := s.db.QueryContext(ctx, "SELECT started_at, session FROM sessions WHERE "+strings.Join(where, " AND ")+
		" ORDER BY started_at DESC, id DESC LIMIT ?", append(args, limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("sqlite: %w", err)
	}
	defer rows.Close()
	var out []*sessionv1.Session
	var last int64
	for rows.Next() {
		var at int64
		var b []byte
		if err := rows.Scan(&at, &b); err != nil {
			return nil, "", fmt.Errorf("sqlite: %w", err)
		}
		if len(out) == limit {
			return out, token(last, out[limit-1].GetId()), nil
		}
		row := &sessionv1.Session{}
		if err := proto.Unmarshal(b, row); err != nil {
			return nil, "", fmt.Errorf("sqlite: %w", err)
		}
		out, last = append(out, row), at
	}
	if err := rows.Err(); err != nil {
		return nil, "", fmt.Errorf("sqlite: %w", err)
	}
	return out, "", nil
}

func token(at int64, id string) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", at, id))
}

func parseToken(t string) (at int64, id string, err error) {
	b, err := base64.RawURLEncoding.DecodeString(t)
	if err != nil {
		return 0, "", index.ErrPageToken
	}
	first, id, ok := strings.Cut(string(b), " ")
	if at, err = strconv.ParseInt(first, 10, 64); err != nil || !ok || token(at, id) != t {
		return 0, "", index.ErrPageToken
	}
	return at, id, nil
}

// GetSession implements index.Store.
func (s *Store) GetSession(ctx context.Context, id string) (*sessionv1.Session, error) {
	var b []byte
	err := s.db.QueryRowContext(ctx, "SELECT session FROM sessions WHERE id = ?", id).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, index.ErrNotFound
	}
	row := &sessionv1.Session{}
	if err == nil {
		err = proto.Unmarshal(b, row)
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	return row, nil
}

// ListStatements implements index.Store.
func (s *Store) ListStatements(ctx context.Context, session string, after uint64, limit int) ([]index.Statement, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT number, at, text, commands, verdict, rules, approval_id, command_tag,
			code, message, rows, bytes, took
		FROM statements WHERE session = ? AND number > ? ORDER BY number LIMIT ?`, session, int64(after), limit) //nolint:gosec // G115: a count
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	defer rows.Close()
	var out []index.Statement
	for rows.Next() {
		st := index.Statement{Session: session}
		var at, took int64
		var verdict int32
		var commands, rules string
		err := rows.Scan(&st.Number, &at, &st.Text, &commands, &verdict, &rules, &st.ApprovalID, &st.CommandTag,
			&st.Code, &st.Message, &st.Rows, &st.Bytes, &took)
		if err == nil {
			st.Commands, err = parseList(commands)
		}
		if err == nil {
			st.Rules, err = parseList(rules)
		}
		if err != nil {
			return nil, fmt.Errorf("sqlite: %w", err)
		}
		if at != 0 {
			st.At = time.Unix(0, at).UTC()
		}
		st.Took, st.Verdict = time.Duration(took), recordv1.Decision_Verdict(verdict)
		out = append(out, st)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	return out, nil
}

// Clear implements index.Store.
func (s *Store) Clear(ctx context.Context, processor string) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	for _, q := range []string{
		"DELETE FROM statements WHERE session IN (SELECT id FROM sessions WHERE processor = ?)",
		"DELETE FROM sessions WHERE processor = ?",
	} {
		if _, err := tx.ExecContext(ctx, q, processor); err != nil {
			return fmt.Errorf("sqlite: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	return nil
}
