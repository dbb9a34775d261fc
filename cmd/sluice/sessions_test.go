package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"

	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/api/gen/sluice/session/v1/sessionv1connect"
)

// ender ends whatever it is asked to.
type ender struct {
	sessionv1connect.UnimplementedSessionServiceHandler
}

// End implements sessionv1connect.SessionServiceHandler.
func (ender) End(context.Context, *connect.Request[sessionv1.EndRequest]) (*connect.Response[sessionv1.EndResponse], error) {
	return connect.NewResponse(&sessionv1.EndResponse{}), nil
}

func TestAnEndedSessionIsTold(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle(sessionv1connect.NewSessionServiceHandler(ender{}))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	for output, want := range map[string]string{
		"text": "p1-1 was ended\n",
		"json": "{\n  \"ended\": true,\n  \"id\": \"p1-1\"\n}\n",
	} {
		var out, errOut bytes.Buffer
		code := run(t.Context(), strings.NewReader(""), &out, &errOut, []string{"sessions", "end", "p1-1", "-o", output, "--api", srv.URL, "--token", "t"})
		if code != exitDone || out.String() != want {
			t.Errorf("%s: status %d, %q, %s", output, code, &out, &errOut)
		}
	}
}
