// Package identity proves who somebody is: a token of an OpenID Connect issuer becomes a Principal.
//
// It owns the issuers of the current policy, their keys, the checks of a token and the mapping of
// claims. It refuses to know what a principal may do, and by which protocol the token came.
//
//	raw token ─▶ split, bounded ─▶ iss picks the issuer ─▶ alg allowed? ─▶ key set ─▶ signature
//	          ─▶ aud, exp, nbf, iat ─▶ claims ─▶ Identity
//
// A token that was proven is remembered for as long as the same keys and settings would prove it again.
//
// Whatever cannot be checked is refused: an issuer that cannot be reached for an hour has no valid tokens.
package identity
