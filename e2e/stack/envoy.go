package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	envoy_config_bootstrap_v3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"github.com/sluicegate/sluice/envoy"
)

// EnvoyOptions say how an Envoy is run.
type EnvoyOptions struct {
	// Bootstrap is what it starts from; package envoy makes one.
	Bootstrap *envoy_config_bootstrap_v3.Bootstrap
	// LogFile gets its log. It is needed.
	LogFile string
	// LogLevel and DrainTime are as in envoy.Options.
	LogLevel  string
	DrainTime time.Duration
}

// Envoy is a running Envoy.
type Envoy struct {
	process *envoy.Process
	admin   *http.Client
	logFile string
}

// StartEnvoy starts the pinned Envoy and returns when its administration interface answers, which
// is before it is LIVE: see Ready. ctx is for the start only; Envoy lives until Stop, or the end of
// this process. An error shows the end of its log.
func StartEnvoy(ctx context.Context, o EnvoyOptions) (*Envoy, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	binary, err := envoy.Find(ctx)
	if err != nil {
		return nil, err
	}
	admin, err := envoy.AdminClient(o.Bootstrap.GetAdmin().GetAddress())
	if err != nil {
		return nil, fmt.Errorf("envoy: %w", err)
	}
	log, err := os.OpenFile(o.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("envoy: %w", err)
	}
	defer log.Close()
	p, err := envoy.Start(context.WithoutCancel(ctx), envoy.Options{
		Binary: binary, Bootstrap: o.Bootstrap, Output: log, LogLevel: o.LogLevel, DrainTime: o.DrainTime,
	})
	if err != nil {
		return nil, err
	}
	e := &Envoy{process: p, admin: admin, logFile: o.LogFile}
	if err := p.Answering(ctx); err != nil {
		e.Stop()
		return nil, e.failure(err)
	}
	return e, nil
}

// Ready waits until Envoy is LIVE; with an xDS bootstrap that needs the control plane. The error
// shows the end of its log.
func (e *Envoy) Ready(ctx context.Context) error {
	if err := e.process.Ready(ctx); err != nil {
		return e.failure(err)
	}
	return nil
}

// Admin asks the administration interface, for instance for "/ready" or "/config_dump", and returns
// the body. Any status but 200 is an error that has the body's beginning.
func (e *Envoy) Admin(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin"+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := e.admin.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return nil, fmt.Errorf("envoy admin %s: %w", path, err)
	}
	if res.StatusCode != http.StatusOK {
		const enough = 200
		return nil, fmt.Errorf("envoy admin %s: %s: %s", path, res.Status, body[:min(len(body), enough)])
	}
	return body, nil
}

// LogFile is where Envoy writes its log.
func (e *Envoy) LogFile() string { return e.logFile }

// PID is the process id, for measuring.
func (e *Envoy) PID() int { return e.process.PID() }

// Done is closed when Envoy has exited.
func (e *Envoy) Done() <-chan struct{} { return e.process.Done() }

// Stop ends Envoy and returns when it is gone. Stopping twice is no error.
func (e *Envoy) Stop() {
	e.process.Stop()
	e.admin.CloseIdleConnections()
}

func (e *Envoy) failure(err error) error {
	return fmt.Errorf("%w; its log %s ends:\n%s", err, e.logFile, tail(e.logFile))
}
