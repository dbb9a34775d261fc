package devidp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxAnswerBytes bounds what Fetch reads.
const maxAnswerBytes = 1 << 20

// Fetch gets a token from an issuer by the client_credentials grant (RFC 6749 section 4.4). It asks the issuer's
// discovery document for the token endpoint.
func Fetch(ctx context.Context, c *http.Client, issuerURL, name, secret string) (string, error) {
	var doc struct {
		Issuer        string `json:"issuer"`
		TokenEndpoint string `json:"token_endpoint"`
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(issuerURL, "/")+"/.well-known/openid-configuration", http.NoBody)
	if err != nil {
		return "", fmt.Errorf("devidp: %w", err)
	}
	if err := exchange(c, req, &doc); err != nil {
		return "", err
	}
	if doc.Issuer != issuerURL {
		// The secret goes to whom the caller named, and to nobody else.
		return "", fmt.Errorf("devidp: %s says that it is %q", issuerURL, doc.Issuer)
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	req, err = http.NewRequestWithContext(ctx, http.MethodPost, doc.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("devidp: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(name), url.QueryEscape(secret)) // escaped: RFC 6749 section 2.3.1
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := exchange(c, req, &answer); err != nil {
		return "", err
	}
	if answer.AccessToken == "" {
		return "", fmt.Errorf("devidp: %s gave no token", doc.TokenEndpoint)
	}
	return answer.AccessToken, nil
}

// exchange does one request whose answer is JSON.
func exchange(c *http.Client, req *http.Request, into any) error {
	resp, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("devidp: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("devidp: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		var refusal struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		if json.Unmarshal(data, &refusal) != nil || refusal.Error == "" {
			return fmt.Errorf("devidp: %s answered %d", req.URL, resp.StatusCode)
		}
		return fmt.Errorf("devidp: %s answered %d: %s: %s", req.URL, resp.StatusCode, refusal.Error, refusal.Description)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("devidp: %s: %w", req.URL, err)
	}
	return nil
}
