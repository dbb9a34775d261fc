package index

import (
	"context"
	"errors"
	"time"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
)

// Store keeps the index. It is safe for concurrent use, also by several processes if the driver says so.
type Store interface {
	// PutSessions writes sessions as they are now, all or none: new ones, changed ones, ended ones. A session that has
	// ended stays ended.
	PutSessions(ctx context.Context, sessions []*sessionv1.Session) error
	// PutStatements writes what is known of statements, all or none. What is known already and empty here stays: the
	// outcome of a statement comes later than its text.
	PutStatements(ctx context.Context, statements []Statement) error
	// ListSessions returns the sessions that the filter selects, newest first (then by id, greatest first), and the
	// token of the next page, empty at the end. A token that the driver did not make is ErrPageToken.
	ListSessions(ctx context.Context, f Filter, p Page) ([]*sessionv1.Session, string, error)
	// GetSession returns one, or ErrNotFound.
	GetSession(ctx context.Context, id string) (*sessionv1.Session, error)
	// ListStatements returns up to limit statements of a session with numbers greater than after, in order.
	ListStatements(ctx context.Context, session string, after uint64, limit int) ([]Statement, error)
	// Clear forgets the sessions of one processor, before they are written again.
	Clear(ctx context.Context, processor string) error
	// Close gives up the store.
	Close() error
}

// ErrNotFound says that there is no such session.
var ErrNotFound = errors.New("index: no such session")

// ErrPageToken says that a page token is not from the last answer.
var ErrPageToken = errors.New("index: page token is not from an earlier answer")

// Filter selects sessions; empty fields select all.
type Filter struct {
	States []sessionv1.State
	Target string
	// Principal is "issuer:subject".
	Principal string
	// Owner is OwnerOf a principal: unlike an alias, which a policy may give to another issuer, it is always the same one's.
	Owner string
	// Processor is the id of a processor.
	Processor string
}

// OwnerOf names who a session is of: the issuer's URL and the subject.
func OwnerOf(p *identityv1.Principal) string { return p.GetIssuerUrl() + " " + p.GetSubject() }

// Page is a piece of a list.
type Page struct {
	// Size is from 1 to MaxPage; 0 is DefaultPage.
	Size  int
	Token string
}

// Sizes of a page.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// Limit is the page's size within its bounds.
func (p Page) Limit() int {
	if p.Size <= 0 {
		return DefaultPage
	}
	return min(p.Size, MaxPage)
}

// Statement is the summary of a statement that is worth one.
type Statement struct {
	Session string
	// Number counts from 1 within the session.
	Number uint64
	At     time.Time
	// Text is as recorded: hidden values stand as ‹hidden, 12 bytes, …›.
	Text     string
	Commands []string
	// Verdict is the last one; Rules, Code and Message are the decision's, or of an error the outcome's.
	Verdict    recordv1.Decision_Verdict
	Rules      []string
	ApprovalID string
	CommandTag string
	Code       string
	Message    string
	Rows       uint64
	Bytes      uint64
	Took       time.Duration
}
