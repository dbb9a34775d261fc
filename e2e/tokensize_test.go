package e2e

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestChannelBindingCannotBeHadAndTheTokenDoesNotLeave: a client that wants more than a password in TLS refuses by itself.
func TestChannelBindingCannotBeHadAndTheTokenDoesNotLeave(t *testing.T) {
	s := sharedStage(t)
	for _, wants := range []string{"channel_binding=require", "require_auth=scram-sha-256", "require_auth=!password", "require_auth=none"} {
		cmd, err := s.PsqlCommand(t.Context(), "agent", "-AtXc", "select 1")
		if err != nil {
			t.Fatal(err)
		}
		cmd.Args[len(cmd.Args)-1] += " " + wants
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "channel binding") && !strings.Contains(string(out), "authentication method") && !strings.Contains(string(out), "did not complete authentication") {
			t.Errorf("%s: %v: %s", wants, err, out)
		}
	}
	cmd, err := s.PsqlCommand(t.Context(), "agent", "-AtXc", "select 1")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Args[len(cmd.Args)-1] += " require_auth=password channel_binding=prefer"
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "1" {
		t.Errorf("a password is what is wanted: %v: %s", err, out)
	}
}

// TestATokenThatIsTooLongForAHeadReachesNobody: Envoy takes 60 KiB of a request's head.
func TestATokenThatIsTooLongForAHeadReachesNobody(t *testing.T) {
	s := sharedStage(t)
	for size, want := range map[int]int{20 << 10: http.StatusUnauthorized, 50 << 10: http.StatusUnauthorized, 62 << 10: http.StatusRequestHeaderFieldsTooLarge, 200 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.HTTP+"/customers/7", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.Repeat("x", size))
		client := apiClient(t, s)
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = false
		res, err := client.Do(req)
		if err != nil {
			if want == http.StatusUnauthorized {
				t.Errorf("%d: %v", size, err)
			}
			continue // a closed connection is one, too
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%d: %s, want %d", size, res.Status, want)
		}
	}
	if text, err := os.ReadFile(s.SluiceLog()); err != nil || strings.Contains(string(text), strings.Repeat("x", 1000)) {
		t.Errorf("a token stands in the log (%v)", err)
	}
	if a := mustCall(t, s, "agent", "GET", "/customers/7"); a.StatusCode != http.StatusOK {
		t.Error(a.Status)
	}
}
