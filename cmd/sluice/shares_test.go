package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/authz/share"
)

// TestACallerWithManySlowBodiesHoldsItsShareOfThem: over HTTP/2 a connection has hundreds of calls.
func TestACallerWithManySlowBodiesHoldsItsShareOfThem(t *testing.T) {
	const each = 3
	api := shared(share.NewPool("calls under way", each, 100), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := &identityv1.Principal{IssuerUrl: "https://idp", Subject: r.Header.Get("Who")}
		api.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, who)))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	call := func(who string, body io.Reader, answers chan<- int) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
		if err != nil {
			t.Error(err)
			answers <- 0
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Who", who)
		res, err := server.Client().Do(req)
		if err != nil {
			answers <- 0
			return
		}
		answers <- res.StatusCode
		_ = res.Body.Close() // waits for what is read of the request's
	}
	short := func(who string) int {
		answer := make(chan int, 1)
		call(who, strings.NewReader("{}"), answer)
		return <-answer
	}
	const calls = 10
	answers := make(chan int, calls)
	var ends []io.Closer
	for range calls {
		body, end := io.Pipe()
		ends = append(ends, end)
		go call("mallory", io.MultiReader(strings.NewReader("{"), body), answers)
	}
	for range calls - each {
		select {
		case got := <-answers:
			if got != http.StatusTooManyRequests {
				t.Errorf("one too many is answered %d", got)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("one too many waits")
		}
	}
	if got := short("alice"); got != http.StatusOK {
		t.Errorf("another is answered %d", got)
	}
	for _, end := range ends {
		_ = end.Close()
	}
	for range each {
		if got := <-answers; got != http.StatusOK {
			t.Errorf("what was under way is answered %d", got)
		}
	}
	if got := short("mallory"); got != http.StatusOK {
		t.Errorf("once they have ended: %d", got)
	}
}
