package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// child starts this program again as a part of the bench, so that its memory and its garbage are its own, as sluice's
// are. It returns the process id when the part listens.
func (p *place) child(part, address string) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, "-child", part, "-address", address) //nolint:noctx // it ends with the place
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	p.stops = append(p.stops, func() {
		_ = cmd.Process.Kill() // nothing of it is lost
		<-ended
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial(networkOf(part), address) //nolint:noctx // loopback: it is there or it is not
		if err == nil {
			return cmd.Process.Pid, conn.Close()
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("%s does not listen: %w", part, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func networkOf(part string) string {
	if part == "noop" {
		return "unix"
	}
	return "tcp"
}

// beChild is a part of the bench until the context ends.
func beChild(ctx context.Context, part, address string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, networkOf(part), address)
	if err != nil {
		return err
	}
	switch part {
	case "service":
		return serveService(ctx, l)
	case "noop":
		return serveNoop(ctx, l)
	}
	return fmt.Errorf("there is no part %q", part)
}
