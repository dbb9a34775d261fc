package identity

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// Leeway is how far clocks may differ when exp, nbf and iat are checked.
const Leeway = 30 * time.Second

// Identity is a proven principal and what its issuer allows its sessions.
type Identity struct {
	// Principal is who it is; its expires_at is the token's exp.
	Principal *identityv1.Principal
	// SessionMax lets a session outlive its token, counted from the session's start. Zero: it may not.
	SessionMax time.Duration
	// Key is of the token by what it says, not by how it is spelled: who signs can write a token anew, and an ECDSA
	// signature (r, s) is as good as (r, n-s), which anybody can make of it. Zero where no token was proven.
	Key Key

	algorithm, issuer string
	payload           []byte
	under             *trust // the issuers that proved it
}

// SessionEnd is when a session that started at start ends: with the token, or later where the issuer says so.
func (i *Identity) SessionEnd(start time.Time) time.Time {
	end := i.Principal.GetExpiresAt().AsTime()
	if i.SessionMax > 0 {
		if later := start.Add(i.SessionMax); later.After(end) {
			return later
		}
	}
	return end
}

// verifier checks the tokens of one issuer. It is immutable; its key set is shared with the verifiers of the same
// issuer before and after a change of policy.
type verifier struct {
	issuer     *policyv1.Issuer
	algorithms []string
	keys       *keySet
	now        func() time.Time
}

// verify checks a token that names this issuer, and says by which keys it is good. The order is from cheap to dear, and a
// token that says itself that it is expired never costs a fetch of keys.
func (v *verifier) verify(ctx context.Context, raw string, tok *unverified) (*Identity, *snapshot, *Error) {
	if !slices.Contains(v.algorithms, tok.algorithm) {
		return nil, nil, v.fail(BadAlgorithm, nil)
	}
	if _, refused := v.checkTimes(tok.claims); refused != nil && refused.Kind == Expired {
		return nil, nil, refused
	}
	signed := &signatureCheck{keys: v.keys, algorithms: v.algorithms}
	_, err := oidc.NewVerifier(v.issuer.GetUrl(), signed, &oidc.Config{
		SupportedSigningAlgs: v.algorithms,
		SkipClientIDCheck:    true, // any of several audiences: checkAudience
		SkipExpiryCheck:      true, // go-oidc has no leeway: checkTimes
	}).Verify(ctx, raw)
	switch {
	case signed.err != nil && (errors.Is(signed.err, errUnknownKey) || errors.Is(signed.err, errSignature)):
		return nil, nil, v.fail(BadSignature, signed.err)
	case signed.err != nil:
		return nil, nil, v.fail(Unavailable, signed.err)
	case err != nil && signed.payload != nil:
		// The signature is good. go-oidc's text may quote claims: it stays out.
		return nil, nil, v.fail(BadClaims, errors.New("claims of a wrong type"))
	case err != nil:
		return nil, nil, v.fail(Malformed, errors.New("not a JWS"))
	}
	id, refused := v.accept(signed.payload)
	if id != nil {
		id.algorithm = tok.algorithm
	}
	return id, signed.by, refused
}

// accept checks claims whose signature is good.
func (v *verifier) accept(payload []byte) (*Identity, *Error) {
	c, err := decodeObject(payload)
	if err != nil {
		return nil, v.fail(BadClaims, err)
	}
	expires, refused := v.checkTimes(c)
	if refused != nil {
		return nil, refused
	}
	return v.mapped(payload, c, expires)
}

// mapped is who the claims are of, as this issuer's settings have it.
func (v *verifier) mapped(payload []byte, c claims, expires time.Time) (*Identity, *Error) {
	if iss, _ := c["iss"].(string); iss != v.issuer.GetUrl() {
		return nil, v.fail(UnknownIssuer, nil)
	}
	if err := bearable(c); err != nil {
		return nil, v.fail(BadClaims, err)
	}
	aud, err := c.audience()
	if err != nil {
		return nil, v.fail(BadClaims, err)
	}
	if !slices.ContainsFunc(aud, func(a string) bool { return slices.Contains(v.issuer.GetAudiences(), a) }) {
		e := v.fail(WrongAudience, nil)
		e.Audiences = v.issuer.GetAudiences()
		return nil, e
	}
	p, err := principal(v.issuer, c, expires)
	if err != nil {
		return nil, v.fail(BadClaims, err)
	}
	return &Identity{
		Principal: p, SessionMax: v.issuer.GetSessionMax().AsDuration(), Key: keyOf(v.issuer.GetUrl(), c, payload),
		issuer: v.issuer.GetUrl(), payload: payload,
	}, nil
}

// checkTimes checks exp, which must be there, nbf and iat (RFC 7519 sections 4.1.4 to 4.1.6).
func (v *verifier) checkTimes(c claims) (time.Time, *Error) {
	now := v.now()
	exp, ok, err := c.time("exp")
	if err != nil || !ok {
		return time.Time{}, v.fail(BadClaims, errors.Join(errors.New("no usable exp"), err))
	}
	if !now.Before(exp.Add(Leeway)) {
		e := v.fail(Expired, nil)
		e.At = exp
		return time.Time{}, e
	}
	for _, name := range []string{"nbf", "iat"} {
		from, ok, err := c.time(name)
		if err != nil {
			return time.Time{}, v.fail(BadClaims, err)
		}
		if ok && now.Add(Leeway).Before(from) {
			e := v.fail(NotYetValid, errors.New(name))
			e.At = from
			return time.Time{}, e
		}
		if ok && from.After(exp) {
			return time.Time{}, v.fail(BadClaims, errors.New(name+" after exp"))
		}
	}
	return exp, nil
}

func (v *verifier) fail(k Kind, cause error) *Error {
	return &Error{Kind: k, Issuer: v.issuer.GetUrl(), cause: cause}
}

// signatureCheck is go-oidc's view of a key set for one token. It keeps the error, which go-oidc turns into text, the
// payload, and the keys that it is good by.
type signatureCheck struct {
	keys       *keySet
	algorithms []string
	payload    []byte
	by         *snapshot
	err        error
}

// VerifySignature implements oidc.KeySet.
func (s *signatureCheck) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	s.payload, s.by, s.err = s.keys.verify(ctx, jwt, s.algorithms)
	return s.payload, s.err
}
