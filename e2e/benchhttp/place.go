package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/e2e/stack"
)

// arm is one way to the service.
type arm struct {
	name string
	// address is host:port, plaintext.
	address string
	// sluice arms need the agent's token.
	sluice bool
	// processor and envoy are the processes whose memory counts; 0 for none.
	processor, envoy int
}

const (
	direct   = "service direct"
	plain    = "envoy"
	noop     = "envoy + no-op"
	masked   = "sluice, 20 paths"
	detected = "sluice, 20 paths + detect"
)

// place is everything that a part of the bench runs on.
type place struct {
	stage *stage.Stage
	// plain is the Envoy without Sluice.
	plain *stack.Envoy
	arms  []arm
	stops []func()
}

func (p *place) stop() {
	for _, stop := range slices.Backward(p.stops) {
		stop()
	}
}

func (p *place) arm(name string) arm {
	return p.arms[slices.IndexFunc(p.arms, func(a arm) bool { return a.name == name })]
}

// newPlace starts the service, the no-op processor, an Envoy for the arms without Sluice, and a stage. What it returns
// must be stopped, with an error too.
func newPlace(ctx context.Context, dir string) (*place, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	p := &place{}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return p, err
	}
	var ports [5]int
	var err error
	for i := range ports {
		if ports[i], err = stack.FreePort(ctx); err != nil {
			return p, err
		}
	}
	servicePort, plainPort, noopPort, maskedPort, detectedPort := ports[0], ports[1], ports[2], ports[3], ports[4]
	service := at(servicePort)
	if _, err := p.child("service", service); err != nil {
		return p, err
	}
	sockets, err := stack.ShortDir()
	if err != nil {
		return p, err
	}
	p.stops = append(p.stops, func() { _ = os.RemoveAll(sockets) }) // only sockets
	socket := filepath.Join(sockets, "noop.sock")
	noopPID, err := p.child("noop", socket)
	if err != nil {
		return p, err
	}
	if p.plain, err = startPlainEnvoy(ctx, dir, socket, plainPort, noopPort, servicePort); err != nil {
		return p, err
	}
	p.stops = append(p.stops, p.plain.Stop)
	if p.stage, err = stage.Start(ctx, stage.Options{Dir: filepath.Join(dir, "stage"), Plaintext: true}); err != nil {
		return p, err
	}
	p.stops = append(p.stops, p.stage.Stop)
	policy := policyText(maskedPort, detectedPort, servicePort)
	if err := os.WriteFile(filepath.Join(p.stage.PolicyDir, "90-bench.yaml"), []byte(policy), 0o600); err != nil {
		return p, err
	}
	p.arms = []arm{
		{name: direct, address: service},
		{name: plain, address: at(plainPort)},
		{name: noop, address: at(noopPort), processor: noopPID, envoy: p.plain.PID()},
		{name: masked, address: at(maskedPort), sluice: true, processor: p.stage.SluicePID(), envoy: p.stage.Envoy.PID()},
		{name: detected, address: at(detectedPort), sluice: true, processor: p.stage.SluicePID(), envoy: p.stage.Envoy.PID()},
	}
	for _, a := range p.arms {
		if err := p.proven(ctx, a); err != nil {
			return p, fmt.Errorf("%s: %w", a.name, err)
		}
	}
	return p, nil
}

func at(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// token is what an arm's requests carry; empty for none.
func (p *place) token(ctx context.Context, a arm) (string, error) {
	if !a.sluice {
		return "", nil
	}
	return p.stage.Token(ctx, "agent")
}

// proven waits until an arm answers, and looks whether it does what its name says: a bench of masks that do not apply
// would measure nothing.
func (p *place) proven(ctx context.Context, a arm) error {
	var last error
	for {
		var body string
		if body, last = p.get(ctx, a, "/body/1k"); last == nil {
			secrets, found := strings.Contains(body, secret), strings.Contains(body, detectable)
			if secrets == a.sluice || found == (a.name == detected) || !strings.Contains(body, "Customer Number") {
				return fmt.Errorf("it does not answer as it should: %s", body)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(last, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (p *place) get(ctx context.Context, a arm, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	token, err := p.token(ctx, a)
	if err != nil {
		return "", err
	}
	req, err := request(ctx, a, http.MethodGet, path, token)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }() // it is read to its end
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", res.Status, body)
	}
	return string(body), err
}

func request(ctx context.Context, a arm, method, path, token string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+a.address+path, http.NoBody)
	if err == nil && token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, err
}
