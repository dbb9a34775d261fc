package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sluicegate/sluice/envoy"
)

type envoyCommand struct {
	Bootstrap envoyBootstrap `cmd:"" help:"Print a bootstrap for a stock Envoy."`
	Run       envoyRun       `cmd:"" help:"Run the pinned Envoy, for development."`
}

// envoyFlags are what a bootstrap is made from.
type envoyFlags struct {
	NodeID  string `required:"" help:"The node's id; with mutual TLS, the one in its certificate."`
	Cluster string `default:"sluice" help:"The node's cluster."`
	Xds     string `required:"" placeholder:"ADDRESS" help:"The control plane: unix:PATH, or HOST:PORT with mutual TLS."`
	Cert    string `help:"PEM certificate of this node, for mutual TLS."`
	Key     string `help:"PEM key of this node, for mutual TLS."`
	CA      string `help:"PEM certificates that the control plane's must chain to."`
	Admin   string `default:"127.0.0.1:9901" placeholder:"ADDRESS" help:"Envoy's admin interface: unix:PATH, or a loopback HOST:PORT."`
}

func (f envoyFlags) config() envoy.Config {
	c := envoy.Config{NodeID: f.NodeID, Cluster: f.Cluster}
	if path, ok := strings.CutPrefix(f.Xds, "unix:"); ok {
		c.XDS.Socket = path
	} else {
		c.XDS.Address = f.Xds
		c.XDS.TLS = &envoy.TLS{Certificate: f.Cert, Key: f.Key, CA: f.CA}
	}
	if path, ok := strings.CutPrefix(f.Admin, "unix:"); ok {
		c.Admin.Socket = path
	} else {
		c.Admin.Address = f.Admin
	}
	return c
}

type envoyBootstrap struct{ envoyFlags }

// Run prints the bootstrap.
func (c *envoyBootstrap) Run(s streams) error {
	b, err := envoy.Bootstrap(c.config())
	if err != nil {
		return &usageError{err}
	}
	text, err := envoy.YAML(b)
	if err != nil {
		return err
	}
	_, err = s.out.Write(text)
	return err
}

type envoyRun struct {
	envoyFlags
	DrainTime time.Duration `default:"10s" help:"How long connections of a removed listener may go on."`
	LogLevel  string        `default:"warning" help:"Envoy's log level."`
}

// Run runs Envoy until it is interrupted.
func (c *envoyRun) Run(ctx context.Context, s streams) error {
	b, err := envoy.Bootstrap(c.config())
	if err != nil {
		return &usageError{err}
	}
	err = envoy.Run(ctx, envoy.Options{
		Bootstrap: b, DrainTime: c.DrainTime, LogLevel: c.LogLevel, Output: os.Stderr,
		OnReady: func() { _, _ = fmt.Fprintln(s.err, "envoy is live") }, // nowhere else to say it
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
