package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/source"
	"github.com/sluicegate/sluice/xds/resources"
	"github.com/sluicegate/sluice/xds/server"
)

// controlRole is the control plane: policy in, xDS out.
type controlRole struct {
	server   *server.Server
	listener net.Listener
	current  atomic.Pointer[policies.Policy]
}

func startControl(ctx context.Context, i *instance) (*controlRole, error) {
	c := i.config.GetControl()
	role := &controlRole{}
	var err error
	role.server, err = server.New(server.Options{
		Resources: resources.Options{
			Postgres: c.GetPostgres(), HTTP: c.GetHttp(), EgressDir: c.GetEgressDir(), Roots: resources.SystemRoots,
			Read: identity.Sources{BaseDir: c.GetPolicyDir()}.Resolve,
		},
		Metrics: i.metrics, Logger: i.logger,
	})
	if err != nil {
		return nil, err
	}
	if err := makeSocketDir(c.GetXds()); err != nil {
		return nil, err
	}
	if role.listener, err = peer.Listen(ctx, c.GetXds()); err != nil {
		return nil, err
	}
	i.goes(ctx, "xds", func(ctx context.Context) error { return role.server.Serve(ctx, role.listener) })
	i.goes(ctx, "certificates", func(ctx context.Context) error { return role.refresh(ctx, i) })
	i.goes(ctx, "policy directory", func(ctx context.Context) error {
		source.Watch(ctx, c.GetPolicyDir(), i.logger, func(r source.Result) { role.apply(ctx, r, i) })
		return ctx.Err()
	})
	return role, nil
}

// apply serves what the directory holds. What has faults never leaves; the last good policy stays.
func (c *controlRole) apply(ctx context.Context, r source.Result, i *instance) {
	var faults error
	if r.Faults != nil {
		faults = r.Faults
	}
	if err := c.server.SetBundle(ctx, r.Bundle, faults); err != nil {
		c.refuse(ctx, i, r, err)
		return
	}
	if i.process == nil {
		// Without a processor in this process, the API's callers are proven by what is served.
		if err := i.identities.Update(r.Bundle.GetIssuers()); err != nil {
			c.refuse(ctx, i, r, err)
			return
		}
	}
	c.current.Store(r.Policy)
	i.logger.InfoContext(ctx, "a policy is served", slog.String("bundle", r.Bundle.GetVersion()))
}

func (c *controlRole) refuse(ctx context.Context, i *instance, r source.Result, err error) {
	var faults policies.Faults
	if errors.As(err, &faults) && r.Faults == nil {
		err = r.Locate(faults) // file and line say more than a path in the bundle
	}
	i.logger.ErrorContext(ctx, "the policy is not served; the last good one stays", slog.Any("error", err))
}

// Current is the policy that is served.
func (c *controlRole) Current() (*policies.Policy, error) {
	if p := c.current.Load(); p != nil {
		return p, nil
	}
	return nil, errors.New("no policy is served yet")
}

func (c *controlRole) stop() {
	if c.listener != nil {
		_ = c.listener.Close() // nodes go on with what they have
	}
}

// refreshEvery is how often certificate files are read again.
const refreshEvery = time.Minute

// refresh sends certificates that were renewed.
func (c *controlRole) refresh(ctx context.Context, i *instance) error {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := c.server.Refresh(ctx); err != nil {
				i.logger.ErrorContext(ctx, "certificates cannot be read again; the old ones stay", slog.Any("error", err))
			}
		}
	}
}
