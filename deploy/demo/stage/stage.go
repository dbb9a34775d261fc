package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluicegate/sluice/authz/identity/devidp"
	"github.com/sluicegate/sluice/e2e/stack"
	"github.com/sluicegate/sluice/envoy"
)

// Options say what kind of stage.
type Options struct {
	// Dir holds everything that the stage writes; it is emptied first.
	Dir string
	// PortBase counts the ports; 0 takes free ones.
	PortBase int
	// Via is how Sluice reaches the database: ENVOY (default) or DIRECT.
	Via string
	// Plaintext leaves TLS out on both sides, for measuring.
	Plaintext bool
	// Binary is the sluice command. Default: $SLUICE_BINARY, such as one with the race detector, or bin/sluice of the clone.
	Binary string
	// Settings of the target PostgreSQL.
	Settings map[string]string
	// SQL is run by the superuser in the database orders, after the sample data.
	SQL string
}

// Stage is everything, running.
type Stage struct {
	Dir string
	// PG is the libpq connection string for the agent through Envoy, without a password; Direct that of the target's
	// superuser.
	PG, Direct string
	// Wide is host:port of a plaintext listener on the same database, on which agents may do nearly everything.
	Wide string
	// API and IDP are base URLs. EnvoyAdmin is unix:PATH: whoever can reach it can have Envoy log what it carries, tokens too.
	API, IDP, EnvoyAdmin string
	// PolicyDir is watched; Recordings is where the record is.
	PolicyDir, Recordings string
	// HTTP is the base URL of the demo's API through Envoy, HTTPCA what its certificate is verified with, HTTPDirect the
	// API itself.
	HTTP, HTTPCA, HTTPDirect string
	// Binary is the sluice command.
	Binary string
	// CA is what agents verify the gateway's certificate with; Port is Envoy's listener.
	CA   string
	Port int

	Postgres *stack.Postgres
	Valkey   *stack.Valkey
	Envoy    *stack.Envoy

	sluice, idp *process
	service     *httpService
	gateway     stack.Files
	sockets     string
	config      string
}

// Start sets everything up and returns when a client could use it. The context bounds the start only.
func Start(ctx context.Context, o Options) (_ *Stage, err error) {
	s := &Stage{Dir: o.Dir, Binary: o.Binary}
	if s.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	if s.Binary == "" {
		s.Binary = os.Getenv("SLUICE_BINARY")
	}
	if s.Binary == "" {
		root, err := stack.Root()
		if err != nil {
			return nil, err
		}
		s.Binary = filepath.Join(root, "bin", "sluice")
	}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	p, err := choosePorts(ctx, o.PortBase)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	if err := s.startServers(ctx, o, p); err != nil {
		return nil, err
	}
	if err := s.startService(ctx, p); err != nil {
		return nil, err
	}
	if err := s.startIDP(ctx, p); err != nil {
		return nil, err
	}
	via := o.Via
	if via == "" {
		via = "ENVOY"
	}
	err = writePolicy(s.PolicyDir, values{
		Issuer: s.IDP, ListenAddr: "127.0.0.1", ListenPort: p.listener, WidePort: p.wide, DatabasePort: p.database,
		DatabaseCA: s.Postgres.CAFile(), Via: via, Plaintext: o.Plaintext,
		HTTPPort: p.http, ServicePort: p.service, HTTPCA: s.HTTPCA, GatewayCert: s.gateway.Cert, GatewayKey: s.gateway.Key,
	})
	if err != nil {
		return nil, err
	}
	if err := s.startSluice(ctx, p); err != nil {
		return nil, err
	}
	if err := s.startEnvoy(ctx, o, p); err != nil {
		return nil, err
	}
	return s, s.ready(ctx)
}

