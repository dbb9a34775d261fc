package identity

import (
	"fmt"
	"strings"
	"time"
)

// Kind says why a token was refused.
type Kind int

const (
	// Missing means: no token was given.
	Missing Kind = iota + 1
	// Malformed means: not a JWT in compact form (RFC 7519 section 7.2), or not of a kind to call with.
	Malformed
	// UnknownIssuer means: iss is not an issuer of the policy.
	UnknownIssuer
	// WrongAudience means: aud holds none of the issuer's audiences.
	WrongAudience
	// Expired means: past exp.
	Expired
	// NotYetValid means: before nbf, or issued in the future.
	NotYetValid
	// BadAlgorithm means: alg is not one of the issuer's.
	BadAlgorithm
	// BadSignature means: no published key of the issuer made the signature.
	BadSignature
	// BadClaims means: a claim that is needed is absent, of another type, or out of bounds.
	BadClaims
	// Unavailable means: the issuer's keys cannot be had, or are staler than MaxStaleness.
	Unavailable
	// TooLong means: larger than MaxTokenBytes.
	TooLong
)

// String is the kind as a word for logs and metrics.
func (k Kind) String() string {
	switch k {
	case Missing:
		return "missing"
	case Malformed:
		return "malformed"
	case UnknownIssuer:
		return "unknown_issuer"
	case WrongAudience:
		return "wrong_audience"
	case Expired:
		return "expired"
	case NotYetValid:
		return "not_yet_valid"
	case BadAlgorithm:
		return "bad_algorithm"
	case BadSignature:
		return "bad_signature"
	case BadClaims:
		return "bad_claims"
	case Unavailable:
		return "unavailable"
	case TooLong:
		return "too_long"
	default:
		return fmt.Sprintf("kind_%d", int(k))
	}
}

// Error is a refused token. Error() and the cause are for logs, Public() for whoever sent the token. Neither holds
// the token, nor any claim but the issuer and the times.
type Error struct {
	// Kind says why.
	Kind Kind
	// Issuer is the iss claim, where it was read. Of a token whose issuer is unknown it is the sender's own text.
	Issuer string
	// At is exp when Kind is Expired, and when it becomes valid when Kind is NotYetValid.
	At time.Time
	// Audiences are those that the issuer's tokens need, from the policy, when Kind is WrongAudience.
	Audiences []string

	cause error
}

// Error is the text for logs.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("identity: %s: %v", e.Public(), e.cause)
	}
	return "identity: " + e.Public()
}

// Unwrap is the cause, for logs only.
func (e *Error) Unwrap() error { return e.cause }

// Public says to the sender why the token was refused. Text that came from the token is quoted and bounded.
func (e *Error) Public() string {
	switch e.Kind {
	case Missing:
		return "no token was given"
	case Malformed:
		return "the token is not a well-formed JWT, or of another kind than an ID token or access token"
	case TooLong:
		return fmt.Sprintf("the token is longer than %d bytes, the most that is looked at: ask for one with fewer groups or claims", MaxTokenBytes)
	case UnknownIssuer:
		return "the token's issuer " + quote(e.Issuer) + " is not accepted here"
	case WrongAudience:
		return "the token of issuer " + quote(e.Issuer) + " is meant for another audience; needed is " + strings.Join(e.Audiences, " or ")
	case Expired:
		return "the token expired at " + e.At.UTC().Format(time.RFC3339)
	case NotYetValid:
		return "the token is not valid before " + e.At.UTC().Format(time.RFC3339)
	case BadAlgorithm:
		return "the token's signature algorithm is not accepted for issuer " + quote(e.Issuer)
	case BadSignature:
		return "the token's signature is not from a current key of issuer " + quote(e.Issuer)
	case BadClaims:
		return "the token of issuer " + quote(e.Issuer) + " lacks a claim that is needed, or has one of a wrong form"
	case Unavailable:
		return "the keys of issuer " + quote(e.Issuer) + " cannot be had now; try again later"
	default:
		return "the token was refused"
	}
}

// UnavailableHint is what to do where Kind is Unavailable: another token would fare no better.
const UnavailableHint = "Nothing is wrong with the token as far as is known. Try again in a moment; if it stays so, whoever runs Sluice " +
	"should look at its log: it says why the issuer's keys cannot be read."

// maxShownIssuer bounds what is shown of an issuer that nobody vouches for, in bytes.
const maxShownIssuer = 200

// quote makes text from a token safe to show; it says so when it shows a part only.
func quote(s string) string {
	if len(s) > maxShownIssuer {
		return fmt.Sprintf("%+q… (%d bytes)", s[:maxShownIssuer], len(s))
	}
	return fmt.Sprintf("%+q", s)
}
