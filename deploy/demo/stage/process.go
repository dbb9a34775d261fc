package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a command that runs beside the stage.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error
}

// start runs a command with its output in a file. It dies with this process.
func start(name, logFile string, env []string, path string, args ...string) (*process, error) {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the command has its own copy
	cmd := exec.Command(path, args...) //nolint:noctx // its life is the stage's: stop ends it, not a context
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, log: logFile, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks it to end, and makes it end when it takes too long.
func (p *process) stop(grace time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.done:
	case <-time.After(grace):
		_ = p.cmd.Process.Kill() // the same
		<-p.done
	}
}

// wait tries until ok, the command ends, or the context does.
func (p *process) wait(ctx context.Context, what string, ok func(context.Context) error) error {
	var last error
	for {
		if last = ok(ctx); last == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %w\n%s", p.name, p.err, tail(p.log))
		case <-ctx.Done():
			return fmt.Errorf("%s: %s: %w\n%s", p.name, what, errors.Join(last, ctx.Err()), tail(p.log))
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// tail is the end of a log file.
func tail(path string) string {
	const most = 4096
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text[max(0, len(text)-most):])
}
