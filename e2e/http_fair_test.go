package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestThirtyLargeBodiesOfOneAgentDelayAnothersByLittle: a rule reads each body, which takes a tenth of a second. What counts is
// how many of the thirty are answered while the other waits: times depend on the machine, and are logged.
func TestThirtyLargeBodiesOfOneAgentDelayAnothersByLittle(t *testing.T) {
	s := sharedStage(t)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"paid":true}`)
	}))
	t.Cleanup(service.Close)
	port := freePort(t)
	policyFile(t, s, "90-fair.yaml", evasionPolicy(t, s, "fair", port, service.Listener.Addr().String(), ", max_request_bytes: 2097152"))
	defer policyFile(t, s, "90-fair.yaml", "")
	numbers := strings.Repeat("[1,2,3,4,5,6,7,8],", 1<<20/18-2)
	body := `{"amount":1,"rows":[` + numbers + `[]]}`
	post := func(ctx context.Context, token, body string) (time.Duration, error) {
		began := time.Now()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/pay", port), strings.NewReader(body))
		if err != nil {
			return 0, err
		}
		req.Host = "api.test"
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", res.Status, text)
		}
		return time.Since(began), err
	}
	greedy, other := mustToken(t, s, "agent"), mustToken(t, s, "alice")
	waitUntil(t, "the target does not answer", func() bool {
		_, err := post(t.Context(), other, `{"amount":1}`)
		return err == nil
	})
	alone, err := post(t.Context(), other, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, body string
	}{{"a body as long", body}, {"a short one", `{"amount":1}`}} {
		const many = 30
		var answered atomic.Int64
		var all sync.WaitGroup
		first := make(chan struct{}, many)
		for range many {
			all.Go(func() {
				if _, err := post(context.Background(), greedy, body); err != nil {
					t.Error(err)
				}
				answered.Add(1)
				first <- struct{}{}
			})
		}
		<-first // so they are being read
		before := answered.Load()
		took, err := post(t.Context(), other, c.body)
		if err != nil {
			t.Error(err)
		}
		overtaken := answered.Load() - before
		began := time.Now()
		all.Wait()
		t.Logf("%s: %s beside thirty, %d of which were answered meanwhile, the rest in %s; alone a long one takes %s", c.name, took, overtaken, time.Since(began), alone)
		if overtaken > many/2 {
			t.Errorf("%s: %d of %d of somebody else's came first", c.name, overtaken, many)
		}
	}
}

// TestAMaskNamesAResponseHeaderWithAnUnderscore: Envoy passes those of services, and so must masks know them.
func TestAMaskNamesAResponseHeaderWithAnUnderscore(t *testing.T) {
	s := sharedStage(t)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"X_Api_Key", "x_trace", "_token", "X-Api-Key"} {
			w.Header()[name] = []string{"sesame-" + name}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{}`)
	}))
	t.Cleanup(service.Close)
	port := freePort(t)
	policy := strings.Replace(evasionPolicy(t, s, "scored", port, service.Listener.Addr().String(), ""), "headers: [x-secret, set-cookie]", "headers: [x_api_key, x_trace, _token]", 1)
	policyFile(t, s, "90-scored.yaml", policy)
	defer policyFile(t, s, "90-scored.yaml", "")
	ask := func(as string) (got http.Header) {
		t.Helper()
		waitUntil(t, "the target does not answer", func() bool {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", port), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "api.test"
			req.Header.Set("Authorization", "Bearer "+mustToken(t, s, as))
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				return false
			}
			got = res.Header
			return res.Body.Close() == nil && res.StatusCode == http.StatusOK
		})
		return got
	}
	text := fmt.Sprint(ask("agent"))
	for _, name := range []string{"X_Api_Key", "x_trace", "_token"} {
		if strings.Contains(text, "sesame-"+name) {
			t.Errorf("%s passes: %s", name, text)
		}
	}
	if !strings.Contains(text, "sesame-X-Api-Key") {
		t.Errorf("a header of another name is hidden: %s", text)
	}
	if text := fmt.Sprint(ask("alice")); !strings.Contains(text, "sesame-x_trace") {
		t.Errorf("whom the mask excepts does not see it: %s", text)
	}
}
