package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"syscall"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
)

// Listen opens a socket for peers. A unix socket gets mode 0600; a stale one in its place is removed, but not one that
// somebody answers at. TCP connections are *tls.Conn whose handshake asks for a certificate of the CA; certificate, key
// and CA are read again when their files change, and connections that live stay.
func Listen(ctx context.Context, s *configv1.Socket) (net.Listener, error) {
	return ListenAs(ctx, "peer", s, slog.New(slog.DiscardHandler))
}

// ListenAs is Listen with a log of rotations, in which the socket has a name, such as "control.xds".
func ListenAs(ctx context.Context, name string, s *configv1.Socket, logger *slog.Logger) (net.Listener, error) {
	switch a := s.GetAddress().(type) {
	case *configv1.Socket_Unix:
		return listenUnix(ctx, a.Unix)
	case *configv1.Socket_Mtls:
		own, err := OpenFiles(name, a.Mtls, logger)
		if err != nil {
			return nil, err
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.Mtls.GetAddress())
		if err != nil {
			return nil, fmt.Errorf("peer: %w", err)
		}
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = own.Run(ctx) // it ends with ctx only
		}()
		return &renewing{Listener: tls.NewListener(l, own.Server()), cancel: cancel, done: done}, nil
	}
	return nil, errors.New("peer: no address to listen at")
}

// renewing is a listener that ends the watch over its files.
type renewing struct {
	net.Listener
	cancel context.CancelFunc
	done   chan struct{}
}

// Close implements net.Listener.
func (r *renewing) Close() error {
	r.cancel()
	<-r.done
	return r.Listener.Close()
}

func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, fmt.Errorf("peer: %s exists and is no socket", path)
		}
		if err := stale(ctx, path); err != nil {
			return nil, err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("peer: %w", err)
		}
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		// Linux gives the file the mode of the socket: nobody else can connect before the mode is set below.
		return errors.Join(c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), socketMode) }), err)
	}}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("peer: %w", err)
	}
	return l, nil
}

// socketMode lets nobody but the owner connect.
const socketMode = 0o600

// stale reports an error unless nobody listens at a socket any more. Whatever is no plain refusal, such as a full
// backlog, may be somebody.
func stale(ctx context.Context, path string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = c.Close()
		return fmt.Errorf("peer: somebody listens at %s already", path)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return fmt.Errorf("peer: somebody may listen at %s already: %w", path, err)
}
