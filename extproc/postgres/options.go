package postgres

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"time"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/authz/credential"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/extproc/postgres/relcache"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// Recording is the record of one session.
type Recording interface {
	// Append writes events before what they describe goes on. With durable they survive a loss of power before it
	// returns. An error is final: nothing may go on. The events are the caller's again when it returns.
	Append(durable bool, events ...*recordv1.Event) error
	// AppendData writes events and then bytes that are about to be sent, not durable. It costs one write.
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

// Options are what a server needs from its process.
type Options struct {
	// Processor names this process: part of each session's id.
	Processor   string
	Guard       *guard.Guard
	Credentials *credential.Broker
	Recorder    Recorder
	Analyzer    *sqlfacts.Analyzer
	// Names remembers what relations and columns were called, for masks.
	Names *relcache.Names
	// Sources resolves the certificates of upstream TLS.
	Sources identity.Sources
	// Certificate is what agents see.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// EgressSocket is the path of Envoy's egress listener for an endpoint of a target.
	EgressSocket func(target string, endpoint int) string
	// SessionID makes an id for a session.
	SessionID func() (string, error)
	// StartupTimeout is how long a client may take from connecting to its first ReadyForQuery.
	StartupTimeout time.Duration
	Metrics        *Metrics
	// Told hears of denials and refused logins.
	Told   *oplog.Log
	Now    func() time.Time
	Random io.Reader
	Logger *slog.Logger
}
