package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicegate/sluice/policies/source"
)

func TestSecretsOfARefusedTreeNeverCount(t *testing.T) {
	dir := t.TempDir()
	tree := func(name, policy, secret string) (version string) {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(at, 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{"policy.yaml": policy, "secret": secret} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(at, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if b, _, err := source.Load(t.Context(), at); err == nil {
			version = b.GetVersion()
		}
		return version
	}
	issuer := func(name string) string {
		return "issuers: [{name: " + name + ", url: \"https://idp.example\", audiences: [a]}]\n"
	}
	current := filepath.Join(dir, "current")
	point := func(name string) {
		t.Helper()
		if err := os.Symlink(filepath.Join(dir, name), current+".next"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(current+".next", current); err != nil {
			t.Fatal(err)
		}
	}
	good := tree("good", issuer("a"), "good")
	renewed := tree("renewed", issuer("a"), "renewed")
	other := tree("other", issuer("b"), "other")
	tree("broken", "nonsense: 1\n", "broken")
	tree("bare", "nonsense: 1\n", "")
	tree("secrets", "", "secrets")
	if good == "" || good != renewed || other == good {
		t.Fatal(good, renewed, other)
	}
	var force []string
	s := &secretTree{dir: current, logger: slog.New(slog.DiscardHandler), versions: func() []string { return force }}
	reads := func(want string) {
		t.Helper()
		got, err := s.readFile(filepath.Join(current, "secret"))
		if err != nil || string(got) != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	point("good")
	reads("good") // nothing is in force yet
	force = []string{good}
	reads("good")
	for _, refused := range []string{"broken", "bare", "other"} {
		point(refused)
		reads("good")
		reads("good")
	}
	force = append(force, other) // as it comes into force, both count
	time.Sleep(judgeEvery)
	reads("other")
	force = []string{good}
	point("renewed") // the same policy, new secrets: at once
	reads("renewed")
	point("secrets") // a directory of secrets alone is always the one
	reads("secrets")
	if err := os.Remove(current); err != nil {
		t.Fatal(err)
	}
	reads("secrets")
	if got, err := s.readFile(filepath.Join(dir, "good", "secret")); err != nil || string(got) != "good" {
		t.Errorf("a file elsewhere: %q, %v", got, err)
	}
}
