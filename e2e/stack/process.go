package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a server that this package started. It lives until it is stopped or killed, exits by
// itself, or the process that started it dies.
type process struct {
	name    string
	logFile string
	pid     int
	done    chan struct{}
	err     error // of the exit; written before done is closed
}

// startProcess runs cmd with its output appended to logFile.
func startProcess(name string, cmd *exec.Cmd, logFile string) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	// Its own group, so that Ctrl-C ends the parts in the caller's order, not all at once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &process{name: name, logFile: logFile, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Pdeathsig follows the thread that started the process (prctl(2), PR_SET_PDEATHSIG), so
		// that thread stays until the process has gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		defer log.Close()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		p.err = cmd.Wait()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// stop sends the signal, and SIGKILL after the grace; it returns when the process is gone.
func (p *process) stop(sig syscall.Signal, grace time.Duration) {
	p.signal(sig)
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-p.done:
	case <-late.C:
		p.kill()
	}
}

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// signal does nothing once the process has been waited for, since its id may be another's then.
func (p *process) signal(sig syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(p.pid, sig)
	}
}

// await asks until the server answers, exits, or ctx ends. The error shows the end of its log.
func (p *process) await(ctx context.Context, answers func(context.Context) error) error {
	const pause = 20 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		err := answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.failure(errors.Join(errors.New("exited at once"), p.err))
		case <-ctx.Done():
			return p.failure(errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

func (p *process) failure(err error) error {
	return fmt.Errorf("%s: %w; its log %s ends:\n%s", p.name, err, p.logFile, tail(p.logFile))
}

// tail is the last part of a file, for an error.
func tail(name string) string {
	const enough = 2000
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-enough):])
}
