package envoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// stateLive is the answer of /ready when Envoy serves (envoy.admin.v3.ServerInfo.State).
const stateLive = "LIVE"

// ErrNoAdmin says that a bootstrap has no administration address, so that readiness cannot be asked.
var ErrNoAdmin = errors.New("the bootstrap has no admin address")

// AdminClient returns an HTTP client for the administration interface at a; the host in the URL
// is of no importance: http://admin/ready. The error is ErrNoAdmin.
func AdminClient(a *envoy_config_core_v3.Address) (*http.Client, error) {
	network, address := "", ""
	switch {
	case a.GetPipe() != nil:
		network, address = "unix", a.GetPipe().GetPath()
	case a.GetSocketAddress() != nil:
		s := a.GetSocketAddress()
		network, address = "tcp", net.JoinHostPort(s.GetAddress(), strconv.FormatUint(uint64(s.GetPortValue()), 10))
	default:
		return nil, ErrNoAdmin
	}
	var dialer net.Dialer
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
	}}, nil
}

type adminClient struct{ http *http.Client }

func newAdminClient(a *envoy_config_core_v3.Address) (adminClient, error) {
	c, err := AdminClient(a)
	return adminClient{http: c}, err
}

func (c adminClient) close() { c.http.CloseIdleConnections() }

// state is the answer of /ready, such as LIVE or PRE_INITIALIZING (sent with status 503).
func (c adminClient) state(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin/ready", http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	const longest = 64
	body, err := io.ReadAll(io.LimitReader(res.Body, longest))
	if err != nil {
		return "", fmt.Errorf("admin /ready: %w", err)
	}
	return strings.TrimSpace(string(body)), nil
}
