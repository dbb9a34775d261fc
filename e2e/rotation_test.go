package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicegate/sluice/deploy/demo/stage"
	"github.com/sluicegate/sluice/e2e/stack"
	"github.com/sluicegate/sluice/envoy"
)

// mesh is a control plane, a processor and an Envoy as processes of their own that know each other by mutual TLS.
type mesh struct {
	t       *testing.T
	s       *stage.Stage
	dir     string
	parts   map[string]string // a part's role and id
	pg, xds int
	control *exec.Cmd
	process *exec.Cmd
}

func newMesh(t *testing.T) *mesh {
	t.Helper()
	m := &mesh{t: t, s: sharedStage(t), dir: t.TempDir(), pg: freePort(t), xds: freePort(t), parts: map[string]string{
		"control": "control/c1", "process": "process/p1", "envoy": "envoy/edge-1",
	}}
	for part := range m.parts {
		if err := os.MkdirAll(filepath.Join(m.dir, part), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	authority := m.authority("first")
	for part := range m.parts {
		m.issue(authority, part)
		m.trust(part, authority)
	}
	m.policy()
	processor, api, controlAPI := freePort(t), freePort(t), freePort(t)
	own := func(part string) string {
		return fmt.Sprintf("cert: %[1]s/%[2]s/own.pem, key: %[1]s/%[2]s/own.key, ca: %[1]s/%[2]s/ca.pem", m.dir, part)
	}
	short := stack.NewShortDir(t)
	m.write("control.yaml", fmt.Sprintf(`
state_dir: %[1]s/control/state
roles: [CONTROL]
control:
  xds: {mtls: {address: "127.0.0.1:%[2]d", %[3]s}}
  policy_dir: %[1]s/policy
  egress_dir: %[4]s
  postgres: {mtls: {address: "127.0.0.1:%[5]d", %[6]s}}
  http: {unix: %[4]s/h}
api: {listen: "127.0.0.1:%[7]d"}
`, m.dir, m.xds, own("control"), short, processor, own("envoy"), controlAPI))
	m.write("process.yaml", fmt.Sprintf(`
state_dir: %[1]s/process/state
roles: [PROCESS]
process:
  id: p1
  secrets_dir: %[1]s/policy
  egress_dir: %[2]s
  xds: {mtls: {address: "127.0.0.1:%[3]d", %[4]s}}
  postgres: {mtls: {address: "127.0.0.1:%[5]d", %[4]s}}
api: {listen: "127.0.0.1:%[6]d"}
`, m.dir, short, m.xds, own("process"), processor, api))
	m.control, m.process = m.start("control", controlAPI), m.start("process", api)
	m.startEnvoy(short)
	return m
}

func (m *mesh) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// policy is the stage's, at another port and without HTTP.
func (m *mesh) policy() {
	m.t.Helper()
	if err := os.CopyFS(filepath.Join(m.dir, "policy"), os.DirFS(m.s.PolicyDir)); err != nil {
		m.t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(m.dir, "policy"))
	if err != nil {
		m.t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(m.dir, "policy", e.Name())
		if strings.Contains(e.Name(), "http") {
			if err := os.Remove(path); err != nil {
				m.t.Fatal(err)
			}
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			m.t.Fatal(err)
		}
		m.write("policy/"+e.Name(), strings.ReplaceAll(string(text), fmt.Sprint(m.s.Port), fmt.Sprint(m.pg)))
	}
}

func (m *mesh) authority(name string) *stack.Certs {
	m.t.Helper()
	c, err := stack.NewCerts(filepath.Join(m.dir, "authority-"+name), time.Now())
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

// issue renews a part's certificate and key, as an agent on its host would: each by renaming.
func (m *mesh) issue(c *stack.Certs, part string) {
	m.t.Helper()
	f, err := c.Issue(part, stack.Leaf{Names: []string{"spiffe://example.test/sluice/" + m.parts[part], "127.0.0.1"}})
	if err != nil {
		m.t.Fatal(err)
	}
	for from, name := range map[string]string{f.Cert: "own.pem", f.Key: "own.key"} {
		if err := os.Rename(from, filepath.Join(m.dir, part, name)); err != nil {
			m.t.Fatal(err)
		}
	}
}

// trust says whose certificates a part takes.
func (m *mesh) trust(part string, authorities ...*stack.Certs) {
	m.t.Helper()
	var all bytes.Buffer
	for _, c := range authorities {
		text, err := os.ReadFile(c.CAFile())
		if err != nil {
			m.t.Fatal(err)
		}
		all.Write(text)
	}
	m.write(part+"/ca.next", all.String())
	if err := os.Rename(filepath.Join(m.dir, part, "ca.next"), filepath.Join(m.dir, part, "ca.pem")); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mesh) log(part string) string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, part+".log"))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// start runs a part until the test ends or stops it.
func (m *mesh) start(part string, api int) *exec.Cmd {
	m.t.Helper()
	log, err := os.OpenFile(filepath.Join(m.dir, part+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(m.s.Binary, "serve", "--config", filepath.Join(m.dir, part+".yaml"))
	cmd.Env = append(os.Environ(), "ORDERS_PASSWORD=the-real-database-password")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { m.stop(cmd) })
	m.eventually(part+" is ready", func() error {
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", api))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	})
	return cmd
}

func (m *mesh) stop(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	late := time.AfterFunc(25*time.Second, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	_ = cmd.Wait() // what it said is in its log
}

func (m *mesh) startEnvoy(short string) {
	m.t.Helper()
	own := filepath.Join(m.dir, "envoy")
	config := envoy.Config{
		NodeID: "edge-1", Cluster: "edge", Admin: envoy.Admin{Socket: filepath.Join(short, "a")},
		XDS: envoy.XDS{Address: fmt.Sprintf("127.0.0.1:%d", m.xds), TLS: &envoy.TLS{
			Certificate: filepath.Join(own, "own.pem"), Key: filepath.Join(own, "own.key"), CA: filepath.Join(own, "ca.pem"),
			ServerSAN: "spiffe://example.test/sluice/control/c1", SecretsDir: own,
		}},
	}
	files, err := envoy.Secrets(config)
	if err != nil {
		m.t.Fatal(err)
	}
	for name, text := range files {
		m.write("envoy/"+name, string(text))
	}
	bootstrap, err := envoy.Bootstrap(config)
	if err != nil {
		m.t.Fatal(err)
	}
	stack.NewEnvoy(m.t, stack.EnvoyOptions{Bootstrap: bootstrap, DrainTime: drain})
}

func (m *mesh) eventually(what string, try func() error) {
	m.t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	m.t.Fatalf("%s: %v\ncontrol: %.3000s\nprocess: %.3000s", what, err, m.log("control"), m.log("process"))
}

// logs waits until a part's log has so many lines with all the words.
func (m *mesh) logs(part string, n int, words ...string) {
	m.t.Helper()
	m.eventually(fmt.Sprintf("%d lines of %s with %q", n, part, words), func() error {
		found := 0
		for line := range strings.Lines(m.log(part)) {
			all := true
			for _, w := range words {
				all = all && strings.Contains(line, w)
			}
			if all {
				found++
			}
		}
		if found < n {
			return fmt.Errorf("%d", found)
		}
		return nil
	})
}

func (m *mesh) connect(ctx context.Context, token string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d dbname=orders user=agent sslmode=require", m.pg))
	if err != nil {
		return nil, err
	}
	cfg.Password = token
	return pgx.ConnectConfig(ctx, cfg)
}

// load keeps sessions busy, and opens new ones, until stop, which gives what went wrong.
func (m *mesh) load(token string, sessions int) (stop func() (lost []error, answers, opened int64)) {
	m.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var mu sync.Mutex
	var lost []error
	var answers, opened atomic.Int64
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		lost = append(lost, err)
	}
	for range sessions {
		c, err := m.connect(m.t.Context(), token)
		if err != nil {
			m.t.Fatal(err)
		}
		wg.Go(func() {
			defer c.Close(context.Background())
			for n := 0; ctx.Err() == nil; n++ {
				var got int
				if err := c.QueryRow(context.Background(), "select $1::int", n).Scan(&got); err != nil || got != n {
					fail(fmt.Errorf("a live session: %d, %w", got, err))
					return
				}
				answers.Add(1)
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			c, err := m.connect(context.Background(), token)
			if err != nil {
				fail(fmt.Errorf("a new session: %w", err))
				continue
			}
			opened.Add(1)
			_ = c.Close(context.Background())
			time.Sleep(20 * time.Millisecond)
		}
	})
	return func() ([]error, int64, int64) {
		cancel()
		wg.Wait()
		return lost, answers.Load(), opened.Load()
	}
}

// Daily certificates: certificates, keys and authorities of all three are renewed under load, and then the old authority
// is trusted by nobody. What connects anew after that shows that each end uses the new files.
func TestEachCertificateOfAMeshIsRenewedUnderLoadAndNoSessionIsLost(t *testing.T) {
	m := newMesh(t)
	token, err := m.s.Token(t.Context(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	m.eventually("a first session", func() error {
		c, err := m.connect(t.Context(), token)
		if err != nil {
			return err
		}
		return c.Close(t.Context())
	})
	stop := m.load(token, 8)
	second := m.authority("second")
	first := m.parts
	for part := range first {
		text, err := os.ReadFile(filepath.Join(m.dir, part, "ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		added, err := os.ReadFile(second.CAFile())
		if err != nil {
			t.Fatal(err)
		}
		m.write(part+"/ca.next", string(text)+string(added))
		if err := os.Rename(filepath.Join(m.dir, part, "ca.next"), filepath.Join(m.dir, part, "ca.pem")); err != nil {
			t.Fatal(err)
		}
	}
	m.logs("control", 1, "rotation done", "control.xds")
	m.logs("process", 1, "rotation done", "process.postgres")
	time.Sleep(time.Second) // Envoy writes no line of it
	m.issue(second, "process")
	m.logs("process", 2, "rotation done", "process.postgres")
	m.issue(second, "control")
	m.logs("control", 2, "rotation done", "control.xds")
	m.issue(second, "envoy")
	time.Sleep(time.Second)
	for part := range m.parts {
		m.trust(part, second)
	}
	m.logs("process", 3, "rotation done", "process.postgres")
	m.logs("process", 3, "rotation done", "process.xds")
	m.logs("control", 3, "rotation done", "control.xds")
	time.Sleep(time.Second)
	for _, cmd := range []*exec.Cmd{m.control, m.process} { // an operator's habit, which ended the process once
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	m.logs("control", 1, "reloading")
	m.logs("process", 1, "reloading")

	// Both come back to a control plane that starts anew.
	m.stop(m.control)
	seen := strings.Count(m.log("control"), "xds node connected")
	m.control = m.start("control", m.apiOf("control"))
	m.logs("control", seen+2, "xds node connected")
	if log := m.log("control"); strings.Contains(log, "xds push refused") {
		t.Errorf("something was refused: %s", log)
	}
	lost, answers, opened := stop()
	t.Logf("%d answers in 8 live sessions, %d sessions opened", answers, opened)
	if len(lost) > 0 || answers < 100 || opened < 10 {
		t.Errorf("%d lost, the first: %v", len(lost), lost)
	}
}

// apiOf is the port in a part's configuration.
func (m *mesh) apiOf(part string) int {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, part+".yaml"))
	if err != nil {
		m.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "api: {listen: \"127.0.0.1:")
	port := 0
	if _, err := fmt.Sscanf(after, "%d", &port); err != nil {
		m.t.Fatal(err)
	}
	return port
}
