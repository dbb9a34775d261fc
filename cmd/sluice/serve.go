package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/authz/oplog"
)

type serveCommand struct {
	Config   string `required:"" type:"path" placeholder:"FILE" help:"The configuration, YAML."`
	LogLevel string `enum:"debug,info,warn,error" default:"info" help:"What to log: debug, info, warn, error."`
}

// Run serves until it is interrupted, then lets running statements end.
func (c *serveCommand) Run(ctx context.Context, s streams) error {
	config, err := loadConfig(c.Config)
	if err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return &usageError{err}
	}
	if os.Getenv("GOGC") == "" {
		// Statements make small garbage at a high rate while little lives: fewer collections cost a few MB.
		debug.SetGCPercent(150)
	}
	logger := slog.New(slog.NewJSONHandler(s.err, &slog.HandlerOptions{Level: level}))
	i := &instance{config: config, logger: logger, metrics: prometheus.NewRegistry(), failed: make(chan error, 8)}
	i.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	i.told = oplog.New(logger, i.metrics, time.Now)
	return i.serve(ctx)
}

// instance is one running sluice: the parts that its roles need, in the order in which they end.
type instance struct {
	config  *configv1.Config
	logger  *slog.Logger
	metrics *prometheus.Registry
	told    *oplog.Log

	identities *identity.Registry
	control    *controlRole
	process    *processRole
	api        *apiServer

	// failed gets the error of a part that ended by itself: the rest must not go on without it.
	failed chan error
	work   sync.WaitGroup

	mu       sync.Mutex
	followed []followed
}

// serve starts all parts, waits, and ends them.
func (i *instance) serve(ctx context.Context) (err error) {
	// Unasked for, this signal would end the process, drain or no drain.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	// What serves goes on while sessions end, so its life is not the signal's.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		end()
		i.work.Wait()
	}()
	if err := i.start(life); err != nil {
		i.stop(life)
		return err
	}
	i.logger.InfoContext(ctx, "sluice serves", slog.Any("roles", roleNames(i.config)), slog.Int("pid", os.Getpid()))
	for serving := true; serving; {
		select {
		case <-hup:
			i.reload(life)
			continue
		case <-ctx.Done():
			i.logger.InfoContext(life, "sluice is shutting down")
		case err = <-i.failed:
			i.logger.ErrorContext(life, "a part has failed", slog.Any("error", err))
		}
		serving = false
	}
	i.stop(life)
	return err
}

// reload is what SIGHUP asks for: policy and certificates are read now, and nothing ends.
func (i *instance) reload(ctx context.Context) {
	i.logger.InfoContext(ctx, "reloading: the policy directory and certificates are read again")
	if i.control != nil {
		i.control.reload(ctx)
	}
	i.mu.Lock()
	followed := slices.Clone(i.followed)
	i.mu.Unlock()
	for _, f := range followed {
		f.Look(ctx)
	}
}

// followed are files that are read again when they change.
type followed interface {
	Look(ctx context.Context)
	Run(ctx context.Context) error
}

// follow looks at files while the instance lives.
func (i *instance) follow(ctx context.Context, name string, f followed) {
	i.mu.Lock()
	i.followed = append(i.followed, f)
	i.mu.Unlock()
	i.goes(ctx, name, func(ctx context.Context) error {
		_ = f.Run(ctx) // it ends with ctx only
		return ctx.Err()
	})
}

func roleNames(c *configv1.Config) []string {
	var out []string
	for _, r := range c.GetRoles() {
		out = append(out, r.String())
	}
	return out
}

// start starts the parts in the order in which they need each other.
func (i *instance) start(ctx context.Context) (err error) {
	sources := i.sources()
	if i.identities, err = identity.New(nil, identity.Options{Logger: i.logger, Sources: sources}); err != nil {
		return err
	}
	if has(i.config, configv1.Config_CONTROL) {
		if i.control, err = startControl(ctx, i); err != nil {
			return fmt.Errorf("control: %w", err)
		}
	}
	if has(i.config, configv1.Config_PROCESS) {
		if i.process, err = startProcess(ctx, i, sources); err != nil {
			return fmt.Errorf("process: %w", err)
		}
	}
	if i.config.GetApi() != nil {
		if i.api, err = startAPI(ctx, i); err != nil {
			return fmt.Errorf("api: %w", err)
		}
	}
	return nil
}

func (i *instance) sources() identity.Sources {
	base := i.config.GetProcess().GetSecretsDir()
	if base == "" {
		base = i.config.GetControl().GetPolicyDir()
	}
	tree := &secretTree{dir: base, logger: i.logger, versions: i.versions}
	return identity.Sources{BaseDir: base, ReadFile: tree.readFile}
}

// versions are those of the policies in force here.
func (i *instance) versions() []string {
	p, err := i.policy().Current()
	if err != nil {
		return nil
	}
	return []string{p.Bundle().GetVersion()}
}

// stop ends the parts: sessions first, then what they needed.
func (i *instance) stop(ctx context.Context) {
	if i.process != nil {
		i.process.drain(ctx)
	}
	if i.api != nil {
		i.api.stop(ctx)
	}
	if i.process != nil {
		i.process.stop(ctx)
	}
	if i.control != nil {
		i.control.stop()
	}
	if i.identities != nil {
		i.identities.Close()
	}
}

// goes runs a part; if it ends with an error before the context does, the instance ends.
func (i *instance) goes(ctx context.Context, name string, run func(context.Context) error) {
	i.work.Go(func() {
		err := run(ctx)
		if ctx.Err() != nil || errors.Is(err, context.Canceled) {
			return
		}
		if err == nil {
			err = errors.New("it ended")
		}
		select {
		case i.failed <- fmt.Errorf("%s: %w", name, err):
		default:
		}
	})
}
