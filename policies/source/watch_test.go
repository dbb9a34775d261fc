package source

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/policies"
)

const (
	first = `issuers:
- {name: corp, url: "http://127.0.0.1:9", audiences: [sluice]}
targets:
- name: orders
  listener: {address: 127.0.0.1, port: 15432}
  postgres: {endpoints: [{host: 127.0.0.1, port: 15999}], database: orders}
  credential: {static: {username: app, password: {env: PW}}}
`
	second = first + "rules:\n- {name: a, on: {targets: [orders]}, allow: {}}\n"
	broken = first + "rules:\n- {name: a, on"
)

// quick is patient enough for two busy cores, and polls never: what a test sees came from the file system.
func quick() pace {
	return pace{settle: 50 * time.Millisecond, patience: 500 * time.Millisecond, poll: time.Hour}
}

// still is longer than a change needs to be told.
const still = 900 * time.Millisecond

type watched struct {
	t    *testing.T
	told chan Result
}

func start(t *testing.T, dir string, p pace) *watched {
	t.Helper()
	w := &watched{t: t, told: make(chan Result, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		watch(ctx, dir, slog.New(slog.DiscardHandler), p, func(r Result) { w.told <- r })
	}()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

// rules waits for one call and returns how many rules it told of, -1 for faults.
func (w *watched) rules() int {
	w.t.Helper()
	select {
	case r := <-w.told:
		if r.Faults != nil {
			return -1
		}
		return len(r.Bundle.GetRules())
	case <-time.After(10 * time.Second):
		w.t.Fatal("nothing was told")
		return 0
	}
}

func (w *watched) want(rules int) {
	w.t.Helper()
	if got := w.rules(); got != rules {
		w.t.Fatalf("told of %d rules, want %d", got, rules)
	}
}

func (w *watched) wantSilence() {
	w.t.Helper()
	select {
	case r := <-w.told:
		w.t.Fatalf("told without need: %v %v", r.Bundle.GetRules(), r.Faults)
	case <-time.After(still):
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEachWayOfSavingIsToldOnce(t *testing.T) {
	t.Parallel()
	for name, save := range map[string]func(t *testing.T, dir string){
		"truncate and write": func(t *testing.T, dir string) { put(t, filepath.Join(dir, "a.yaml"), second) },
		"rename over, as vim and atomic writers do": func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, ".a.yaml.tmp"), second)
			must(t, os.Rename(filepath.Join(dir, ".a.yaml.tmp"), filepath.Join(dir, "a.yaml")))
		},
		"move away and write anew, as with a backup": func(t *testing.T, dir string) {
			must(t, os.Rename(filepath.Join(dir, "a.yaml"), filepath.Join(dir, "a.yaml~")))
			put(t, filepath.Join(dir, "a.yaml"), second)
		},
		"another file": func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "b.yaml"), strings.TrimPrefix(second, first))
		},
		"in pieces": func(t *testing.T, dir string) {
			f, err := os.OpenFile(filepath.Join(dir, "a.yaml"), os.O_WRONLY|os.O_TRUNC, 0o600)
			must(t, err)
			for _, piece := range []string{second[:40], second[40:300], second[300:]} {
				time.Sleep(120 * time.Millisecond)
				_, err := f.WriteString(piece)
				must(t, err)
			}
			must(t, f.Close())
		},
		"the directory replaced": func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir+".new", 0o700))
			put(t, filepath.Join(dir+".new", "a.yaml"), second)
			must(t, os.Rename(dir, dir+".old"))
			must(t, os.Rename(dir+".new", dir))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "policy")
			must(t, os.Mkdir(dir, 0o700))
			put(t, filepath.Join(dir, "a.yaml"), first)
			w := start(t, dir, quick())
			w.want(0)
			save(t, dir)
			w.want(1)
			w.wantSilence()

			// It goes on looking at what stands there now.
			put(t, filepath.Join(dir, "c.yaml"), "rules:\n- {name: c, on: {targets: [orders]}, deny: {}}\n")
			w.want(2)
		})
	}
}

func TestKubernetesSwapsALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	version := func(name, text string) {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		put(t, filepath.Join(dir, name, "a.yaml"), text)
	}
	swap := func(name string) {
		must(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	version("..v1", first)
	swap("..v1")
	must(t, os.Symlink("..data/a.yaml", filepath.Join(dir, "a.yaml")))
	w := start(t, dir, quick())
	w.want(0)
	version("..v2", second)
	swap("..v2")
	must(t, os.RemoveAll(filepath.Join(dir, "..v1")))
	w.want(1)
	w.wantSilence()
}

func TestFaultsAreToldOnceTheyStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	put(t, path, first)
	w := start(t, dir, quick())
	w.want(0)

	put(t, path, broken)
	w.want(-1)
	put(t, path, broken+" ") // other bytes, the same fault
	w.wantSilence()

	put(t, path, first) // back to what was before the fault: that is news
	w.want(0)
}

func TestAFaultThatPassesIsNotTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	put(t, path, first)
	w := start(t, dir, quick())
	w.want(0)
	for _, text := range []string{"", broken, first, "# only a comment changed\n" + first} {
		put(t, path, text)
		time.Sleep(150 * time.Millisecond)
	}
	w.wantSilence()
}

func TestOtherFilesAreNoNews(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a.yaml"), first)
	w := start(t, dir, quick())
	w.want(0)
	put(t, filepath.Join(dir, "README.md"), "x")
	put(t, filepath.Join(dir, ".a.yaml.swp"), "x")
	w.wantSilence()
}

func TestADirectoryThatComesLater(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "policy")
	w := start(t, dir, quick())
	w.want(-1)
	must(t, os.Mkdir(dir, 0o700))
	put(t, filepath.Join(dir, "a.yaml"), first)
	w.want(0)
	put(t, filepath.Join(dir, "a.yaml"), second)
	w.want(1)
}

func TestPollingFindsWhatNobodyTells(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	for name, text := range map[string]string{"v1": first, "v2": second} {
		must(t, os.MkdirAll(filepath.Join(base, name, "policy"), 0o700))
		put(t, filepath.Join(base, name, "policy", "a.yaml"), text)
	}
	must(t, os.Symlink("v1", filepath.Join(base, "now")))
	p := quick()
	p.poll = 100 * time.Millisecond
	// A link two levels up is watched by nobody.
	w := start(t, filepath.Join(base, "now", "policy"), p)
	w.want(0)
	must(t, os.Symlink("v2", filepath.Join(base, "next")))
	must(t, os.Rename(filepath.Join(base, "next"), filepath.Join(base, "now")))
	w.want(1)
}

func TestFaultsOfALaterStepAreLocated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a.yaml"), "# a comment\n"+second)
	w := start(t, dir, quick())
	got := (<-w.told).Locate(faultOf("targets[0].postgres.via", "needs an egress directory")).Error()
	if want := "a.yaml:7:3: targets[0].postgres.via: needs an egress directory"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func faultOf(field, message string) policies.Faults {
	return policies.Faults{{Field: field, Message: message}}
}
