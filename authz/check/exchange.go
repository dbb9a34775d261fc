package check

import (
	"context"
	"encoding/base64"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/httptag"
)

// MetadataNamespace is where Envoy keeps what ext_authz says of a request, and MetadataTicket the field that ext_proc
// needs: it stands for the exchange in this process.
const (
	MetadataNamespace = "envoy.filters.http.ext_authz"
	MetadataTicket    = "sluice.ticket"
)

// untaken is how long an exchange waits for its response to be processed before it counts as never sent. Envoy opens
// that stream at once. When the processor drains, none that was reset on its way may hold it up for so long.
const (
	untaken      = 30 * time.Second
	untakenAtEnd = 3 * time.Second
)

// Exchange is a request that was let through and its response to come. It is used by one goroutine at a time.
type Exchange struct {
	Admission *guard.Admission
	// Policy let it through: its masks count for the response.
	Policy *policies.Policy
	// Who is asking, as that policy has it.
	Who *identityv1.Principal
	// Number of the request within its session.
	Number uint64
	// ID is Envoy's name of the request: the response must be of the same.
	ID string
	// Masks are the names of those that apply to the agent.
	Masks []string
	// Method of the request, which says whether a response has a body.
	Method    string
	Recording Recording
	// Session is the session's id; Life ends when somebody ends it, and the cause says why.
	Session string
	Life    context.Context // it is the session's, not a call's
	// Still says why the response must not go on any more, as the policy, the token and the session are now: to be asked
	// every second for as long as the response takes, by one goroutine at a time.
	Still func() error
	// Tags is the scope of entity tags; nil where the service's own pass.
	Tags func() httptag.Scope
	// Leave lets go of the session, once.
	Leave func()
	Now   func() time.Time
	// Began is when it was let through.
	Began time.Time

	ended bool
}

// End records how the exchange ended and lets go of the session: status 0 if there was no response. Message says what
// went wrong, empty if nothing. Bytes are those of the body that the agent got, trailers what the response ended with as the
// record shows it. A second End does nothing.
func (e *Exchange) End(status uint32, message string, bytes uint64, trailers ...*recordv1.Header) error {
	if e.ended {
		return nil
	}
	e.ended = true
	defer e.Leave()
	outcome := &recordv1.Outcome{
		Number: e.Number, Message: message, Bytes: bytes, Took: durationpb.New(e.Now().Sub(e.Began)), Trailers: trailers,
	}
	if status != 0 {
		outcome.Code = statusText(status)
	}
	return e.Recording.Append(false, &recordv1.Event{Kind: &recordv1.Event_Outcome{Outcome: outcome}})
}

// tickets are the exchanges that wait for their response.
type tickets struct {
	random io.Reader

	mu      sync.Mutex // guards the rest
	waiting map[string]waiting
}

type waiting struct {
	exchange *Exchange
	since    time.Time
}

// put makes a ticket, which is of use once.
func (t *tickets) put(e *Exchange, now time.Time) (*structpb.Struct, error) {
	var b [16]byte
	if _, err := io.ReadFull(t.random, b[:]); err != nil {
		return nil, err
	}
	ticket := base64.RawURLEncoding.EncodeToString(b[:])
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting[ticket] = waiting{e, now}
	return &structpb.Struct{Fields: map[string]*structpb.Value{MetadataTicket: structpb.NewStringValue(ticket)}}, nil
}

// take gives the exchange of a ticket, nil if there is none.
func (t *tickets) take(ticket string) *Exchange {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.waiting[ticket]
	delete(t.waiting, ticket)
	return w.exchange
}

// overdue takes out those whose response nobody asked about for so long.
func (t *tickets) overdue(now time.Time, most time.Duration) []*Exchange {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []*Exchange
	for ticket, w := range t.waiting {
		if now.Sub(w.since) >= most {
			delete(t.waiting, ticket)
			out = append(out, w.exchange)
		}
	}
	return out
}
