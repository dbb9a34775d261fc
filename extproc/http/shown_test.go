package http_test

import (
	"fmt"
	"strings"
	"testing"

	exthttp "github.com/sluicegate/sluice/extproc/http"
	"github.com/sluicegate/sluice/policies/httpmask"
)

// Credentials are hidden at rest also where no mask names them.
func TestCredentialsAreHiddenAtRestWithoutAMask(t *testing.T) {
	s := exthttp.Shown{Views: &httpmask.Cache{}, Hide: func(b []byte) string { return fmt.Sprintf("‹%d›", len(b)) }}
	p := compiled(t)
	for name, value := range map[string]string{
		"x-api-key": "hunter2x", "private-token": "hunter2x", "set-cookie": "sid=hunter2x; Path=/", "x-auth-token": "hunter2x", "location": "/x?token=hunter2x",
	} {
		if got := s.Header(p, "shop", name, value); strings.Contains(got, "hunter2x") {
			t.Errorf("%s is kept as %q", name, got)
		}
	}
	for _, path := range []string{"/a?api_key=hunter2x", "/a?x=1&access_token=hunter2x", "/a?API_KEY=hunter2x#b"} {
		if got := s.Value(p, "shop", path); strings.Contains(got, "hunter2x") || !strings.HasPrefix(got, "/a?") {
			t.Errorf("%s is kept as %q", path, got)
		}
	}
	if got := s.Header(p, "shop", "accept", "text/html"); got != "text/html" {
		t.Errorf("got %q", got)
	}
}
