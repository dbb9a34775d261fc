package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBashCompletes asks bash itself, as it asks when somebody presses TAB behind the last word.
func TestBashCompletes(t *testing.T) {
	var script bytes.Buffer
	if code := run(t.Context(), strings.NewReader(""), &script, os.Stderr, []string{"completion", "bash"}); code != exitDone {
		t.Fatal(code)
	}
	file := filepath.Join(t.TempDir(), "completion")
	if err := os.WriteFile(file, script.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, c := range map[string]struct{ want, not string }{
		"":                                  {"approvals approve audit completion --help", "list"},
		"appro":                             {"approvals approve", "audit"},
		"approvals ":                        {"list show watch --state --output", "approve"},
		"approvals --state ":                {"all pending consumed", "list"},
		"approvals list --state ":           {"all pending consumed", "--limit"},
		"approvals list --state p":          {"pending", "all"},
		"approvals list --state = ":         {"pending", "--limit"},
		"approvals list --state = p":        {"pending", "all"},
		"approvals list --state =":          {"pending", "--limit"},
		"approvals list --state pending ":   {"--limit --output", "all"},
		"approvals list --state pending --": {"--limit --output", "all"},
		"approvals list -o ":                {"text json", "--limit"},
		"approvals list -o json --l":        {"--limit", "--state"},
		"approvals show 4711 ":              {"--output", "list"},
		"approve 4711 --reason approvals ":  {"--yes-to --output", "list"},
		"sessions --limit 5 ":               {"--state --target", "approve"},
		"sessions list --state ":            {"all live ended", "pending"},
		"serve --config sluice.yaml ":       {"--log-level", "approvals"},
		"serve --config ":                   {"", "--log-level"},
		"serve --log-level ":                {"debug info warn error", "--config"},
		"policy check ":                     {"", "--config"},
		"policy check -":                    {"--config --no-files", "detectors"},
		"policy check policy --no-files --": {"--config --live", "detectors"},
		"completion ":                       {"bash zsh fish", "approvals"},
	} {
		words := strings.Split("sluice "+line, " ")
		program := `. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sluice; echo "${COMPREPLY[@]}"`
		out, err := exec.CommandContext(t.Context(), "bash", append([]string{"--norc", "-c", program, file}, words...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v: %s", line, err, out)
		}
		got := strings.Fields(string(out))
		for _, w := range strings.Fields(c.want) {
			if !slices.Contains(got, w) {
				t.Errorf("%q: %s is not offered: %s", line, w, out)
			}
		}
		if slices.Contains(got, c.not) || c.want == "" && len(got) > 0 {
			t.Errorf("%q: %s is offered: %s", line, c.not, out)
		}
	}
}
