package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluicegate/sluice/authz/identity/devidp"
)

type devCommand struct {
	Idp devIdp `cmd:"" help:"Run an identity provider with the demo's people. For development only: loopback only."`
}

type devIdp struct {
	Listen   string        `default:"127.0.0.1:9556" help:"Loopback address to listen at."`
	Dir      string        `required:"" type:"path" placeholder:"DIR" help:"Where keys and the clients' secrets are kept (0700)."`
	Audience string        `default:"sluice" help:"The tokens' audience."`
	Lifetime time.Duration `default:"1h" help:"How long tokens are good."`
	Rotate   time.Duration `help:"Rotate the signing key this often; 0 is never."`
}

// Run serves until it is interrupted.
func (c *devIdp) Run(ctx context.Context, s streams) error {
	if err := devidp.CheckAddress(c.Listen); err != nil {
		return &usageError{err}
	}
	logger := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	slog.SetDefault(logger) // the provider's library logs there
	provider, err := devidp.New(devidp.Options{
		Issuer: "http://" + c.Listen, People: devidp.Default(), Audience: c.Audience, Lifetime: c.Lifetime, Dir: c.Dir, Logger: logger,
	})
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: provider.Handler(), ReadHeaderTimeout: 5 * time.Second}
	if c.Rotate > 0 {
		go rotateKeys(ctx, provider, c.Rotate, logger)
	}
	go func() {
		<-ctx.Done()
		_ = server.Close() // it is for development: nothing is lost
	}()
	if _, err := fmt.Fprintf(s.out, "identity provider at http://%s\n", c.Listen); err != nil {
		return err
	}
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func rotateKeys(ctx context.Context, p *devidp.Provider, every time.Duration, logger *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := p.Rotate(ctx); err != nil {
				logger.Error("the signing key could not be rotated", slog.Any("error", err))
			}
		}
	}
}

type tokenCommand struct {
	As   string `required:"" placeholder:"NAME" help:"Whose token: agent, alice, bob, carol, mallory."`
	Idp  string `env:"SLUICE_IDP" placeholder:"URL" help:"The development identity provider. Default: the demo's."`
	Dir  string `env:"SLUICE_IDP_DIR" type:"path" placeholder:"DIR" help:"Where that provider keeps its clients' secrets. Default: the demo's."`
	Demo string `env:"SLUICE_DEMO_DIR" default:".demo" type:"path" help:"The demo's directory."`
}

// Run prints a token.
func (c *tokenCommand) Run(ctx context.Context, s streams) error {
	if c.Idp == "" {
		url, err := demoValue(filepath.Join(c.Demo, "env"), "SLUICE_IDP")
		if err != nil {
			return fmt.Errorf("no identity provider: set SLUICE_IDP, or start the demo with make up (%w)", err)
		}
		c.Idp = url
	}
	if c.Dir == "" {
		c.Dir = filepath.Join(c.Demo, "idp")
	}
	secret, err := devidp.Secret(c.Dir, c.As)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	token, err := devidp.Fetch(ctx, http.DefaultClient, c.Idp, c.As, secret)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, token)
	return err
}

// demoValue reads a variable from the demo's env file, KEY="value" a line.
func demoValue(path, key string) (string, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the path is the caller's own
	if err != nil {
		return "", err
	}
	for l := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(l), "export "+key+"="); ok {
			return strings.Trim(value, `"`), nil
		}
	}
	return "", fmt.Errorf("%s has no %s", path, key)
}
