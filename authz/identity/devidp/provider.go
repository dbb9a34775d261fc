package devidp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/zitadel/oidc/v3/pkg/crypto"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const (
	tokenPath = "oauth/token" //nolint:gosec // a path
	keysPath  = "keys"

	// maxRequestBytes bounds a token request.
	maxRequestBytes = 64 << 10
)

// Options are what a Provider needs.
type Options struct {
	// Issuer is the base URL, as in iss: where Handler is served.
	Issuer string
	// People can have tokens. Default: Default().
	People []Person
	// Audience is the aud claim. Default "sluice".
	Audience string
	// Lifetime is from iat to exp. Default 1 h.
	Lifetime time.Duration
	// Overlap is how long a retired key stays published. Default: Lifetime, so that no good token loses its key.
	Overlap time.Duration
	// Dir keeps secrets and signing keys (files of mode 0600), so that tokens outlive a restart. Empty: nothing is kept.
	Dir string
	// Logger tells of rotations. Default: discarded.
	Logger *slog.Logger
}

// Provider is an OpenID Connect provider for development.
type Provider struct {
	opts    Options
	people  map[string]*Person
	keys    *keyRing
	handler http.Handler
}

// New makes a provider, its keys, and the secrets of people who have none.
func New(opts Options) (*Provider, error) {
	if opts.Issuer == "" {
		return nil, errors.New("devidp: no issuer")
	}
	if opts.People == nil {
		opts.People = Default()
	}
	if opts.Audience == "" {
		opts.Audience = "sluice"
	}
	if opts.Lifetime <= 0 {
		opts.Lifetime = time.Hour
	}
	if opts.Overlap <= 0 {
		opts.Overlap = opts.Lifetime
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Provider{opts: opts}
	if err := p.openPeople(); err != nil {
		return nil, err
	}
	var err error
	if p.keys, err = openKeys(opts.Dir, opts.Overlap, time.Now); err != nil {
		return nil, err
	}
	routes := op.RegisterServer(&server{provider: p},
		op.Endpoints{Token: op.NewEndpoint(tokenPath), JwksURI: op.NewEndpoint(keysPath)},
		// No page of another origin has business here.
		op.WithServerCORSOptions(nil))
	p.handler = http.MaxBytesHandler(routes, maxRequestBytes)
	return p, nil
}

// openPeople registers the people and keeps their secrets.
func (p *Provider) openPeople() error {
	kept := map[string]string{}
	path := filepath.Join(p.opts.Dir, SecretsFile)
	if p.opts.Dir != "" {
		if _, err := load(path, &kept); err != nil {
			return err
		}
	}
	var err error
	if p.people, err = register(p.opts.People, kept, rand.Reader); err != nil {
		return err
	}
	if p.opts.Dir == "" {
		return nil
	}
	secrets := make(map[string]string, len(p.people))
	for subject, person := range p.people {
		secrets[subject] = person.Secret
	}
	return save(path, secrets)
}

// Handler serves discovery, keys and tokens.
func (p *Provider) Handler() http.Handler { return p.handler }

// Rotate makes a new key sign. The old one stays published for the overlap, and is withdrawn then.
func (p *Provider) Rotate(ctx context.Context) error {
	if err := p.keys.rotate(); err != nil {
		return err
	}
	p.opts.Logger.InfoContext(ctx, "devidp: the signing key was rotated", slog.String("kid", p.keys.current().ID()))
	return nil
}

// Token makes a token for a person, as the token endpoint would. An empty audience is the provider's.
func (p *Provider) Token(_ context.Context, subject, audience string) (string, error) {
	person, ok := p.people[subject]
	if !ok {
		return "", fmt.Errorf("devidp: nobody is called %q", subject)
	}
	if audience == "" {
		audience = p.opts.Audience
	}
	id, err := randomText(rand.Reader)
	if err != nil {
		return "", err
	}
	claims := oidc.NewAccessTokenClaims(p.opts.Issuer, person.Subject, []string{audience}, time.Now().Add(p.opts.Lifetime), id, person.Subject, 0)
	claims.Claims = map[string]any{"name": person.Name, "groups": append([]string{}, person.Groups...), "kind": person.kind()}
	signer, err := op.SignerFromKey(p.keys.current())
	if err != nil {
		return "", fmt.Errorf("devidp: %w", err)
	}
	token, err := crypto.Sign(claims, signer)
	if err != nil {
		return "", fmt.Errorf("devidp: %w", err)
	}
	return token, nil
}

// CheckAddress refuses an address (host:port) that others than this machine can reach: the provider gives tokens to
// whoever reads a file.
func CheckAddress(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("devidp: %w", err)
	}
	if host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("devidp: %q is not a loopback address; this provider is for development only", addr)
}
