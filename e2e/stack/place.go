package stack

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
)

// longestShortDir leaves 47 of the 107 bytes of a socket path for the name in the directory.
const longestShortDir = 60

// ShortDir makes a directory for unix sockets: mode 0700, with a path of at most 60 bytes, in
// os.TempDir or else in /tmp. The caller removes it.
func ShortDir() (string, error) {
	parent := os.TempDir()
	for _, try := range []string{parent, "/tmp"} {
		dir, err := os.MkdirTemp(try, "s")
		if err != nil {
			return "", fmt.Errorf("directory for sockets: %w", err)
		}
		if len(dir) <= longestShortDir {
			return dir, nil
		}
		if err := os.Remove(dir); err != nil {
			return "", fmt.Errorf("directory for sockets: %w", err)
		}
	}
	return "", fmt.Errorf("directory for sockets: the paths of %s and /tmp are too long", parent)
}

// given are the ports that FreePort gave: what gets two ports before it listens on the first must get two.
var given sync.Map

// FreePort is a TCP port on 127.0.0.1 that was free a moment ago, and another one each time. Another process may take it
// first: who must not fail then asks again.
func FreePort(ctx context.Context) (int, error) {
	for {
		port, err := freePort(ctx)
		if err != nil {
			return 0, err
		}
		if _, twice := given.LoadOrStore(port, true); !twice {
			return port, nil
		}
	}
}

func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("free port: %w", err)
	}
	defer l.Close()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("free port: %s is no TCP address", l.Addr())
	}
	return addr.Port, nil
}
