package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/e2e/stack"
)

// TestTheReadmesCommandsWork runs each bash block of the README in order, as somebody would who has `make up` running.
func TestTheReadmesCommandsWork(t *testing.T) {
	stack.Need(t, "python")
	root, err := stack.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := bashBlocks(string(text))
	want := [][]string{
		{"[masked]", "***@example.com"},
		{"(1000, True)"},
		{`"password":"[masked]"`},
		{"is good", "hold by", "refunds-need-two", "ACKED"},
		{"pending", "delete from orders where id = 17", "is approved", "DELETE 1"},
		{"demo:agent", "good: nothing was changed"},
	}
	if len(blocks) != len(want) {
		t.Fatalf("the README has %d bash blocks, %d are expected", len(blocks), len(want))
	}
	s := ownStage(t, stage.Options{})
	for i, block := range blocks {
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", block)
		cmd.Dir = root
		cmd.WaitDelay = 5 * time.Second // a command in the background must not keep a failed block open
		cmd.Env = append(os.Environ(), "SLUICE_DEMO_DIR="+s.Dir,
			"PATH="+filepath.Join(root, ".tools", "postgresql", "bin")+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("block %d: %v\n%s\n---\n%s", i+1, err, block, out)
		}
		for _, w := range want[i] {
			if !strings.Contains(string(out), w) {
				t.Errorf("block %d: %q is missing in:\n%s", i+1, w, out)
			}
		}
		if strings.Contains(string(out), "secret-password") {
			t.Errorf("block %d shows a secret:\n%s", i+1, out)
		}
	}
}

// bashBlocks are the fenced blocks that are to be run.
func bashBlocks(text string) (blocks []string) {
	for {
		_, after, ok := strings.Cut(text, "```bash\n")
		if !ok {
			return blocks
		}
		block, rest, ok := strings.Cut(after, "\n```")
		if !ok {
			return blocks
		}
		blocks, text = append(blocks, block), rest
	}
}
