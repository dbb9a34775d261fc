package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	"github.com/sluicegate/sluice/api/peer/rotate"
	"github.com/sluicegate/sluice/authz/identity"
)

// redisDialTimeout bounds a connection to Redis, TLS included.
const redisDialTimeout = 5 * time.Second

// quiet drops what the Redis client would print: its errors come back to whoever asked.
type quiet struct{}

// Printf implements the logger of go-redis.
func (quiet) Printf(context.Context, string, ...any) {}

// redisOptions say how Redis is reached. Its authority and password are those of the moment at which a connection is made:
// when they change, connections that are up, and what waits for people on them, stay.
func redisOptions(ctx context.Context, i *instance, c *configv1.Redis, sources identity.Sources) (*redis.Options, error) {
	password := &redisPassword{username: c.GetUsername(), logger: i.logger, read: func() (string, error) {
		password, err := sources.Resolve(c.GetPassword())
		return strings.TrimRight(string(password), "\r\n"), err
	}}
	if err := password.open(); err != nil {
		return nil, err
	}
	o := &redis.Options{Network: "tcp", Addr: c.GetTcp(), CredentialsProviderContext: password.now, ContextTimeoutEnabled: true}
	if c.GetUnix() != "" {
		o.Network, o.Addr = "unix", c.GetUnix()
	}
	if !c.GetTls() {
		return o, nil
	}
	roots := func() *x509.CertPool { return nil } // the system's
	if ca := c.GetTlsCa(); ca != "" {
		files, err := rotate.Open("redis.tls_ca", i.logger, func() (rotate.Loaded[*x509.CertPool], error) {
			pool, err := readPool(ca)
			return rotate.Loaded[*x509.CertPool]{Value: pool}, err
		}, ca)
		if err != nil {
			return nil, err
		}
		i.follow(ctx, "redis.tls_ca", files)
		roots = files.Get
	}
	o.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: redisDialTimeout}, Config: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots()}}
		ctx, cancel := context.WithTimeout(ctx, redisDialTimeout)
		defer cancel()
		return d.DialContext(ctx, network, address)
	}
	return o, nil
}

// redisPassword is read anew for each connection. If it cannot be, the last good one stays.
type redisPassword struct {
	username string
	logger   *slog.Logger
	read     func() (string, error)

	mu    sync.Mutex
	last  string
	fault string // why it could not be read; empty while it can
}

func (p *redisPassword) open() error {
	var err error
	if p.last, err = p.read(); err != nil {
		return fmt.Errorf("password: %w", err)
	}
	return nil
}

// now is what a new connection says (redis.Options.CredentialsProviderContext).
func (p *redisPassword) now(ctx context.Context) (username, password string, err error) {
	read, err := p.read()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil && err.Error() != p.fault:
		p.fault = err.Error()
		p.logger.ErrorContext(ctx, "rotation failed: the last good files stay in use", slog.String("part", "redis.password"), slog.Any("error", err))
	case err == nil && read != p.last:
		p.last, p.fault = read, ""
		p.logger.InfoContext(ctx, "rotation done", slog.String("part", "redis.password"))
	case err == nil:
		p.fault = ""
	}
	return p.username, p.last, nil
}
