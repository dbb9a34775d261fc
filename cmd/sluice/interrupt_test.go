package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/api/gen/sluice/approval/v1/approvalv1connect"
	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/api/gen/sluice/session/v1/sessionv1connect"
)

// slow answers streams with nothing more, for as long as somebody listens; asked says that one is.
type slow struct {
	asked chan struct{}
	sends bool // something first
	fails bool
}

func (s *slow) wait(ctx context.Context) error {
	if s.fails {
		return connect.NewError(connect.CodeUnavailable, context.DeadlineExceeded)
	}
	close(s.asked)
	<-ctx.Done()
	return ctx.Err()
}

type slowApprovals struct {
	approvalv1connect.UnimplementedApprovalServiceHandler
	*slow
}

// Watch implements approvalv1connect.ApprovalServiceHandler.
func (s slowApprovals) Watch(ctx context.Context, _ *connect.Request[approvalv1.WatchRequest], out *connect.ServerStream[approvalv1.WatchResponse]) error {
	if s.sends {
		if err := out.Send(&approvalv1.WatchResponse{}); err != nil {
			return err
		}
	}
	return s.wait(ctx)
}

type slowSessions struct {
	sessionv1connect.UnimplementedSessionServiceHandler
	*slow
}

// Replay implements sessionv1connect.SessionServiceHandler.
func (s slowSessions) Replay(ctx context.Context, _ *connect.Request[sessionv1.ReplayRequest], _ *connect.ServerStream[sessionv1.ReplayResponse]) error {
	return s.wait(ctx)
}

// TestAnInterruptEndsWhatHasNoOtherEnd: a watch is done then, a replay is not.
func TestAnInterruptEndsWhatHasNoOtherEnd(t *testing.T) {
	for name, c := range map[string]struct {
		args         []string
		sends, fails bool
		want         int
	}{
		"a watch":                 {[]string{"approvals", "watch"}, true, false, exitDone},
		"a watch of nothing":      {[]string{"approvals", "watch"}, false, false, exitDone},
		"a watch that fails":      {[]string{"approvals", "watch"}, false, true, exitRefused},
		"a watch that fails late": {[]string{"approvals", "watch"}, true, true, exitRefused},
		"a replay":                {[]string{"sessions", "replay", "p1-1"}, false, false, exitRefused},
	} {
		t.Run(name, func(t *testing.T) {
			s := &slow{asked: make(chan struct{}), sends: c.sends, fails: c.fails}
			mux := http.NewServeMux()
			mux.Handle(approvalv1connect.NewApprovalServiceHandler(slowApprovals{slow: s}))
			mux.Handle(sessionv1connect.NewSessionServiceHandler(slowSessions{slow: s}))
			srv := httptest.NewServer(mux)
			defer srv.Close()
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			go func() {
				select {
				case <-s.asked:
					interrupt()
				case <-ctx.Done():
				}
			}()
			var out bytes.Buffer
			if code := run(ctx, strings.NewReader(""), &out, &out, append(c.args, "--api", srv.URL, "--token", "t")); code != c.want {
				t.Errorf("status %d, want %d: %s", code, c.want, &out)
			}
		})
	}
}
