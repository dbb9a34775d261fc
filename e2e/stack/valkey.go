package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// ValkeyOptions say how a Valkey server is made.
type ValkeyOptions struct {
	// Dir holds the data, the configuration and the log; it is made if it is not there. Data that an
	// earlier server left in it is loaded.
	Dir string
	// Port on 127.0.0.1; 0 means a free one. Not used with Socket.
	Port int
	// Socket is the absolute path of a unix socket, made with mode 0700, instead of a port.
	Socket string
	// Password is asked of every client; empty means none.
	Password string
	// Settings are configuration directives, which win over those of this package.
	Settings map[string]string
}

// Valkey is a running Valkey that loses nothing: every write is synced before it is answered.
type Valkey struct {
	// Network and Addr are what a client dials: "tcp" or "unix".
	Network, Addr string

	password string
	process  *process
}

// StartValkey starts a server and returns when it answers. ctx is for the start only; the server
// lives until Stop, Kill, or the end of this process. An error shows the end of the server's log.
func StartValkey(ctx context.Context, o ValkeyOptions) (*Valkey, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if !filepath.IsAbs(o.Dir) {
		return nil, fmt.Errorf("valkey: Dir must be an absolute path, got %q", o.Dir)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("valkey: %w", err)
	}
	server, err := Tool("valkey")
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		at := o
		if o.Socket == "" && o.Port == 0 {
			if at.Port, err = FreePort(ctx); err != nil {
				return nil, fmt.Errorf("valkey: %w", err)
			}
		}
		v, err := startValkeyAt(ctx, server, at)
		// Another process may have taken the free port first.
		if err == nil || at.Port == o.Port || attempt == portAttempts || !strings.Contains(err.Error(), "bind: Address already in use") {
			return v, err
		}
	}
}

func startValkeyAt(ctx context.Context, server string, o ValkeyOptions) (*Valkey, error) {
	config := filepath.Join(o.Dir, "valkey.conf")
	// In a file, since arguments can be read by everyone.
	if err := os.WriteFile(config, o.configuration(), 0o600); err != nil {
		return nil, fmt.Errorf("valkey: %w", err)
	}
	v := &Valkey{Network: "tcp", Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)), password: o.Password}
	if o.Socket != "" {
		v.Network, v.Addr = "unix", o.Socket
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), server, config)
	pr, err := startProcess("valkey", cmd, filepath.Join(o.Dir, "valkey.log"))
	if err != nil {
		return nil, err
	}
	v.process = pr
	client := redis.NewClient(v.Options())
	defer client.Close()
	// Dialled by hand first: the client logs each attempt that fails.
	var dialer net.Dialer
	err = pr.await(ctx, func(ctx context.Context) error {
		conn, err := dialer.DialContext(ctx, v.Network, v.Addr)
		if err != nil {
			return err
		}
		return errors.Join(conn.Close(), client.Ping(ctx).Err())
	})
	if err != nil {
		pr.kill()
		return nil, err
	}
	return v, nil
}

func (o ValkeyOptions) configuration() []byte {
	s := map[string]string{
		"bind":             "127.0.0.1",
		"port":             strconv.Itoa(o.Port),
		"dir":              o.Dir,
		"appendonly":       "yes",
		"appendfsync":      "always",
		"maxmemory-policy": "noeviction",
		"save":             "",
		"daemonize":        "no",
	}
	if o.Socket != "" {
		s["port"], s["unixsocket"], s["unixsocketperm"] = "0", o.Socket, "700"
	}
	if o.Password != "" {
		s["requirepass"] = o.Password
	}
	for name, value := range o.Settings {
		s[name] = value
	}
	lines := make([]string, 0, len(s))
	for name, value := range s {
		lines = append(lines, name+" "+strconv.Quote(value)+"\n")
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

// Options are those of a client of this server; the caller may change them.
func (v *Valkey) Options() *redis.Options {
	return &redis.Options{Network: v.Network, Addr: v.Addr, Password: v.password}
}

// LogFile is where the server writes its log.
func (v *Valkey) LogFile() string { return v.process.logFile }

// Done is closed when the server has exited.
func (v *Valkey) Done() <-chan struct{} { return v.process.done }

// Stop shuts the server down. Stopping twice is no error. The data stays in Dir.
func (v *Valkey) Stop() { v.process.stop(syscall.SIGTERM, stopGrace) }

// Kill ends the server at once, as a power cut does.
func (v *Valkey) Kill() { v.process.kill() }

// Pause freezes the server: connections stay open and nothing answers.
func (v *Valkey) Pause() { v.process.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (v *Valkey) Resume() { v.process.signal(syscall.SIGCONT) }
