package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// Options are what a Registry needs from its process.
type Options struct {
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Logger gets failures to read keys. Default: discarded.
	Logger *slog.Logger
	// Transport makes the way to one issuer; ca is the PEM of its ca, or nil for the system's roots. Default: TLS 1.2
	// or newer, bounded times, the environment's proxy.
	Transport func(issuer *policyv1.Issuer, ca []byte) (http.RoundTripper, error)
	// Sources resolves the issuers' ca.
	Sources Sources
}

// Registry verifies tokens of the issuers of the current policy. It is safe for concurrent use.
type Registry struct {
	opts Options

	state atomic.Pointer[trust]

	mu     sync.Mutex // one Update or Close at a time
	sets   map[keySetID]*keySet
	closed bool
}

// trust is the issuers of one policy.
type trust struct {
	verifiers map[string]*verifier // by issuer URL; never changed
	proven    proven
}

// keySetID is what makes two issuers share keys: the same URL, trusted by the same certificates.
type keySetID struct {
	url string
	ca  [sha256.Size]byte
}

// New makes a registry of these issuers. No issuer is asked for anything before its first token. Close ends it.
func New(issuers []*policyv1.Issuer, opts Options) (*Registry, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Transport == nil {
		opts.Transport = transport
	}
	r := &Registry{opts: opts, sets: map[keySetID]*keySet{}}
	r.state.Store(&trust{})
	if err := r.Update(issuers); err != nil {
		return nil, err
	}
	return r, nil
}

// Verify proves whose token it is. Its error is always an *Error. A token that was proven before is not checked again
// where the result could not be another: its issuer's keys and settings are the same ones, and it has not expired.
func (r *Registry) Verify(ctx context.Context, rawToken string) (*Identity, error) {
	if len(rawToken) > MaxTokenBytes {
		return nil, tooLong(rawToken)
	}
	current := r.state.Load()
	digest := sha256.Sum256([]byte(rawToken))
	if p := current.proven.find(digest); p.holds(r.opts.Now()) {
		return p.identity, nil
	}
	tok, refused := parse(rawToken)
	if refused != nil {
		return nil, refused
	}
	v, ok := current.verifiers[tok.issuer]
	if !ok {
		return nil, &Error{Kind: UnknownIssuer, Issuer: tok.issuer}
	}
	id, keys, refused := v.verify(ctx, rawToken, tok)
	if refused != nil {
		return nil, refused
	}
	id.under = current
	current.proven.add(digest, &proof{identity: id, set: v.keys, keys: keys})
	return id, nil
}

// Again is who somebody proven before is by the issuers of the moment: the same, if the policy is; else what the issuer's
// settings make of the claims now. Its error is always an *Error: the issuer is not accepted any more, or not with what
// the token says. Whether the token has expired is not looked at: a session may outlive it.
func (r *Registry) Again(id *Identity) (*Identity, error) {
	current := r.state.Load()
	if id.under == current {
		return id, nil
	}
	v, ok := current.verifiers[id.issuer]
	if !ok {
		return nil, &Error{Kind: UnknownIssuer, Issuer: id.issuer}
	}
	if !slices.Contains(v.algorithms, id.algorithm) {
		return nil, v.fail(BadAlgorithm, nil)
	}
	c, err := decodeObject(id.payload)
	if err != nil {
		return nil, v.fail(BadClaims, err)
	}
	next, refused := v.mapped(id.payload, c, id.Principal.GetExpiresAt().AsTime())
	if refused != nil {
		return nil, refused
	}
	next.algorithm, next.under = id.algorithm, current
	return next, nil
}

// Update replaces the issuers, all or none of them: after an error the old ones stay. Keys of issuers whose URL and ca
// are as before stay too.
func (r *Registry) Update(issuers []*policyv1.Issuer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errors.New("identity: the registry is closed")
	}
	next := make(map[string]*verifier, len(issuers))
	sets := make(map[keySetID]*keySet, len(issuers))
	names := make(map[string]bool, len(issuers))
	var faults []error
	for _, iss := range issuers {
		if names[iss.GetName()] || next[iss.GetUrl()] != nil {
			// Two mappings for one iss could not be told apart by a token.
			faults = append(faults, fmt.Errorf("issuer %q: its name or url is taken by another one", iss.GetName()))
			continue
		}
		names[iss.GetName()] = true
		v, id, err := r.verifier(iss)
		if err != nil {
			faults = append(faults, fmt.Errorf("issuer %q: %w", iss.GetName(), err))
			continue
		}
		next[iss.GetUrl()] = v
		sets[id] = v.keys
	}
	if len(faults) > 0 {
		return fmt.Errorf("identity: %w", errors.Join(faults...)) // new sets have started nothing yet
	}
	old := r.sets
	r.sets = sets
	r.state.Store(&trust{verifiers: next})
	for id, set := range old {
		if sets[id] != set {
			set.close()
		}
	}
	return nil
}

// Close ends every fetch. Tokens are refused from then on.
func (r *Registry) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.state.Store(&trust{})
	for _, set := range r.sets {
		set.close()
	}
	r.sets = nil
}

// verifier builds the verifier of one issuer on the key set that it has, or a new one.
func (r *Registry) verifier(iss *policyv1.Issuer) (*verifier, keySetID, error) {
	iss = proto.CloneOf(iss)
	algorithms, err := algorithmsOf(iss)
	if err != nil {
		return nil, keySetID{}, err
	}
	ca, err := r.opts.Sources.Resolve(iss.GetCa())
	if err != nil {
		return nil, keySetID{}, fmt.Errorf("ca: %w", err)
	}
	id := keySetID{url: iss.GetUrl(), ca: sha256.Sum256(ca)}
	set, ok := r.sets[id]
	if !ok {
		way, err := r.opts.Transport(iss, ca)
		if err != nil {
			return nil, keySetID{}, err
		}
		source, err := newDiscovery(iss.GetUrl(), way)
		if err != nil {
			return nil, keySetID{}, fmt.Errorf("url: %w", err)
		}
		set = newKeySet(source, r.opts.Now, r.opts.Logger.With(slog.String("issuer", iss.GetUrl())))
	}
	return &verifier{issuer: iss, algorithms: algorithms, keys: set, now: r.opts.Now}, id, nil
}

// algorithmsOf are the issuer's algorithms (RFC 7518 section 3.1). The list of what may be accepted at all is closed:
// none and HMAC are not in it, whatever a policy says.
func algorithmsOf(iss *policyv1.Issuer) ([]string, error) {
	if len(iss.GetAlgorithms()) == 0 {
		return []string{"RS256", "ES256", "EdDSA"}, nil
	}
	asymmetric := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	for _, a := range iss.GetAlgorithms() {
		if !slices.Contains(asymmetric, a) {
			return nil, fmt.Errorf("algorithm %q is never accepted", a)
		}
	}
	return slices.Clone(iss.GetAlgorithms()), nil
}
