package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/source"
	"github.com/sluicegate/sluice/xds/resources"
	"github.com/sluicegate/sluice/xds/server"
)

// controlRole is the control plane: policy in, xDS out.
type controlRole struct {
	instance *instance
	server   *server.Server
	listener net.Listener
	current  atomic.Pointer[policies.Policy]
	coming   atomic.Pointer[string] // the version that is being tried
	again    chan struct{}          // asks for the directory to be read at once

	mu      sync.Mutex     // guards the fields to the next blank line
	refused *source.Result // the newest, if this place could not serve it: files may come
	told    string         // the fault that was logged last
	kept    keptBundle
}

func controlResources(c controlConfig, read func(*policyv1.DataSource) ([]byte, error)) resources.Options {
	return resources.Options{Postgres: c.GetPostgres(), HTTP: c.GetHttp(), EgressDir: c.GetEgressDir(), Roots: resources.SystemRoots, Read: read}
}

func startControl(ctx context.Context, i *instance) (*controlRole, error) {
	c := i.config.GetControl()
	role := &controlRole{
		instance: i, again: make(chan struct{}, 1),
		kept: keptBundle{path: filepath.Join(i.config.GetStateDir(), "control-bundle.pb")},
	}
	tree := &secretTree{dir: c.GetPolicyDir(), logger: i.logger, versions: role.versions}
	var err error
	role.server, err = server.New(server.Options{
		Resources: controlResources(c, identity.Sources{BaseDir: c.GetPolicyDir(), ReadFile: tree.readFile}.Resolve),
		Metrics:   i.metrics, Logger: i.logger,
	})
	if err != nil {
		return nil, err
	}
	if err := makeSocketDir(c.GetXds()); err != nil {
		return nil, err
	}
	if role.listener, err = peer.ListenAs(ctx, "control.xds", c.GetXds(), i.logger); err != nil {
		return nil, err
	}
	i.goes(ctx, "xds", func(ctx context.Context) error { return role.server.Serve(ctx, role.listener) })
	i.goes(ctx, "certificates", role.refresh)
	i.goes(ctx, "policy directory", role.watch)
	return role, nil
}

// watch serves what the directory holds, until ctx ends. To be asked to read it again is to begin anew.
func (c *controlRole) watch(ctx context.Context) error {
	for ctx.Err() == nil {
		one, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			source.Watch(one, c.instance.config.GetControl().GetPolicyDir(), c.instance.logger, func(r source.Result) { c.apply(one, r) })
		}()
		select {
		case <-ctx.Done():
		case <-c.again:
		}
		cancel()
		<-done
	}
	return ctx.Err()
}

// reload reads the policy directory and the certificates now.
func (c *controlRole) reload(ctx context.Context) {
	select {
	case c.again <- struct{}{}:
	default:
	}
	c.look(ctx)
}

// apply serves what the directory holds. What has faults never leaves; the last good policy stays.
func (c *controlRole) apply(ctx context.Context, r source.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = nil
	var faults error
	if r.Faults != nil {
		faults = r.Faults
	}
	before := c.current.Load()
	err := c.serve(ctx, r.Bundle, r.Policy, faults)
	if err == nil {
		if before == nil || before.Version() != r.Bundle.GetVersion() {
			c.instance.told.PolicyChanged("control", true)
		}
		c.told = ""
		c.keep(ctx, r.Bundle)
		return
	}
	if r.Faults == nil {
		c.refused = &r
	}
	c.refuse(ctx, r, err)
	if c.current.Load() == nil {
		c.restore(ctx, err)
	}
}

// serve gives a policy to everybody.
func (c *controlRole) serve(ctx context.Context, b *policyv1.Bundle, p *policies.Policy, faults error) error {
	if version := b.GetVersion(); version != "" {
		c.coming.Store(&version)
		defer c.coming.Store(nil)
	}
	if err := c.server.SetBundle(ctx, b, faults); err != nil {
		return err
	}
	if c.instance.process == nil {
		// Without a processor in this process, the API's callers are proven by what is served.
		if err := c.instance.identities.Update(b.GetIssuers()); err != nil {
			return err
		}
	}
	c.current.Store(p)
	return nil
}

