package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicegate/sluice/authz/oplog"
)

// logged is a log that is read while it is written to.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await waits for a line that has all the words.
func (l *logged) await(t *testing.T, words ...string) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for line := range strings.Lines(l.text()) {
			all := true
			for _, w := range words {
				all = all && strings.Contains(line, w)
			}
			if all {
				return
			}
		}
	}
	t.Fatalf("no line has %q:\n%s", words, l.text())
}

// place is where a control plane runs, and runs again.
type place struct {
	t      *testing.T
	dir    string
	policy string
	config string
}

const onePolicy = `
targets:
- name: api
  listener: {address: 127.0.0.1, port: 8443}
  http:
    endpoints: [{host: 127.0.0.1, port: 443}]
    tls: {ca: {file: cert.pem}}
    certificate: {chain: {file: cert.pem}, key: {file: key.pem}}
  credential: {bearer: {token: {env: TOKEN}}}
`

func newPlace(t *testing.T) *place {
	t.Helper()
	dir, err := os.MkdirTemp("", "c") // short enough for a socket in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &place{t: t, dir: dir, policy: filepath.Join(dir, "policy"), config: filepath.Join(dir, "c.yaml")}
	if err := makeCertificate(p.policy, time.Now()); err != nil {
		t.Fatal(err)
	}
	p.write("policy/policy.yaml", onePolicy)
	p.write("c.yaml", strings.ReplaceAll(`
state_dir: DIR/state
roles: [CONTROL]
control:
  policy_dir: DIR/policy
  xds: {unix: DIR/x}
  postgres: {unix: DIR/p}
  http: {unix: DIR/h}
`, "DIR", dir))
	return p
}

func (p *place) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path+".next", []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(path+".next", path); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) move(from, to string) {
	p.t.Helper()
	if err := os.Rename(filepath.Join(p.policy, from), filepath.Join(p.policy, to)); err != nil {
		p.t.Fatal(err)
	}
}

// running is one life of it.
type running struct {
	*instance
	log *logged
	end func()
}

func (p *place) run() *running {
	p.t.Helper()
	config, err := loadConfig(p.config)
	if err != nil {
		p.t.Fatal(err)
	}
	r := &running{log: &logged{}}
	r.instance = &instance{
		config: config, logger: slog.New(slog.NewJSONHandler(r.log, nil)), metrics: prometheus.NewRegistry(), failed: make(chan error, 8),
	}
	r.told = oplog.New(r.logger, r.metrics, time.Now)
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan error, 1)
	go func() { done <- r.serve(ctx) }()
	r.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			p.t.Error(err)
		}
	})
	p.t.Cleanup(r.end)
	r.log.await(p.t, "sluice serves", `"CONTROL"`)
	return r
}

func (r *running) ready() (int, string) {
	w := httptest.NewRecorder()
	r.readyz(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	return w.Code, w.Body.String()
}

func TestABrokenPolicyAtARestartServesTheLastGoodOneAndSaysSo(t *testing.T) {
	p := newPlace(t)
	first := p.run()
	first.log.await(t, "policy served")
	version := first.control.server.Bundle().GetVersion()
	first.end()
	if info, err := os.Stat(filepath.Join(p.dir, "state", "control-bundle.pb")); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the kept policy: %v, %v", info, err)
	}
	for name, spoil := range map[string]func(){
		"a fault":        func() { p.write("policy/policy.yaml", "targets: [{name: 1, nonsense: 2}]\n") },
		"no file at all": func() { p.move("policy.yaml", "policy.away") },
	} {
		t.Run(name, func(t *testing.T) {
			spoil()
			again := p.run()
			again.log.await(t, "policy refused")
			again.log.await(t, "the kept policy is served", "WARN", version)
			if got := again.control.server.Bundle().GetVersion(); got != version {
				t.Errorf("%q is served", got)
			}
			if code, body := again.ready(); code != http.StatusOK || !strings.Contains(body, "last good policy") {
				t.Errorf("readyz: %d %s", code, body)
			}
			if len(again.control.server.Status().GetPolicyFaults()) == 0 {
				t.Error("the status knows no fault")
			}
			p.write("policy/policy.yaml", onePolicy+"rules: [{name: a, on: {targets: [api]}, allow: {}}]\n")
			again.log.await(t, "policy served", `"envoys":0`)
			for end := time.Now().Add(10 * time.Second); again.control.fault() != ""; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal(again.control.fault())
				}
			}
			again.end()
			p.write("policy/policy.yaml", onePolicy)
			last := p.run() // the good one of before is the kept one again
			last.log.await(t, "policy served")
			last.end()
		})
	}
}

func TestAKeptPolicyThatWasChangedIsNotServed(t *testing.T) {
	p := newPlace(t)
	first := p.run()
	first.log.await(t, "policy served")
	first.end()
	path := filepath.Join(p.dir, "state", "control-bundle.pb")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)-1] ^= 1
	p.write("state/control-bundle.pb", string(text))
	p.write("policy/policy.yaml", "nonsense: 1\n")
	again := p.run()
	again.log.await(t, "the kept policy cannot be served", "sum does not match")
	if code, body := again.ready(); code != http.StatusServiceUnavailable || !strings.Contains(body, "policy.yaml:1:1") {
		t.Errorf("readyz names not the first fault: %d %s", code, body)
	}
}

func TestAMissingFileIsTriedAgain(t *testing.T) {
	p := newPlace(t)
	p.move("cert.pem", "cert.away")
	r := p.run()
	r.log.await(t, "policy refused", "cert.pem")
	if code, body := r.ready(); code != http.StatusServiceUnavailable || !strings.Contains(body, "cert.pem") {
		t.Errorf("%d %s", code, body)
	}
	p.move("cert.away", "cert.pem")
	r.log.await(t, "policy served")
	if n := strings.Count(r.log.text(), "policy refused"); n != 1 {
		t.Errorf("it was told %d times", n)
	}
}

func TestARotationOfThePolicysFilesIsALineWhetherItFailsOrNot(t *testing.T) {
	p := newPlace(t)
	r := p.run()
	r.log.await(t, "policy served")
	p.move("key.pem", "key.away")
	r.log.await(t, "rotation failed", "key.pem", "ERROR")
	if code, body := r.ready(); code != http.StatusOK || !strings.Contains(body, "key.pem") {
		t.Errorf("%d %s", code, body)
	}
	other := filepath.Join(p.dir, "other")
	if err := makeCertificate(other, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cert.pem", "key.pem"} {
		text, err := os.ReadFile(filepath.Join(other, name))
		if err != nil {
			t.Fatal(err)
		}
		p.write("policy/"+name, string(text))
	}
	r.log.await(t, "rotation done", "http/127.0.0.1:8443/certificate", "INFO")
	if fault := r.control.fault(); fault != "" {
		t.Error(fault)
	}
}

func TestSIGHUPReloadsAndEndsNothing(t *testing.T) {
	p := newPlace(t)
	r := p.run()
	r.log.await(t, "policy served")
	p.write("policy/policy.yaml", onePolicy+"rules: [{name: a, on: {targets: [api]}, allow: {}}]\n")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.log.await(t, "reloading")
	for end := time.Now().Add(2 * time.Second); strings.Count(r.log.text(), `"policy served"`) < 2; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the policy was not read at once: %s", r.log.text())
		}
	}
	if strings.Contains(r.log.text(), "shutting down") {
		t.Error("it ends")
	}
}
