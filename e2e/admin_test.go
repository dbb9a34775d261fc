package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestEnvoysAdminIsNotOpenToEverybodyOnTheHost: through it whoever reaches it can turn on debug logging, which writes tokens.
func TestEnvoysAdminIsNotOpenToEverybodyOnTheHost(t *testing.T) {
	s := sharedStage(t)
	socket, ok := strings.CutPrefix(s.EnvoyAdmin, "unix:")
	if !ok {
		t.Fatalf("it is at %s", s.EnvoyAdmin)
	}
	for path, want := range map[string]os.FileMode{socket: 0o600, filepath.Dir(socket): 0o700} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
	ports := listening(t, s.Envoy.PID())
	if len(ports) == 0 {
		t.Fatal("no port of Envoy is found: the test sees nothing")
	}
	for _, port := range ports {
		for _, path := range []string{"/logging", "/config_dump", "/server_info"} {
			client := http.Client{Timeout: 5 * time.Second}
			res, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
			if err != nil {
				continue // it speaks no HTTP, or TLS
			}
			if res.StatusCode == http.StatusOK {
				t.Errorf("port %d answers %s: %s", port, path, res.Status)
			}
			_ = res.Body.Close()
		}
	}

	// Whoever runs the demo gets at it, as the README says.
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	res, err := client.Get("http://admin/ready")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if body, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(body), "LIVE") {
		t.Errorf("%q, %v", body, err)
	}
	client.CloseIdleConnections()
}

// listening are the TCP ports on which a process listens (proc(5)).
func listening(t *testing.T, pid int) []int {
	t.Helper()
	own := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil { // it may be closed by now
			own[to] = true
		}
	}
	var out []int
	for _, name := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, name))
		if err != nil {
			continue // a kernel without IPv6
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) < 10 || fields[3] != "0A" || !own["socket:["+fields[9]+"]"] { // 0A: LISTEN
				continue
			}
			port := 0
			if _, err := fmt.Sscanf(fields[1][strings.LastIndexByte(fields[1], ':')+1:], "%X", &port); err != nil {
				t.Fatal(err)
			}
			out = append(out, port)
		}
	}
	return out
}
