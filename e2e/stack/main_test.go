package stack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// helperDir makes the test binary a program that starts servers there and then waits to be killed.
const helperDir = "STACK_TEST_HELPER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		if err := startAndWait(dir); err != nil {
			fmt.Println(err)
		}
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func startAndWait(dir string) error {
	ctx := context.Background()
	p, err := StartPostgres(ctx, PostgresOptions{Dir: filepath.Join(dir, "p")})
	if err != nil {
		return err
	}
	v, err := StartValkey(ctx, ValkeyOptions{Dir: filepath.Join(dir, "v")})
	if err != nil {
		return err
	}
	fmt.Printf("started %d %d %s\n", p.process.pid, v.process.pid, p.SocketDir)
	select {}
}

func TestServersDieWithTheProcessThatStartedThem(t *testing.T) {
	Need(t, "postgresql", "valkey")
	helper := exec.CommandContext(t.Context(), os.Args[0])
	helper.Env = append(os.Environ(), helperDir+"="+NewShortDir(t))
	out, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	var postgres, valkey int
	var sockets string
	if _, scanErr := fmt.Sscanf(line, "started %d %d %s", &postgres, &valkey, &sockets); err != nil || scanErr != nil {
		t.Fatalf("the helper said %q: %v", line, errors.Join(err, scanErr))
	}
	defer os.RemoveAll(sockets)
	_ = helper.Process.Kill()
	_ = helper.Wait()
	for _, pid := range []int{postgres, valkey} {
		if !gone(pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Errorf("process %d outlived its parent", pid)
		}
	}
}

// gone waits until the process has ended; a zombie has.
func gone(pid int) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return true
		}
	}
	return false
}
