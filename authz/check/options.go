package check

import (
	"context"
	"io"
	"log/slog"
	"time"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/authz/credential"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/httptag"
)

// Recording is the record of one session.
type Recording interface {
	// Append writes events before what they describe goes on. With durable they survive a loss of power before it
	// returns. An error is final: nothing may go on.
	Append(durable bool, events ...*recordv1.Event) error
	// AppendData writes events and then bytes, not durable.
	AppendData(events []*recordv1.Event, direction recordv1.Data_Direction, number uint64, parts ...[]byte) error
	// End ends it.
	End(ctx context.Context, reason string) error
}

// Recorder begins recordings and hides values in them.
type Recorder interface {
	Begin(ctx context.Context, id string, start *recordv1.SessionStart) (Recording, error)
	// Hide stands for a value that must not be recorded: its length and a keyed digest.
	Hide(value []byte) string
}

// Shown says how parts of requests to a target are shown in records and to approvers: what any mask hides is hidden.
type Shown interface {
	// Body is a request's body as it may be shown.
	Body(p *policies.Policy, target, contentType string, body []byte) []byte
	// Asked is a request's body as people see it who decide on it: of any type. False: it cannot be shown.
	Asked(p *policies.Policy, target, contentType string, body []byte) (string, bool)
	// Value is a path or a query as it may be shown, Header a header's value: credentials are hidden in both.
	Value(p *policies.Policy, target, value string) string
	Header(p *policies.Policy, target, name, value string) string
}

// Options are what a server needs from its process.
type Options struct {
	// Processor names this process: part of each session's id.
	Processor   string
	Guard       *guard.Guard
	Credentials *credential.Broker
	Recorder    Recorder
	Shown       Shown
	// Tags seals entity tags of answers that masks apply to.
	Tags *httptag.Key
	// SessionID makes an id for a session.
	SessionID func() (string, error)
	Metrics   *Metrics
	// Told hears of denials and refused logins.
	Told   *oplog.Log
	Now    func() time.Time
	Random io.Reader
	Logger *slog.Logger
}
