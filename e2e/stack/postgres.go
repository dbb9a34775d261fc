package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// PostgresOptions say how a PostgreSQL server is made.
type PostgresOptions struct {
	// Dir holds the cluster and the log; it is made if it is not there. A cluster that an earlier
	// server left in it is used again as it is, and InitSQL is not run.
	Dir string
	// Port on 127.0.0.1; 0 means a free one.
	Port int
	// TLS switches it on, with a certificate for localhost and 127.0.0.1. Plaintext stays possible,
	// as in many a real database.
	TLS bool
	// Certs issues that certificate; nil means an authority of its own.
	Certs *Certs
	// Settings are configuration parameters, which win over those of this package.
	Settings map[string]string
	// InitSQL is given to psql as superuser, in the database postgres, when the cluster is new.
	// psql's own commands, \connect for instance, work.
	InitSQL string
}

// Postgres is a running PostgreSQL 18: SCRAM on 127.0.0.1, and the superuser "postgres" without a
// password on a unix socket in a directory that only this user can enter.
type Postgres struct {
	// Port on 127.0.0.1.
	Port int
	// SocketDir is where the unix socket is: libpq's host parameter.
	SocketDir string

	process *process
	place   string
	caFile  string
	paused  []int
}

const (
	superuser    = "postgres"
	startTimeout = 60 * time.Second
	stopGrace    = 10 * time.Second
	portAttempts = 3
)

// StartPostgres starts a server and returns when it answers. ctx is for the start only; the server
// lives until Stop, Kill, or the end of this process. An error shows the end of the server's log.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if !filepath.IsAbs(o.Dir) {
		return nil, fmt.Errorf("postgresql: Dir must be an absolute path, got %q", o.Dir)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("postgresql: %w", err)
	}
	a, err := newAccount(ctx, o.Dir)
	if err != nil {
		return nil, err
	}
	return startPostgresAs(ctx, a, o)
}

func startPostgresAs(ctx context.Context, a account, o PostgresOptions) (*Postgres, error) {
	c, err := newCluster(a, o)
	if err != nil {
		return nil, fmt.Errorf("postgresql: %w", err)
	}
	fresh, err := c.init(ctx)
	if err != nil {
		return nil, fmt.Errorf("postgresql: %w", err)
	}
	p, err := c.start(ctx, o.Port)
	if err != nil {
		return nil, err
	}
	if fresh && o.InitSQL != "" {
		if err := c.psql(ctx, p, o.InitSQL); err != nil {
			p.Stop()
			return nil, fmt.Errorf("postgresql: InitSQL: %w", err)
		}
	}
	return p, nil
}

// cluster is a PostgreSQL data directory and what belongs to it.
type cluster struct {
	account  account
	dir      string // of the log
	settings map[string]string
	tls      Files
}

func newCluster(a account, o PostgresOptions) (_ *cluster, err error) {
	c := &cluster{account: a, dir: o.Dir, settings: o.Settings}
	if !o.TLS {
		return c, nil
	}
	authority := o.Certs
	if authority == nil {
		if authority, err = NewCerts(filepath.Join(o.Dir, "tls"), time.Now()); err != nil {
			return nil, err
		}
	}
	issued, err := authority.Issue("postgresql", Leaf{Names: []string{"localhost", "127.0.0.1"}})
	if err != nil {
		return nil, err
	}
	c.tls.CA = issued.CA
	// A copy beside the data: the authority's directory may be out of the account's reach.
	for _, f := range []struct {
		from string
		to   *string
		name string
	}{{issued.Cert, &c.tls.Cert, "server.pem"}, {issued.Key, &c.tls.Key, "server.key"}} {
		*f.to = filepath.Join(a.place, f.name)
		content, err := os.ReadFile(f.from)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(*f.to, content, 0o600); err != nil {
			return nil, err
		}
	}
	return c, a.own(c.tls.Cert, c.tls.Key)
}

func (c *cluster) data() string { return filepath.Join(c.account.place, "data") }

const hba = `local all all trust
host all all 127.0.0.1/32 scram-sha-256
`

// init makes the data directory, unless there is one.
func (c *cluster) init(ctx context.Context) (fresh bool, err error) {
	if _, err := os.Stat(filepath.Join(c.data(), "PG_VERSION")); !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	if err := os.MkdirAll(c.data(), 0o700); err != nil {
		return false, err
	}
	if err := c.account.own(c.data()); err != nil {
		return false, err
	}
	cmd := c.account.command(ctx, "initdb", "--pgdata", c.data(), "--username", superuser,
		"--auth-local", "trust", "--auth-host", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return false, fmt.Errorf("initdb: %w: %s", err, out)
	}
	// Nothing else may connect: neither replication nor another address.
	return true, os.WriteFile(filepath.Join(c.data(), "pg_hba.conf"), []byte(hba), 0o600)
}

