package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// fetchTimeout bounds discovery and keys, each.
	fetchTimeout = 5 * time.Second
	// maxDocumentBytes bounds a discovery document and a key set.
	maxDocumentBytes = 1 << 20
	// maxKeys bounds the keys of one issuer.
	maxKeys = 100
	// minRSABits is the least that RFC 7518 section 3.3 allows.
	minRSABits = 2048
)

// discovery reads an issuer's keys by way of its discovery document (OpenID Connect Discovery 1.0 section 4). The
// document is read each time: an issuer may move its keys.
type discovery struct {
	issuer string
	client *http.Client
}

// newDiscovery checks the issuer's URL: https, or http on a loopback address (development).
func newDiscovery(issuer string, transport http.RoundTripper) (*discovery, error) {
	if err := checkURL(issuer); err != nil {
		return nil, err
	}
	return &discovery{issuer: issuer, client: &http.Client{
		Transport: transport,
		Timeout:   fetchTimeout,
		// What the policy names is what is asked: a redirect would let the answer come from elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// checkURL refuses URLs whose answer anybody on the way could forge.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("not a URL")
	}
	if u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("needs a host, and neither user nor fragment")
	}
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		if host := u.Hostname(); host != "localhost" {
			if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
				return errors.New("http is for loopback addresses only; use https")
			}
		}
		return nil
	default:
		return errors.New("needs https")
	}
}

// fetch implements fetcher.
func (d *discovery) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	// OpenID Connect Discovery 1.0 section 4.1: a trailing slash of the issuer is taken off first.
	data, err := d.get(ctx, strings.TrimSuffix(d.issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return nil, fmt.Errorf("discovery of %s: %w", d.issuer, err)
	}
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("discovery of %s: %w", d.issuer, err)
	}
	if doc.Issuer != d.issuer {
		return nil, fmt.Errorf("discovery of %s: the document is of issuer %s", d.issuer, quote(doc.Issuer))
	}
	if err := checkURL(doc.JWKSURI); err != nil {
		return nil, fmt.Errorf("discovery of %s: jwks_uri: %w", d.issuer, err)
	}
	if strings.HasPrefix(d.issuer, "https:") && !strings.HasPrefix(doc.JWKSURI, "https:") {
		return nil, fmt.Errorf("discovery of %s: jwks_uri without TLS", d.issuer)
	}
	data, err = d.get(ctx, doc.JWKSURI)
	if err != nil {
		return nil, fmt.Errorf("keys of %s: %w", d.issuer, err)
	}
	keys, err := parseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("keys of %s: %w", d.issuer, err)
	}
	return keys, nil
}

func (d *discovery) get(ctx context.Context, target string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", target, resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxDocumentBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocumentBytes {
		return nil, fmt.Errorf("%s answered more than %d bytes", target, maxDocumentBytes)
	}
	return data, nil
}

// parseKeys reads a JWK set (RFC 7517 section 5). Keys of unknown types, for other uses, too short, or secret are left
// out, as that section asks; a set without a usable key is an error, so that the last good one stays until it is stale.
func parseKeys(data []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, errors.New("not a JWK set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys, at most %d", len(set.Keys), maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := json.Unmarshal(raw, &key); err != nil || !usableKey(&key) {
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("no usable key")
	}
	return keys, nil
}

func usableKey(key *jose.JSONWebKey) bool {
	if key.Use != "" && key.Use != "sig" {
		return false
	}
	switch pub := key.Key.(type) {
	case *rsa.PublicKey:
		return pub.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	default:
		return false // symmetric keys, private keys
	}
}
