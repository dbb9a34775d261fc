package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// client deletes a customer and waits for as long as that takes. Any answer but 204 is an error.
type client struct {
	name string
	ask  func(ctx context.Context, s *stage.Stage, token, path string) error
}

func clients() []client { return []client{{"curl", withCurl}, {"Go, HTTP/2", withGo}} }

// withCurl gives the token by standard input: arguments are seen by everybody on the machine.
func withCurl(ctx context.Context, s *stage.Stage, token, path string) error {
	cmd := exec.CommandContext(ctx, "curl", "-sS", "--http1.1", "--cacert", s.HTTPCA, "-H", "@-", "-X", "DELETE",
		"-o", "-", "-w", "\n%{http_code}", s.HTTP+path)
	cmd.Stdin = strings.NewReader("Authorization: Bearer " + token + "\n")
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err == nil && text != "204" {
		err = errors.New("not 204")
	}
	if err != nil {
		return fmt.Errorf("%w: %.300s", err, text)
	}
	return nil
}

func withGo(ctx context.Context, s *stage.Stage, token, path string) error {
	pem, err := os.ReadFile(s.HTTPCA)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, s.HTTP+path, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != http.StatusNoContent || res.ProtoMajor != 2 {
		return fmt.Errorf("%s %s: %.300s", res.Proto, res.Status, body)
	}
	return nil
}
