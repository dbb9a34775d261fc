package story

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// httpAgent calls the demo's API through Envoy with the agent's token.
type httpAgent struct {
	client *http.Client
	base   string
	token  string
}

func (t *teller) httpAgent(ctx context.Context) (*httpAgent, error) {
	pem, err := os.ReadFile(t.stage.HTTPCA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	token, err := t.stage.Token(ctx, "agent")
	return &httpAgent{
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}},
		base:   t.stage.HTTP, token: token,
	}, err
}

func (a *httpAgent) open(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	return a.client.Do(req)
}

// call gives a whole answer: its status and its body.
func (a *httpAgent) call(ctx context.Context, method, path string) (string, error) {
	res, err := a.open(ctx, method, path)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }() // it is read to its end
	body, err := io.ReadAll(res.Body)
	return res.Status + "\n" + string(body), err
}

// http: the same guard in front of an HTTP API.
func (t *teller) http(ctx context.Context) error {
	t.chapter("The agent calls an HTTP API through Envoy, with its own token. The API's token is put in on the way.")
	a, err := t.httpAgent(ctx)
	if err != nil {
		return err
	}
	defer a.client.CloseIdleConnections()
	for _, step := range []func(context.Context, *httpAgent) error{t.httpMasked, t.httpHeld, t.httpEvents, t.httpDenied, t.httpEcho} {
		if err := step(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

func (t *teller) httpMasked(ctx context.Context, a *httpAgent) error {
	t.tell("   agent$ curl $SLUICE_HTTP/customers/3\n")
	out, err := a.call(ctx, http.MethodGet, "/customers/3")
	if err != nil {
		return err
	}
	t.show(out)
	if err := want(out, "200", "Customer 3", `"password":"[masked]"`, `"api_key":"[masked]"`); err != nil {
		return err
	}
	return wantNot(out, "secret-password", "sk-live-key")
}

func (t *teller) httpHeld(ctx context.Context, a *httpAgent) error {
	t.tell("   agent$ curl -X DELETE $SLUICE_HTTP/customers/1000     (the rule deletes-are-held holds the request)\n")
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := a.call(ctx, http.MethodDelete, "/customers/1000")
		done <- result{text, err}
	}()
	held, err := t.first(ctx, "alice", "approvals", "list", "--state", "pending")
	if err != nil {
		return err
	}
	out, err := t.stage.Sluice(ctx, "alice", "approve", held.ID, "--reason", "ticket 4712")
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	t.tell("   alice$ sluice approve %s\n", held.ID)
	t.show(out)
	r := <-done
	if r.err != nil {
		return r.err
	}
	t.show(r.text)
	return want(r.text, "204")
}

// httpEvents reads three server-sent events while the stream goes on.
func (t *teller) httpEvents(ctx context.Context, a *httpAgent) error {
	t.tell("   agent$ curl -N $SLUICE_HTTP/events     (live, and masked)\n")
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	res, err := a.open(ctx, http.MethodGet, "/events")
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // the stream goes on for long
	lines := bufio.NewScanner(res.Body)
	for events := 0; events < 3; {
		if !lines.Scan() {
			return fmt.Errorf("the stream ended after %d events: %w", events, lines.Err())
		}
		line := lines.Text()
		if !strings.HasPrefix(line, "data: ") {
			continue
		}
		events++
		t.show(line)
		if err := want(line, `"password":"[masked]"`); err != nil {
			return err
		}
	}
	return nil
}

func (t *teller) httpDenied(ctx context.Context, a *httpAgent) error {
	t.tell("   agent$ curl -X POST $SLUICE_HTTP/customers     (nothing allows it)\n")
	out, err := a.call(ctx, http.MethodPost, "/customers")
	if err != nil {
		return err
	}
	t.show(out)
	return want(out, "403", "urn:sluice:problem:denied", "no rule allows", "hint")
}

func (t *teller) httpEcho(ctx context.Context, a *httpAgent) error {
	t.tell("   agent$ curl $SLUICE_HTTP/echo     (what the API sees: its own token, nothing of the agent's)\n")
	out, err := a.call(ctx, http.MethodGet, "/echo")
	if err != nil {
		return err
	}
	t.show(out)
	if err := want(out, "Bearer the-real-api-token"); err != nil {
		return err
	}
	return wantNot(out, strings.Split(a.token, ".")...)
}
