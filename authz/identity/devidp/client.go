package devidp

import (
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// client is a person as op sees it: a confidential client that may use client_credentials and nothing else. The answers
// about redirects, logins and ID tokens say that there are none.
type client struct{ person *Person }

var _ op.Client = client{}

func (c client) GetID() string                       { return c.person.Subject }
func (c client) RedirectURIs() []string              { return nil }
func (c client) PostLogoutRedirectURIs() []string    { return nil }
func (c client) ApplicationType() op.ApplicationType { return op.ApplicationTypeWeb }
func (c client) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethodBasic }
func (c client) ResponseTypes() []oidc.ResponseType  { return nil }
func (c client) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeClientCredentials}
}
func (c client) LoginURL(string) string               { return "" }
func (c client) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeJWT }
func (c client) IDTokenLifetime() time.Duration       { return 0 }
func (c client) DevMode() bool                        { return false }
func (c client) IsScopeAllowed(string) bool           { return false }
func (c client) IDTokenUserinfoClaimsAssertion() bool { return false }
func (c client) ClockSkew() time.Duration             { return 0 }

//nolint:revive // op's spelling
func (c client) RestrictAdditionalIdTokenScopes() scoping { return noScopes }

func (c client) RestrictAdditionalAccessTokenScopes() scoping { return noScopes }

// scoping is what op asks of a client about scopes.
type scoping = func(scopes []string) []string

func noScopes([]string) []string { return nil }
