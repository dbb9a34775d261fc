package devidp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// server answers op's requests. What it does not answer, the embedded one refuses.
type server struct {
	op.UnimplementedServer
	provider *Provider
}

// Health implements op.Server.
func (s *server) Health(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	return op.NewResponse(op.Status{Status: "ok"}), nil
}

// Ready implements op.Server.
func (s *server) Ready(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	return op.NewResponse(op.Status{Status: "ok"}), nil
}

// Discovery implements op.Server (OpenID Connect Discovery 1.0 section 4.2).
func (s *server) Discovery(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	issuer := s.provider.opts.Issuer
	return op.NewResponse(&oidc.DiscoveryConfiguration{
		Issuer:                            issuer,
		TokenEndpoint:                     op.NewEndpoint(tokenPath).Absolute(issuer),
		JwksURI:                           op.NewEndpoint(keysPath).Absolute(issuer),
		GrantTypesSupported:               []oidc.GrantType{oidc.GrantTypeClientCredentials},
		SubjectTypesSupported:             []string{"public"},
		IDTokenSigningAlgValuesSupported:  []string{string(jose.RS256)},
		TokenEndpointAuthMethodsSupported: []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost},
		ClaimsSupported:                   []string{"iss", "sub", "aud", "exp", "iat", "nbf", "name", "groups", "kind"},
	}), nil
}

// Keys implements op.Server.
func (s *server) Keys(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	set := s.provider.keys.published()
	return op.NewResponse(&set), nil
}

// VerifyClient implements op.Server: client_secret_basic and client_secret_post (RFC 6749 section 2.3.1).
func (s *server) VerifyClient(_ context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	person, known := s.provider.people[r.Data.ClientID]
	want := ""
	if known {
		want = person.Secret
	}
	// Digests are compared: neither the length nor the place of a difference takes time that tells it.
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(r.Data.ClientSecret))
	if subtle.ConstantTimeCompare(a[:], b[:]) != 1 || !known || r.Data.ClientSecret == "" {
		return nil, op.NewStatusError(oidc.ErrInvalidClient().WithDescription("unknown client or wrong secret"), 401)
	}
	return client{person}, nil
}

// ClientCredentialsExchange implements op.Server (RFC 6749 section 4.4).
func (s *server) ClientCredentialsExchange(ctx context.Context, r *op.ClientRequest[oidc.ClientCredentialsRequest]) (*op.Response, error) {
	token, err := s.provider.Token(ctx, r.Client.GetID(), "")
	if err != nil {
		return nil, err
	}
	return op.NewResponse(&oidc.AccessTokenResponse{
		AccessToken: token,
		TokenType:   oidc.BearerToken,
		ExpiresIn:   uint64(s.provider.opts.Lifetime.Seconds()),
	}), nil
}
