package credential

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/identity"
)

// ErrUnavailable says that a target's credential cannot be had at the moment.
var ErrUnavailable = errors.New("credential: not available")

// Lease is a credential for one session. It never shows its secret when it is printed or logged.
type Lease struct {
	// Username is empty where the secret stands alone.
	Username string
	password string
}

// Password is the secret: a password, a token, or the value of a header.
func (l *Lease) Password() string { return l.password }

// String hides the secret.
func (l *Lease) String() string { return l.Username + ":***" }

// GoString hides the secret.
func (l *Lease) GoString() string { return l.String() }

// LogValue hides the secret.
func (l *Lease) LogValue() slog.Value { return slog.StringValue(l.String()) }

// Release ends the lease: it is of no use to anybody from then on. A stored credential has nothing to end.
func (l *Lease) Release(context.Context) error {
	l.password = ""
	return nil
}

// Broker gives leases.
type Broker struct {
	sources identity.Sources
}

// NewBroker makes a broker that resolves stored secrets in this process.
func NewBroker(sources identity.Sources) *Broker { return &Broker{sources: sources} }

// Lease gives a credential of the target. The error wraps ErrUnavailable and names the source, never its content.
func (b *Broker) Lease(_ context.Context, target *policyv1.Target) (*Lease, error) {
	var source *policyv1.DataSource
	username := ""
	switch c := target.GetCredential().GetKind().(type) {
	case *policyv1.Credential_Static:
		source, username = c.Static.GetPassword(), c.Static.GetUsername()
	case *policyv1.Credential_Bearer:
		source = c.Bearer.GetToken()
	case *policyv1.Credential_Header:
		source = c.Header.GetValue()
	default:
		return nil, fmt.Errorf("%w: target %q names none that is known", ErrUnavailable, target.GetName())
	}
	secret, err := b.sources.Resolve(source)
	if err != nil {
		return nil, fmt.Errorf("%w: target %q: %w", ErrUnavailable, target.GetName(), err)
	}
	// A file often ends in a newline that is no part of the password.
	return &Lease{Username: username, password: strings.TrimRight(string(secret), "\r\n")}, nil
}
