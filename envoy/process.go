package envoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	envoy_config_bootstrap_v3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
)

const (
	defaultGrace = 5 * time.Second
	// Envoy's own default (--drain-time-s).
	defaultDrainTime = 600 * time.Second
	defaultLogLevel  = "warning"
)

// Options are how an Envoy is run.
type Options struct {
	// Binary is the path of Envoy; Find gives one.
	Binary string
	// Bootstrap is what it starts from; its admin address is where readiness is asked.
	Bootstrap *envoy_config_bootstrap_v3.Bootstrap
	// DrainTime is how long connections of a listener live on that was changed or removed, in
	// whole seconds; 0 means Envoy's default of 600 s.
	DrainTime time.Duration
	// LogLevel is one of Envoy's: trace, debug, info, warning, error, critical, off. Empty means
	// warning.
	LogLevel string
	// Output gets what Envoy writes, its log included. Nil discards it.
	Output io.Writer
	// Grace is how long Envoy has after SIGTERM before it is killed; 0 means 5 s.
	Grace time.Duration
	// OnReady is called once by Run when Envoy is LIVE. It may be nil.
	OnReady func()
}

// Process is a running Envoy.
type Process struct {
	admin adminClient
	stop  context.CancelFunc
	done  chan struct{}
	err   error // of the exit; written before done is closed
	pid   int
}

// Start starts an Envoy, which lives until ctx ends, Stop is called, it exits by itself, or this
// process dies. It does not wait for it to be ready. The error is that of the options or of
// starting the binary.
func Start(ctx context.Context, o Options) (*Process, error) {
	args, err := o.args()
	if err != nil {
		return nil, err
	}
	admin, err := newAdminClient(o.Bootstrap.GetAdmin().GetAddress())
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, o.Binary, args...) //nolint:gosec // the caller names the binary; the arguments are ours
	cmd.Stdout, cmd.Stderr = o.Output, o.Output
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if cmd.WaitDelay = o.Grace; o.Grace == 0 {
		cmd.WaitDelay = defaultGrace
	}
	// Its own group, so that Ctrl-C comes to us alone and Envoy stops in our order; and no Envoy
	// without us, which would hold its ports.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}

	p := &Process{admin: admin, stop: stop, done: make(chan struct{})}
	started := make(chan error)
	go p.own(cmd, started)
	if err := <-started; err != nil {
		stop()
		return nil, fmt.Errorf("start %s: %w", o.Binary, err)
	}
	return p, nil
}

// own starts the process and waits for it on one thread: Pdeathsig follows the thread that started
// it, not the process (prctl(2), PR_SET_PDEATHSIG).
func (p *Process) own(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	p.pid = cmd.Process.Pid
	started <- nil
	p.err = cmd.Wait()
	p.stop()
	p.admin.close()
}

func (o Options) args() ([]string, error) {
	if err := o.Bootstrap.ValidateAll(); err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	if o.DrainTime < 0 || o.DrainTime%time.Second != 0 {
		return nil, &FieldError{Field: "drain_time", Problem: fmt.Sprintf("must be whole seconds, got %s", o.DrainTime)}
	}
	config, err := YAML(o.Bootstrap)
	if err != nil {
		return nil, err
	}
	drain, level := o.DrainTime, o.LogLevel
	if drain == 0 {
		drain = defaultDrainTime
	}
	if level == "" {
		level = defaultLogLevel
	}
	return []string{
		"--config-yaml", string(config),
		"--drain-time-s", strconv.FormatInt(int64(drain/time.Second), 10),
		"--log-level", level,
		// Several Envoys on one host would otherwise share memory and refuse to start.
		"--use-dynamic-base-id",
	}, nil
}

// PID is the process id.
func (p *Process) PID() int { return p.pid }

// Done is closed when Envoy has exited.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait returns when Envoy has exited: nil after a clean exit, else an *exec.ExitError, or the error
// of the context that ended it.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Stop ends Envoy, gracefully first, and returns when it is gone. Stopping twice is no error.
func (p *Process) Stop() {
	p.stop()
	<-p.done
}

// Ready waits until Envoy says LIVE: initialised, all first resources received or timed out. The
// error says that Envoy exited, or wraps that of ctx with the last state seen.
func (p *Process) Ready(ctx context.Context) error {
	return p.await(ctx, func(state string) bool { return state == stateLive })
}

// Answering waits until the administration interface answers, in whatever state Envoy is: without
// its control plane it is not LIVE for as long as the first fetch may take. Errors as for Ready.
func (p *Process) Answering(ctx context.Context) error {
	return p.await(ctx, func(string) bool { return true })
}

func (p *Process) await(ctx context.Context, enough func(state string) bool) error {
	const pause = 20 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	last := "no answer yet"
	for {
		state, err := p.admin.state(ctx)
		switch {
		case err == nil && enough(state):
			return nil
		case err == nil:
			last = state
		case ctx.Err() == nil:
			last = err.Error()
		}
		select {
		case <-p.done:
			return fmt.Errorf("envoy exited before it was ready: %w", exitError(p.err))
		case <-ctx.Done():
			return fmt.Errorf("envoy is not ready (%s): %w", last, ctx.Err())
		case <-tick.C:
		}
	}
}

var errCleanExit = errors.New("exit status 0")

func exitError(err error) error {
	if err == nil {
		return errCleanExit
	}
	return err
}

// Run starts an Envoy, tells OnReady when it is LIVE, and returns when it has exited: nil if ctx
// ended it and it went by itself, else the error of its exit.
func Run(ctx context.Context, o Options) error {
	p, err := Start(ctx, o)
	if err != nil {
		return err
	}
	defer p.Stop()
	if err := p.Ready(ctx); err == nil && o.OnReady != nil {
		o.OnReady()
	}
	err = p.Wait()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}
