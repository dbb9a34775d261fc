package check

import (
	"slices"
	"strings"
	"testing"

	envoy_service_auth_v3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
)

// FuzzRead: whatever comes, a request that is taken is one that no two servers read in different ways, and what is read of
// it can be decided on, recorded, shown and bound without a fault.
func FuzzRead(f *testing.F) {
	for _, in := range []*envoy_service_auth_v3.CheckRequest{
		{},
		ask("api", "GET", "/customers/7?x=secret", good),
		withBody(ask("api", "POST", "/pay", good, "content-type: application/json"), `{"amount": 1}`),
		ask("api", "GET", "/a//b;c/%2e%2e/%2f", good, good),
		ask("api", "GET", "/", "upgrade: websocket", "connection: upgrade, x"),
		ask("api", "TRACE", "*", "X-Upper: \xff\r\nx"),
		ask("", "GET", "/"),
		ask("api", "GET", "/a?"),
	} {
		b, err := proto.Marshal(in)
		if err != nil {
			b = []byte("not even UTF-8")
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := &envoy_service_auth_v3.CheckRequest{}
		if proto.Unmarshal(b, in) != nil {
			return
		}
		r, p := read(in)
		if p != nil {
			p.response(r.method == "HEAD")
			return
		}
		http := in.GetAttributes().GetRequest().GetHttp()
		if r.uri != http.GetPath() || r.method != http.GetMethod() || !strings.EqualFold(r.authority, http.GetHost()) {
			t.Fatalf("read %q %q %q from %v", r.method, r.authority, r.uri, http)
		}
		var names []string
		for _, h := range r.headers {
			if strings.ContainsAny(h.value, "\r\n\x00") || h.name != strings.ToLower(h.name) || slices.Contains(once, h.name) && slices.Contains(names, h.name) {
				t.Fatalf("took %q: %q after %q", h.name, h.value, names)
			}
			names = append(names, h.name)
		}
		if token := r.bearer(); token != "" && !r.shows(token) {
			r.forgetToken()
			a := &asking{server: &Server{o: Options{Shown: plain{}}}, request: r}
			for _, field := range a.binding() {
				if strings.Contains(string(field.Value), token) && field.Name == "header" {
					t.Fatalf("the token %q is in %q", token, field.Value)
				}
			}
		}
		r.values()
		r.recorded(func(_, s string) string { return s }, "x-api-key")
		okResponse(r, nil, "x-api-key", "k", nil)
	})
}
