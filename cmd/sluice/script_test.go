package main

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts run the command itself, as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sluice": func() { os.Exit(run(context.Background(), os.Stdin, os.Stdout, os.Stderr, os.Args[1:])) },
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}

func TestExitStatuses(t *testing.T) {
	t.Setenv("SLUICE_API", "")
	t.Setenv("SLUICE_TOKEN", "")
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"help is asked for", []string{"--help"}, exitDone},
		{"no command", nil, exitUsage},
		{"an unknown flag", []string{"version", "--nope"}, exitUsage},
		{"no API", []string{"approvals", "list"}, exitUsage},
		{"no keys to verify with", []string{"audit", "verify", t.TempDir()}, exitUsage},
		{"an API that is not there", []string{"xds", "status", "--api", "http://127.0.0.1:1", "--token", "t"}, exitRefused},
		{"a policy with faults", []string{"policy", "check", t.TempDir()}, exitRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := run(t.Context(), strings.NewReader(""), io.Discard, io.Discard, c.args); got != c.want {
				t.Errorf("status %d, want %d", got, c.want)
			}
		})
	}
}
