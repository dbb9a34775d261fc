package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/credential"
)

// dialTimeout bounds reaching one endpoint, TLS and authentication included.
const dialTimeout = 15 * time.Second

// route is one way to a target: an endpoint, and who dials it.
type route struct {
	target   *policyv1.Target
	endpoint int
	// socket is Envoy's egress listener; empty to dial directly.
	socket string
	tls    *tls.Config
}

// routes gives the ways to a target, in random order: all endpoints are of one role.
func (s *Server) routes(t *policyv1.Target) ([]*route, error) {
	pg := t.GetPostgres()
	out := make([]*route, len(pg.GetEndpoints()))
	for at, i := range rand.Perm(len(out)) { //nolint:gosec // spreads load, guards nothing
		r := &route{target: t, endpoint: i}
		if pg.GetVia() != policyv1.Postgres_DIRECT {
			r.socket = s.o.EgressSocket(t.GetName(), i)
		}
		var err error
		if r.tls, err = s.upstreamTLS(pg.GetTls(), pg.GetEndpoints()[i].GetHost()); err != nil {
			return nil, err
		}
		out[at] = r
	}
	return out, nil
}

// upstreamTLS is TLS towards the database; nil for none.
func (s *Server) upstreamTLS(t *policyv1.UpstreamTls, host string) (*tls.Config, error) {
	if t.GetMode() == policyv1.UpstreamTls_DISABLE {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if t.GetServerName() != "" {
		cfg.ServerName = t.GetServerName()
	}
	if t.GetCa() != nil {
		pem, err := s.o.Sources.Resolve(t.GetCa())
		if err != nil {
			return nil, fmt.Errorf("upstream TLS: ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("upstream TLS: ca holds no certificate")
		}
	}
	if t.GetMode() == policyv1.UpstreamTls_VERIFY_CA {
		cfg.InsecureSkipVerify = true // VerifyConnection checks the chain; VERIFY_CA leaves the name out
		roots := cfg.RootCAs
		cfg.VerifyConnection = func(state tls.ConnectionState) error { return verifyChain(state, roots) }
	}
	return cfg, nil
}

func verifyChain(state tls.ConnectionState, roots *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("upstream TLS: no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
	return err
}

// place names the database behind the route, the same for each target that has it.
func (r *route) place() string {
	pg := r.target.GetPostgres()
	e := pg.GetEndpoints()[r.endpoint]
	return net.JoinHostPort(e.GetHost(), strconv.FormatUint(uint64(e.GetPort()), 10)) + "/" + pg.GetDatabase()
}

// dial reaches the endpoint.
func (r *route) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	if r.socket != "" {
		return d.DialContext(ctx, "unix", r.socket)
	}
	e := r.target.GetPostgres().GetEndpoints()[r.endpoint]
	return d.DialContext(ctx, "tcp", net.JoinHostPort(e.GetHost(), strconv.FormatUint(uint64(e.GetPort()), 10)))
}

// config is how pgconn reaches the endpoint. Nothing of the process's own environment counts (PGHOST and its kin).
func (r *route) config(lease *credential.Lease, parameters map[string]string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig("host=sluice.invalid port=5432 user=x password=x dbname=x sslmode=disable passfile=/nonexistent target_session_attrs=any")
	if err != nil {
		return nil, err
	}
	e := r.target.GetPostgres().GetEndpoints()[r.endpoint]
	cfg.Host, cfg.Port = e.GetHost(), uint16(e.GetPort()) //nolint:gosec // validated: at most 65535
	cfg.Database, cfg.User, cfg.Password = r.target.GetPostgres().GetDatabase(), lease.Username, lease.Password()
	cfg.TLSConfig, cfg.Fallbacks = r.tls, nil
	cfg.RuntimeParams = map[string]string{"client_encoding": "UTF8"}
	for k, v := range parameters {
		cfg.RuntimeParams[k] = v
	}
	cfg.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return r.dial(ctx) }
	cfg.ConnectTimeout = dialTimeout
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	return cfg, nil
}

// upstream is a connection to the database that is ready for a session.
type upstream struct {
	*pgconn.HijackedConn
	route *route
	// path is current_schemas(true), role is current_user.
	path []string
	role string
}

// connect reaches the first endpoint that answers.
func (s *Server) connect(ctx context.Context, t *policyv1.Target, lease *credential.Lease, parameters map[string]string) (*upstream, error) {
	routes, err := s.routes(t)
	if err != nil {
		return nil, err
	}
	var last error
	for _, r := range routes {
		u, err := r.connect(ctx, lease, parameters)
		if err == nil {
			return u, nil
		}
		last = err
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) {
			break // it answers; another of the same role would say the same
		}
	}
	return nil, last
}

func (r *route) connect(ctx context.Context, lease *credential.Lease, parameters map[string]string) (*upstream, error) {
	cfg, err := r.config(lease, parameters)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := pgconn.ConnectConfig(ctx, &cfg.Config)
	if err != nil {
		return nil, err
	}
	u := &upstream{route: r}
	if err := u.ask(ctx, conn); err != nil {
		_ = conn.Close(ctx) // it is of no use
		return nil, err
	}
	// What the server says unasked may have been read ahead, in part too: that would be missing in what follows.
	if err = conn.SyncConn(ctx); err == nil {
		u.HijackedConn, err = conn.Hijack()
	}
	if err != nil {
		_ = conn.Close(ctx) // it is of no use
		return nil, err
	}
	return u, nil
}

// ask asks what names mean in this session.
func (u *upstream) ask(ctx context.Context, conn *pgconn.PgConn) error {
	result := conn.ExecParams(ctx, `SELECT pg_catalog.unnest(pg_catalog.current_schemas(true))::pg_catalog.text, current_user::pg_catalog.text`, nil, nil, nil, nil).Read()
	if result.Err != nil {
		return result.Err
	}
	for _, row := range result.Rows {
		u.path = append(u.path, string(row[0]))
		u.role = string(row[1])
	}
	if conn.ParameterStatus("standard_conforming_strings") != "on" {
		return errors.New("standard_conforming_strings is off on the server")
	}
	return nil
}

// sendCancel asks the server to cancel what runs on a connection of the route.
func (r *route) sendCancel(ctx context.Context, pid uint32, secret []byte) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := r.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // a cancel has no answer
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if r.tls != nil {
		if conn, err = requestTLS(ctx, conn, r.tls); err != nil {
			return err
		}
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(12+len(secret))) //nolint:gosec // at most 268
	b = binary.BigEndian.AppendUint32(b, codeCancel)
	b = binary.BigEndian.AppendUint32(b, pid)
	if _, err := conn.Write(append(b, secret...)); err != nil {
		return err
	}
	// The server closes when it has passed the request on.
	if _, err := conn.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func requestTLS(ctx context.Context, conn net.Conn, cfg *tls.Config) (net.Conn, error) {
	if _, err := conn.Write(append(be32(8), be32(codeTLS)...)); err != nil {
		return nil, err
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return nil, err
	}
	if answer[0] != 'S' {
		return nil, errors.New("the server refuses TLS")
	}
	t := tls.Client(conn, cfg)
	return t, t.HandshakeContext(ctx)
}
