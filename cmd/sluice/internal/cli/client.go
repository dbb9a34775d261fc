package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"connectrpc.com/connect"

	"github.com/sluicegate/sluice/api/gen/sluice/approval/v1/approvalv1connect"
	"github.com/sluicegate/sluice/api/gen/sluice/control/v1/controlv1connect"
	"github.com/sluicegate/sluice/api/gen/sluice/session/v1/sessionv1connect"
)

// Client reaches the API as one caller.
type Client struct {
	Approvals approvalv1connect.ApprovalServiceClient
	Sessions  sessionv1connect.SessionServiceClient
	Control   controlv1connect.ControlServiceClient
}

// New makes a client. base is the API's URL; a token never goes over plain HTTP but to a loopback address.
func New(base, token string) (*Client, error) {
	if base == "" {
		return nil, errors.New("no API address: set SLUICE_API or --api")
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("the API address %q is not an http or https URL", base)
	}
	if token == "" {
		return nil, errors.New("no token: set SLUICE_TOKEN or --token (in the demo: bin/sluice token --as NAME)")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("the API address %q is not https: the token would go over the network in the clear", base)
	}
	auth := connect.WithInterceptors(&bearer{token})
	base = strings.TrimRight(base, "/")
	return &Client{
		Approvals: approvalv1connect.NewApprovalServiceClient(http.DefaultClient, base, auth),
		Sessions:  sessionv1connect.NewSessionServiceClient(http.DefaultClient, base, auth),
		Control:   controlv1connect.NewControlServiceClient(http.DefaultClient, base, auth),
	}, nil
}

func loopback(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

// bearer shows the caller's token with each call (RFC 6750).
type bearer struct{ token string }

// WrapUnary implements connect.Interceptor.
func (b *bearer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		req.Header().Set("Authorization", "Bearer "+b.token)
		return next(ctx, req)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (b *bearer) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		conn.RequestHeader().Set("Authorization", "Bearer "+b.token)
		return conn
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (b *bearer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// Explain gives the words of an API error without the transport's.
func Explain(err error) error {
	var c *connect.Error
	if !errors.As(err, &c) {
		return err
	}
	switch c.Code() {
	case connect.CodeUnauthenticated:
		return fmt.Errorf("not signed in: %s", c.Message())
	case connect.CodePermissionDenied:
		return fmt.Errorf("not allowed: %s", c.Message())
	case connect.CodeCanceled:
		return errors.New("the call was interrupted")
	case connect.CodeUnavailable:
		return fmt.Errorf("the API cannot be reached: %s", c.Message())
	}
	return errors.New(c.Message())
}
