package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	envoy_config_bootstrap_v3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"github.com/sluicegate/sluice/envoy"
)

type envoyCommand struct {
	Bootstrap envoyBootstrap `cmd:"" help:"Print a bootstrap for a stock Envoy."`
	Run       envoyRun       `cmd:"" help:"Run the pinned Envoy, for development."`
}

// envoyFlags are what a bootstrap is made from.
type envoyFlags struct {
	NodeID  string `required:"" placeholder:"ID" help:"The node's id; with mutual TLS, the one in its certificate."`
	Cluster string `default:"sluice" help:"The node's cluster."`
	Xds     string `required:"" placeholder:"ADDRESS" help:"The control plane: unix:PATH, or HOST:PORT with mutual TLS."`
	Cert    string `placeholder:"FILE" help:"PEM certificate of this node, for mutual TLS."`
	Key     string `placeholder:"FILE" help:"PEM key of this node, for mutual TLS."`
	CA      string `placeholder:"FILE" help:"PEM certificates that the control plane's must chain to."`
	Secrets string `name:"secrets-dir" placeholder:"DIR" help:"Where to write the two files through which Envoy reads certificate, key and CA again when they are replaced by renaming. Default: the directory of --cert. 'none': it reads them at its start only."`
	Admin   string `default:"unix:/run/sluice/envoy-admin.sock" placeholder:"ADDRESS" help:"Envoy's admin interface: unix:PATH in a directory of mode 0700, or a loopback HOST:PORT, which is open to everybody on the host: whoever reaches it can have Envoy log what it carries, tokens too."`
}

func (f envoyFlags) config() envoy.Config {
	c := envoy.Config{NodeID: f.NodeID, Cluster: f.Cluster}
	if path, ok := strings.CutPrefix(f.Xds, "unix:"); ok {
		c.XDS.Socket = path
	} else {
		c.XDS.Address = f.Xds
		c.XDS.TLS = &envoy.TLS{Certificate: f.Cert, Key: f.Key, CA: f.CA, SecretsDir: f.Secrets}
		switch {
		case f.Secrets == "none":
			c.XDS.TLS.SecretsDir = ""
		case f.Secrets == "" && filepath.IsAbs(f.Cert):
			c.XDS.TLS.SecretsDir = filepath.Dir(f.Cert)
		}
	}
	if path, ok := strings.CutPrefix(f.Admin, "unix:"); ok {
		c.Admin.Socket = path
	} else {
		c.Admin.Address = f.Admin
	}
	return c
}

// bootstrap makes the bootstrap, and writes the files that it names.
func (f envoyFlags) bootstrap() (*envoy_config_bootstrap_v3.Bootstrap, error) {
	c := f.config()
	b, err := envoy.Bootstrap(c)
	if err != nil {
		return nil, &usageError{flagged(err)}
	}
	files, err := envoy.Secrets(c)
	if err != nil {
		return nil, &usageError{flagged(err)}
	}
	for name, text := range files {
		path := filepath.Join(c.XDS.TLS.SecretsDir, name)
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) { //nolint:gosec // the path is the operator's own
			continue
		}
		if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // G306: paths, for an Envoy of another user
			return nil, fmt.Errorf("%w: through it Envoy reads its certificate again; name a directory with --secrets-dir, or none", err)
		}
	}
	return b, nil
}

// flagged names flags in place of the fields of a Config.
func flagged(err error) error {
	var fields []*envoy.FieldError
	collect(err, &fields)
	if len(fields) == 0 {
		return err
	}
	flags := map[string]string{ //nolint:gosec // G101: names of flags
		"node_id": "--node-id", "cluster": "--cluster", "xds.socket": "--xds (a unix socket)", "xds.address": "--xds",
		"xds.tls.certificate": "--cert", "xds.tls.key": "--key", "xds.tls.ca": "--ca", "xds.tls.secrets_dir": "--secrets-dir",
		"xds.tls": "--cert, --key, --ca", "admin.socket": "--admin", "admin.address": "--admin",
	}
	out := make([]error, len(fields))
	for i, f := range fields {
		name := flags[f.Field]
		if name == "" {
			name = f.Field
		}
		out[i] = fmt.Errorf("%s: %s", name, f.Problem)
	}
	return errors.Join(out...)
}

func collect(err error, out *[]*envoy.FieldError) {
	switch e := err.(type) { //nolint:errorlint // a walk through the tree itself
	case *envoy.FieldError:
		*out = append(*out, e)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			collect(one, out)
		}
	case interface{ Unwrap() error }:
		collect(e.Unwrap(), out)
	}
}

type envoyBootstrap struct{ envoyFlags }

// Run prints the bootstrap.
func (c *envoyBootstrap) Run(s streams) error {
	b, err := c.bootstrap()
	if err != nil {
		return err
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
	b, err := c.bootstrap()
	if err != nil {
		return err
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
