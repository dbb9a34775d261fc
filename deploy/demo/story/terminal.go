package story

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// terminal is a psql session that stays open, with what it printed so far.
type terminal struct {
	cmd *exec.Cmd
	in  io.WriteCloser

	mu   sync.Mutex
	text strings.Builder
	read int
	grow chan struct{}
}

func openTerminal(ctx context.Context, s *stage.Stage, as string) (*terminal, error) {
	cmd, err := s.PsqlCommand(ctx, as, "-X", "-v", "PROMPT1=", "-v", "PROMPT2=")
	if err != nil {
		return nil, err
	}
	t := &terminal{cmd: cmd, grow: make(chan struct{}, 1)}
	if t.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = t, t
	return t, cmd.Start()
}

// Write implements io.Writer for what psql prints.
func (t *terminal) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Write(b)
	select {
	case t.grow <- struct{}{}:
	default:
	}
	return len(b), nil
}

// send types a line.
func (t *terminal) send(line string) error {
	_, err := fmt.Fprintln(t.in, line)
	return err
}

// expect waits for words in what was printed since the last call, and returns that.
func (t *terminal) expect(ctx context.Context, words ...string) (string, error) {
	timeout := time.After(20 * time.Second)
	for {
		t.mu.Lock()
		fresh := t.text.String()[t.read:]
		all := true
		for _, w := range words {
			all = all && strings.Contains(fresh, w)
		}
		if all {
			t.read += len(fresh)
		}
		t.mu.Unlock()
		if all {
			return fresh, nil
		}
		select {
		case <-t.grow:
		case <-ctx.Done():
			return fresh, ctx.Err()
		case <-timeout:
			return fresh, fmt.Errorf("psql did not print %q, but:\n%s", words, fresh)
		}
	}
}

// ask types a statement and waits for words in its answer.
func (t *terminal) ask(ctx context.Context, statement string, words ...string) (string, error) {
	if err := t.send(statement); err != nil {
		return "", err
	}
	return t.expect(ctx, words...)
}

func (t *terminal) close() error {
	if err := t.in.Close(); err != nil {
		return err
	}
	return t.cmd.Wait()
}

// Tail is the end of a log file.
func Tail(path string) string {
	const most = 3000
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}
