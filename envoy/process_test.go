package envoy_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	envoy_config_bootstrap_v3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"github.com/sluicegate/sluice/envoy"
)

const patience = 20 * time.Second

func binary(t *testing.T) string {
	t.Helper()
	path, err := envoy.Find(t.Context())
	if err != nil {
		t.Skip(err.Error())
	}
	return path
}

// socketDir is short enough for sockets, wherever TMPDIR is.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func bootstrap(t *testing.T) *envoy_config_bootstrap_v3.Bootstrap {
	t.Helper()
	dir := socketDir(t)
	c := envoy.Default()
	c.XDS.Socket, c.Admin.Socket = filepath.Join(dir, "x"), filepath.Join(dir, "a")
	b, err := envoy.Bootstrap(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// alone is a bootstrap that waits for no control plane.
func alone(t *testing.T) *envoy_config_bootstrap_v3.Bootstrap {
	b := bootstrap(t)
	b.DynamicResources = nil
	return b
}

func deadline(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestThePinnedBinaryIsOfThePinnedVersion(t *testing.T) {
	if version, err := envoy.VersionOf(t.Context(), binary(t)); err != nil || version != envoy.Version {
		t.Errorf("got %q, %v; want %s", version, err, envoy.Version)
	}
}

func TestEnvoyBecomesLiveAndStopsGracefully(t *testing.T) {
	p, err := envoy.Start(t.Context(), envoy.Options{Binary: binary(t), Bootstrap: alone(t), DrainTime: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if err := p.Ready(deadline(t, patience)); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	if err := p.Wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait after Stop: %v", err)
	}
	if err := syscall.Kill(p.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process is still there: %v", err)
	}
}

func TestEnvoyWithoutItsControlPlaneAnswersButIsNotReady(t *testing.T) {
	p, err := envoy.Start(t.Context(), envoy.Options{Binary: binary(t), Bootstrap: bootstrap(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	if err := p.Answering(deadline(t, patience)); err != nil {
		t.Fatal(err)
	}
	err = p.Ready(deadline(t, 300*time.Millisecond))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "PRE_INITIALIZING") {
		t.Errorf("Ready: %v", err)
	}
}

func TestEnvoysExitIsReported(t *testing.T) {
	t.Run("while it waits to be ready", func(t *testing.T) {
		b := alone(t)
		b.GetAdmin().GetAddress().GetPipe().Path = "/nonexistent/admin"
		var log strings.Builder
		p, err := envoy.Start(t.Context(), envoy.Options{Binary: binary(t), Bootstrap: b, Output: &log})
		if err != nil {
			t.Fatal(err)
		}
		err = p.Ready(deadline(t, patience))
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Errorf("Ready: %v", err)
		}
		if p.Stop(); !strings.Contains(log.String(), "/nonexistent/admin") {
			t.Errorf("the output was not forwarded: %q", log.String())
		}
	})
	t.Run("when it is killed", func(t *testing.T) {
		err := envoy.Run(t.Context(), envoy.Options{Binary: script(t, "kill -9 $$"), Bootstrap: alone(t)})
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestRunReturnsNothingWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready := false
	err := envoy.Run(ctx, envoy.Options{Binary: binary(t), Bootstrap: alone(t), OnReady: func() { ready = true; cancel() }})
	if err != nil || !ready {
		t.Errorf("Run: %v, ready %v", err, ready)
	}
}

func TestAnEnvoyThatIgnoresSIGTERMIsKilledAfterTheGrace(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	stubborn := script(t, "trap '' TERM; : >"+started+"; while :; do sleep 0.05; done")
	p, err := envoy.Start(t.Context(), envoy.Options{Binary: stubborn, Bootstrap: alone(t), Grace: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for ctx := deadline(t, patience); ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(started); err == nil {
			break
		}
	}
	p.Stop()
	if _, ok := errors.AsType[*exec.ExitError](p.Wait()); !ok {
		t.Errorf("Wait: %v", p.Wait())
	}
}

func TestStartRefusesBadOptions(t *testing.T) {
	for name, change := range map[string]func(*envoy.Options){
		"no such binary":          func(o *envoy.Options) { o.Binary = "/nonexistent/envoy" },
		"drain time in parts":     func(o *envoy.Options) { o.DrainTime = 1500 * time.Millisecond },
		"negative drain time":     func(o *envoy.Options) { o.DrainTime = -time.Second },
		"no admin address":        func(o *envoy.Options) { o.Bootstrap.Admin = nil },
		"an invalid bootstrap":    func(o *envoy.Options) { o.Bootstrap.StaticResources.Clusters[0].Name = "" },
		"no bootstrap whatsoever": func(o *envoy.Options) { o.Bootstrap = nil },
	} {
		t.Run(name, func(t *testing.T) {
			o := envoy.Options{Binary: "/bin/true", Bootstrap: alone(t)}
			change(&o)
			if p, err := envoy.Start(t.Context(), o); err == nil {
				p.Stop()
				t.Error("no error")
			}
		})
	}
}