// prepare empties the directory and makes what must be there.
func (s *Stage) prepare() (err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	s.PolicyDir = filepath.Join(s.Dir, "policy")
	s.Recordings = filepath.Join(s.Dir, "state", "recordings")
	for _, name := range []string{"env", "policy", "state", "idp", "postgresql", "valkey", "log", "certs", "sluice.yaml"} {
		if err := os.RemoveAll(filepath.Join(s.Dir, name)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(s.Dir, "log"), 0o700); err != nil {
		return err
	}
	s.sockets, err = stack.ShortDir()
	return err
}

func (s *Stage) logFile(name string) string { return filepath.Join(s.Dir, "log", name+".log") }

// startServers starts the target and Valkey.
func (s *Stage) startServers(ctx context.Context, o Options, p ports) (err error) {
	sql, err := files.ReadFile("sample.sql")
	if err != nil {
		return err
	}
	s.Postgres, err = stack.StartPostgres(ctx, stack.PostgresOptions{
		Dir: filepath.Join(s.Dir, "postgresql"), Port: p.database, TLS: true, Settings: o.Settings, InitSQL: string(sql) + o.SQL,
	})
	if err != nil {
		return err
	}
	s.Direct = s.Postgres.Superuser("orders")
	s.Valkey, err = stack.StartValkey(ctx, stack.ValkeyOptions{Dir: filepath.Join(s.Dir, "valkey"), Socket: filepath.Join(s.sockets, "valkey.sock")})
	return err
}

func (s *Stage) startIDP(ctx context.Context, p ports) (err error) {
	listen := fmt.Sprintf("127.0.0.1:%d", p.idp)
	s.IDP = "http://" + listen
	s.idp, err = start("sluice dev idp", s.logFile("idp"), nil, s.Binary, "dev", "idp", "--listen", listen, "--dir", filepath.Join(s.Dir, "idp"))
	if err != nil {
		return err
	}
	return s.idp.wait(ctx, "discovery", func(ctx context.Context) error { return get(ctx, s.IDP+"/.well-known/openid-configuration") })
}

func (s *Stage) startSluice(ctx context.Context, p ports) error {
	s.API = fmt.Sprintf("http://127.0.0.1:%d", p.api)
	s.config = filepath.Join(s.Dir, "sluice.yaml")
	config := fmt.Sprintf(`state_dir: %q
control:
  xds: {unix: %q}
  policy_dir: %q
  egress_dir: %q
process:
  id: p1
  postgres: {unix: %q}
  http: {unix: %q}
redis: {unix: %q}
api: {listen: "127.0.0.1:%d"}
`, filepath.Join(s.Dir, "state"), s.xdsSocket(), s.PolicyDir, filepath.Join(s.sockets, "egress"),
		s.ProcessorSocket(), filepath.Join(s.sockets, "http.sock"), filepath.Join(s.sockets, "valkey.sock"), p.api)
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		return err
	}
	return s.StartSluice(ctx)
}

// ProcessorSocket is where Envoy hands connections over.
func (s *Stage) ProcessorSocket() string { return filepath.Join(s.sockets, "postgres.sock") }

func (s *Stage) xdsSocket() string { return filepath.Join(s.sockets, "xds.sock") }

// StartSluice starts the sluice process; after StopSluice or KillSluice, again.
func (s *Stage) StartSluice(ctx context.Context) (err error) {
	env := []string{"ORDERS_PASSWORD=the-real-database-password", "SHOP_TOKEN=" + apiToken}
	if s.sluice, err = start("sluice serve", s.logFile("sluice"), env, s.Binary, "serve", "--config", s.config); err != nil {
		return err
	}
	return s.sluice.wait(ctx, "ready", func(ctx context.Context) error { return get(ctx, s.API+"/readyz") })
}

// StopSluice ends the sluice process as an operator would.
func (s *Stage) StopSluice() { s.sluice.stop(30 * time.Second) }

// KillSluice ends the sluice process at once, as kill -9 does.
func (s *Stage) KillSluice() {
	_ = s.sluice.cmd.Process.Kill() // it may have ended
	<-s.sluice.done
}

// SluicePID is the process id, for measuring.
func (s *Stage) SluicePID() int { return s.sluice.cmd.Process.Pid }

// SluiceLog is the log of the sluice process.
func (s *Stage) SluiceLog() string { return s.logFile("sluice") }

func (s *Stage) startEnvoy(ctx context.Context, o Options, p ports) error {
	config := envoy.Default()
	config.NodeID = "envoy-1"
	config.XDS = envoy.XDS{Socket: s.xdsSocket()}
	config.Admin = envoy.Admin{Socket: filepath.Join(s.sockets, "envoy-admin.sock")}
	s.EnvoyAdmin = "unix:" + config.Admin.Socket
	bootstrap, err := envoy.Bootstrap(config)
	if err != nil {
		return err
	}
	s.Envoy, err = stack.StartEnvoy(ctx, stack.EnvoyOptions{Bootstrap: bootstrap, LogFile: s.logFile("envoy"), DrainTime: 5 * time.Second})
	if err != nil {
		return err
	}
	s.Port = p.listener
	s.Wide = fmt.Sprintf("127.0.0.1:%d", p.wide)
	s.CA = filepath.Join(s.Dir, "state", "tls", "ca.pem")
	s.PG = fmt.Sprintf("host=127.0.0.1 port=%d dbname=orders user=agent ", p.listener)
	if o.Plaintext {
		s.PG += "sslmode=disable"
	} else {
		s.PG += "sslmode=verify-full sslrootcert=" + s.CA
	}
	return s.Envoy.Ready(ctx)
}