// refuse says why, once for each cause.
func (c *controlRole) refuse(ctx context.Context, r source.Result, err error) {
	var faults policies.Faults
	if errors.As(err, &faults) && r.Faults == nil {
		err = r.Locate(faults) // file and line say more than a path in the bundle
	}
	if text := err.Error(); text != c.told {
		c.told = text
		c.instance.told.PolicyChanged("control", false)
		c.instance.logger.ErrorContext(ctx, "policy refused, the last good one stays",
			slog.String("version", r.Bundle.GetVersion()), slog.Any("error", err))
	}
}

// restore serves what a process before this one served, where there is nothing better.
func (c *controlRole) restore(ctx context.Context, why error) {
	b, p, err := c.kept.read()
	if err == nil && b == nil {
		return // there is none: the first start
	}
	if err == nil {
		err = c.serve(ctx, b, p, nil)
	}
	if err != nil {
		c.instance.logger.ErrorContext(ctx, "the kept policy cannot be served", slog.String("file", c.kept.path), slog.Any("error", err))
		return
	}
	_ = c.server.SetBundle(ctx, nil, why) // it returns why: it stays in the status
	c.instance.logger.WarnContext(ctx, "the kept policy is served: the last good one of before the restart",
		slog.String("version", b.GetVersion()), slog.String("file", c.kept.path))
}

func (c *controlRole) keep(ctx context.Context, b *policyv1.Bundle) {
	if err := c.kept.write(b); err != nil {
		c.instance.logger.ErrorContext(ctx, "the policy is not kept for a restart", slog.Any("error", err))
	}
}

// versions are those whose files count: of the policy that is served, and of one that is being tried.
func (c *controlRole) versions() []string {
	var out []string
	if p := c.current.Load(); p != nil {
		out = append(out, p.Bundle().GetVersion())
	}
	if v := c.coming.Load(); v != nil {
		out = append(out, *v)
	}
	return out
}

// Current is the policy that is served.
func (c *controlRole) Current() (*policies.Policy, error) {
	if p := c.current.Load(); p != nil {
		return p, nil
	}
	if fault := c.fault(); fault != "" {
		return nil, fmt.Errorf("no policy is served yet: %s", fault)
	}
	return nil, errors.New("no policy is served yet")
}

// fault is the first of why the newest policy, or certificates, are not what is served; empty for nothing.
func (c *controlRole) fault() string {
	all := c.server.Status().GetPolicyFaults()
	switch len(all) {
	case 0:
		return ""
	case 1:
		return all[0]
	}
	return fmt.Sprintf("%s (and %d more)", strings.TrimSpace(all[0]), len(all)-1)
}

func (c *controlRole) stop() {
	if c.listener != nil {
		_ = c.listener.Close() // nodes go on with what they have
	}
}

// refreshEvery is how often certificate files are read again, and a policy is tried again that this place could not
// serve.
const refreshEvery = 2 * time.Second

// refresh sends certificates that were renewed.
func (c *controlRole) refresh(ctx context.Context) error {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			c.look(ctx)
		}
	}
}

func (c *controlRole) look(ctx context.Context) {
	c.mu.Lock()
	r := c.refused
	c.mu.Unlock()
	if r != nil {
		c.applyAgain(ctx, r)
		return
	}
	_ = c.server.Refresh(ctx) // it logs, and tells in its status
}

// applyAgain tries a refused policy, unless there is a newer one.
func (c *controlRole) applyAgain(ctx context.Context, r *source.Result) {
	c.mu.Lock()
	newest := c.refused == r
	c.mu.Unlock()
	if newest {
		c.apply(ctx, *r)
	}
}