// start tries again if another process takes a free port first.
func (c *cluster) start(ctx context.Context, port int) (*Postgres, error) {
	for attempt := 1; ; attempt++ {
		at := port
		if at == 0 {
			free, err := FreePort(ctx)
			if err != nil {
				return nil, fmt.Errorf("postgresql: %w", err)
			}
			at = free
		}
		p, err := c.startAt(ctx, at)
		if err == nil || port != 0 || attempt == portAttempts || !strings.Contains(err.Error(), "could not bind") {
			return p, err
		}
	}
}

func (c *cluster) startAt(ctx context.Context, port int) (_ *Postgres, err error) {
	sockets, err := ShortDir()
	if err != nil {
		return nil, fmt.Errorf("postgresql: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(sockets)
		}
	}()
	if err := c.account.own(sockets); err != nil {
		return nil, fmt.Errorf("postgresql: %w", err)
	}
	args := []string{"-D", c.data()}
	for _, setting := range c.configuration(port, sockets) {
		args = append(args, "-c", setting)
	}
	cmd := c.account.command(context.WithoutCancel(ctx), "postgres", args...)
	pr, err := startProcess("postgresql", cmd, filepath.Join(c.dir, "postgresql.log"))
	if err != nil {
		return nil, err
	}
	p := &Postgres{Port: port, SocketDir: sockets, process: pr, place: c.account.place, caFile: c.tls.CA}
	err = pr.await(ctx, func(ctx context.Context) error {
		return c.account.command(ctx, "pg_isready", "--quiet", "--host", sockets, "--port", strconv.Itoa(port)).Run()
	})
	if err != nil {
		pr.kill()
		return nil, err
	}
	return p, nil
}

// configuration is sorted, so that the same options make the same command line.
func (c *cluster) configuration(port int, sockets string) []string {
	s := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(port),
		"unix_socket_directories": sockets,
		"password_encryption":     "scram-sha-256",
		"log_timezone":            "UTC",
		// The data is for a test: nothing survives a crash of the machine, and need not.
		"fsync":            "off",
		"full_page_writes": "off",
	}
	if c.tls.Cert != "" {
		s["ssl"], s["ssl_cert_file"], s["ssl_key_file"] = "on", c.tls.Cert, c.tls.Key
	}
	for name, value := range c.settings {
		s[name] = value
	}
	settings := make([]string, 0, len(s))
	for name, value := range s {
		settings = append(settings, name+"="+value)
	}
	slices.Sort(settings)
	return settings
}

func (c *cluster) psql(ctx context.Context, p *Postgres, sql string) error {
	cmd := c.account.command(ctx, "psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", p.Superuser(superuser))
	cmd.Stdin = strings.NewReader(sql)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// ConnString is a libpq connection string for a role over TCP, for psql and pgx alike: verify-full
// where the server has TLS. An empty password is left out.
func (p *Postgres) ConnString(user, password, database string) string {
	s := []string{"host=127.0.0.1", "port=" + strconv.Itoa(p.Port), "user=" + quote(user), "dbname=" + quote(database)}
	if password != "" {
		s = append(s, "password="+quote(password))
	}
	if p.caFile == "" {
		s = append(s, "sslmode=disable")
	} else {
		s = append(s, "sslmode=verify-full", "sslrootcert="+quote(p.caFile))
	}
	return strings.Join(s, " ")
}

// Superuser is a libpq connection string for the superuser over the unix socket.
func (p *Postgres) Superuser(database string) string {
	return strings.Join([]string{
		"host=" + quote(p.SocketDir), "port=" + strconv.Itoa(p.Port), "user=" + superuser, "dbname=" + quote(database),
	}, " ")
}

// CAFile is the PEM file of the authority that signed the server's certificate; empty without TLS.
func (p *Postgres) CAFile() string { return p.caFile }

// LogFile is where the server writes its log.
func (p *Postgres) LogFile() string { return p.process.logFile }

// Done is closed when the server has exited.
func (p *Postgres) Done() <-chan struct{} { return p.process.done }

// Stop ends all sessions and shuts the server down (PostgreSQL's "fast" mode). Stopping twice is no
// error. The data stays in Dir.
func (p *Postgres) Stop() {
	p.Resume()
	p.process.stop(syscall.SIGINT, stopGrace)
	_ = os.RemoveAll(p.SocketDir)
}

// Remove stops the server and removes its data, wherever it is; what else is in Dir stays.
func (p *Postgres) Remove() error {
	p.Stop()
	return errors.Join(os.RemoveAll(filepath.Join(p.place, "data")), p.leave())
}

// leave removes a place outside of Dir.
func (p *Postgres) leave() error {
	if p.place == filepath.Dir(p.process.logFile) {
		return nil
	}
	return os.RemoveAll(p.place)
}

// quote writes a value of a connection string (libpq, section "Keyword/Value Connection Strings").
func quote(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}