// ready waits until a client gets an answer through everything, and writes the env file.
func (s *Stage) ready(ctx context.Context) error {
	err := s.sluice.wait(ctx, "a first query", func(ctx context.Context) error {
		out, err := s.Psql(ctx, "agent", "select 1")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.writeEnv()
}

// Psql runs psql as somebody, through Envoy, and returns what it prints on both streams.
func (s *Stage) Psql(ctx context.Context, as string, args ...string) (string, error) {
	cmd, err := s.PsqlCommand(ctx, as, "-AtXc", strings.Join(args, " "))
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// PsqlCommand is psql as somebody, through Envoy.
func (s *Stage) PsqlCommand(ctx context.Context, as string, args ...string) (*exec.Cmd, error) {
	psql, err := stack.PostgresTool("psql")
	if err != nil {
		return nil, err
	}
	token, err := s.Token(ctx, as)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, psql, append(args, s.PG)...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+token)
	return cmd, nil
}

// Token is a token of one of the demo's people.
func (s *Stage) Token(ctx context.Context, name string) (string, error) {
	secret, err := devidp.Secret(filepath.Join(s.Dir, "idp"), name)
	if err != nil {
		return "", err
	}
	return devidp.Fetch(ctx, http.DefaultClient, s.IDP, name, secret)
}

// Command is the sluice command as somebody.
func (s *Stage) Command(ctx context.Context, as string, args ...string) (*exec.Cmd, error) {
	token, err := s.Token(ctx, as)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, s.Binary, args...)
	cmd.Env = append(os.Environ(), "SLUICE_API="+s.API, "SLUICE_TOKEN="+token)
	return cmd, nil
}

// Sluice runs the sluice command as somebody and returns what it prints on both streams.
func (s *Stage) Sluice(ctx context.Context, as string, args ...string) (string, error) {
	cmd, err := s.Command(ctx, as, args...)
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Metrics are those of the sluice process, as an auditor sees them.
func (s *Stage) Metrics(ctx context.Context) (string, error) {
	token, err := s.Token(ctx, "carol")
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.API+"/metrics", http.NoBody)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("metrics: %s: %s", res.Status, body)
	}
	return string(body), nil
}

// writeEnv writes what a shell needs, export KEY="value" a line, in one move: who sees it sees all of it.
func (s *Stage) writeEnv() error {
	var b strings.Builder
	for _, kv := range [][2]string{
		{"SLUICE_PG", s.PG},
		{"SLUICE_PG_DIRECT", s.Direct},
		{"SLUICE_PG_WIDE", s.Wide},
		{"SLUICE_API", s.API},
		{"SLUICE_IDP", s.IDP},
		{"SLUICE_ENVOY_ADMIN", s.EnvoyAdmin},
		{"SLUICE_POLICY_DIR", s.PolicyDir},
		{"SLUICE_RECORDINGS", s.Recordings},
		{"SLUICE_HTTP", s.HTTP},
		{"SLUICE_HTTP_CA", s.HTTPCA},
		{"SLUICE_HTTP_DIRECT", s.HTTPDirect},
		{"SLUICE_HTTP_TOKEN", apiToken},
		{"SLUICE_DEMO_DIR", s.Dir},
	} {
		fmt.Fprintf(&b, "export %s=\"%s\"\n", kv[0], strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(kv[1]))
	}
	path := filepath.Join(s.Dir, "env")
	if err := os.WriteFile(path+".new", []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Done is closed when some part of the stage has ended by itself.
func (s *Stage) Done() <-chan string {
	ended := make(chan string, 4)
	for name, done := range map[string]<-chan struct{}{
		"PostgreSQL": s.Postgres.Done(), "Valkey": s.Valkey.Done(), "Envoy": s.Envoy.Done(), "sluice": s.sluice.done, "the identity provider": s.idp.done,
	} {
		go func() {
			<-done
			ended <- name
		}()
	}
	return ended
}

// Stop ends everything, what depends on others first.
func (s *Stage) Stop() {
	if s.Envoy != nil {
		s.Envoy.Stop()
	}
	for _, p := range []*process{s.sluice, s.idp} {
		if p != nil {
			p.stop(30 * time.Second)
		}
	}
	if s.service != nil {
		s.service.stop()
	}
	if s.Valkey != nil {
		s.Valkey.Stop()
	}
	if s.Postgres != nil {
		s.Postgres.Stop()
	}
	if s.sockets != "" {
		_ = os.RemoveAll(s.sockets) // only sockets: nothing is lost if it stays
	}
	_ = os.Remove(filepath.Join(s.Dir, "env")) // it describes what is gone
}

func get(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // only the status counts
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}
