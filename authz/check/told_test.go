package check

import (
	"context"
	"errors"
	"strings"
	"testing"

	envoy_service_auth_v3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/authz/identity"
)

func TestEachDenialOfARequestIsALine(t *testing.T) {
	for name, c := range map[string]struct {
		in                *envoy_service_auth_v3.CheckRequest
		rule, label, code string
	}{
		"a rule that denies":   {ask("api", "GET", "/admin/sesame?t=sesame", good, "x-key: sesame"), "admin", "admin", "403"},
		"no rule":              {ask("api", "PUT", "/sesame", good), "", "(none)", "403"},
		"a method elsewhere":   {ask("api", "POST", "/customers/1?_method=sesame", good), "", "(none)", "400"},
		"a body that is a lot": {withBody(ask("api", "POST", "/sesame", good), strings.Repeat("x", 1<<20+1)), "", "(none)", "413"},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			problemOf(t, f.check(t, c.in))
			line := f.told.One(t, "denied")
			for name, want := range map[string]any{
				"protocol": "http", "target": "api", "principal": "corp:agent", "verdict": "deny", "rule": c.rule, "code": c.code, "policy": "v1",
			} {
				if line[name] != want {
					t.Errorf("%s is %v, want %v", name, line[name], want)
				}
			}
			if got := f.told.Count(t, "sluice_decisions_total{protocol=http,rule="+c.label+",target=api,verdict=deny}"); got != 1 {
				t.Errorf("%v are counted", got)
			}
			if strings.Contains(f.told.Text(), "sesame") || strings.Contains(f.told.Text(), "good") {
				t.Errorf("what the agent wrote stands in the log: %s", f.told.Text())
			}
		})
	}
}

func TestARequestThatGoesOnIsCountedWithoutALine(t *testing.T) {
	f := open(t)
	f.check(t, ask("api", "GET", "/customers", good))
	if got := f.told.Count(t, "sluice_decisions_total{protocol=http,rule=read,target=api,verdict=allow}"); got != 1 {
		t.Errorf("%v are counted", got)
	}
	if f.told.Text() != "" {
		t.Error(f.told.Text())
	}
}

func TestAHoldOfARequestIsALineAndItsEndAnother(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*testing.T, *fixture, string, context.CancelFunc)
		want string
	}{
		"approved": {func(t *testing.T, f *fixture, id string, _ context.CancelFunc) {
			t.Helper()
			f.vote(t, id, approvalv1.Vote_APPROVE)
		}, "approved"},
		"rejected": {func(t *testing.T, f *fixture, id string, _ context.CancelFunc) {
			t.Helper()
			f.vote(t, id, approvalv1.Vote_REJECT)
		}, "rejected"},
		"the client goes": {func(_ *testing.T, _ *fixture, _ string, gone context.CancelFunc) { gone() }, "withdrawn"},
		"its rule goes": {func(t *testing.T, f *fixture, _ string, _ context.CancelFunc) {
			t.Helper()
			f.policies.policy.Store(compiled(t, strings.Replace(bundle, "groups: [dba]", "groups: [ops]", 1), "v2"))
		}, "changed"},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = f.Check(ctx, ask("api", "DELETE", "/customers/7", good))
			}()
			id := f.held(t).GetId()
			c.end(t, f, id, cancel)
			<-done
			held, ended := f.told.One(t, "held"), f.told.One(t, "hold ended")
			if held["approval"] != id || held["rule"] != "writes" || held["verdict"] != "hold" || held["session"] != "p1-1" || held["number"] != 1.0 {
				t.Error(held)
			}
			if ended["approval"] != id || ended["end"] != c.want || ended["rule"] != "writes" {
				t.Error(ended)
			}
			if f.told.Count(t, "sluice_decisions_total{protocol=http,rule=writes,target=api,verdict=hold}") != 1 ||
				f.told.Count(t, "sluice_holds_total{end="+c.want+",protocol=http,rule=writes,target=api}") != 1 {
				t.Error("it is not counted once")
			}
			if n := len(f.told.Lines(t, "denied")); n != 0 {
				t.Errorf("%d denials beside it", n)
			}
		})
	}
}

// Each 401 would be a line of a stranger's, as often as one likes.
func TestARefusedTokenIsALineOfALoginAndStrangersDoNotFillTheLog(t *testing.T) {
	f := open(t)
	for range 200 {
		problemOf(t, f.check(t, ask("api", "GET", "/sesame", "authorization: Bearer sesame")))
	}
	lines := f.told.Lines(t, "login refused")
	if len(lines) == 0 || len(lines) > 60 {
		t.Errorf("%d lines", len(lines))
	}
	if line := lines[0]; line["protocol"] != "http" || line["target"] != "api" || line["reason"] != "missing" || line["client"] != "192.0.2.7:4711" {
		t.Error(line)
	}
	if got := f.told.Count(t, "sluice_logins_refused_total{protocol=http,reason=missing,target=api}"); got != 200 {
		t.Errorf("%v are counted", got)
	}
	if strings.Contains(f.told.Text(), "sesame") {
		t.Error("the token stands in the log")
	}
}

func TestWhoMayUseNothingIsARefusedLoginWithAName(t *testing.T) {
	f := open(t)
	f.policies.policy.Store(compiled(t, strings.ReplaceAll(bundle, "groups: [agents]", "groups: [others]"), "v2"))
	problemOf(t, f.check(t, ask("api", "GET", "/", good)))
	if line := f.told.One(t, "login refused"); line["reason"] != "forbidden" || line["principal"] != "corp:agent" {
		t.Error(line)
	}
	f.policies.policy.Store(nil)
	problemOf(t, f.check(t, ask("api", "GET", "/", good)))
	if f.told.Count(t, "sluice_logins_refused_total{protocol=http,reason=not_ready,target=api}") != 1 {
		t.Error(f.told.Text())
	}
}

func TestAnEnvoyWithAnotherNodesCertificateIsMisconfiguredAndNoInternalError(t *testing.T) {
	r := &request{node: "edge-1"}
	for name, c := range map[string]struct {
		name peer.Name
		want int
	}{
		"its own":          {peer.Name{Role: peer.Envoy, ID: "edge-1"}, 0},
		"a unix socket":    {peer.Name{}, 0},
		"of another Envoy": {peer.Name{Role: peer.Envoy, ID: "edge-2"}, 503},
		"of a processor":   {peer.Name{Role: peer.Process, ID: "edge-1"}, 503},
	} {
		p := vouched(c.name, r)
		if c.want == 0 {
			if p != nil {
				t.Errorf("%s: %v", name, p)
			}
			continue
		}
		if p == nil || p.Status != c.want || p.Type != "misconfigured" || !strings.Contains(p.Detail, "certificate of another node") || p.cause == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// Another token would fare no better.
func TestWithoutTheIssuersKeysTheHintIsNotAboutTheToken(t *testing.T) {
	p := unidentified("a.b.c", &identity.Error{Kind: identity.Unavailable, Issuer: "https://idp.example"})
	if p.Status != 503 || strings.Contains(p.Hint, "Send a current token") || !strings.Contains(p.Hint, "issuer's keys cannot be read") {
		t.Errorf("%+v", p)
	}
	for _, err := range []error{&identity.Error{Kind: identity.Expired}, errors.New("x")} {
		if p := unidentified("a.b.c", err); p.Status != 401 || !strings.Contains(p.Hint, "Send a current token") {
			t.Errorf("%v: %+v", err, p)
		}
	}
}
