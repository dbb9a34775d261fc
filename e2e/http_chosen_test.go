package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestAnAgentDoesNotChooseWhatAServiceIsAskedAs: host, scheme and protocol are not the agent's to say.
func TestAnAgentDoesNotChooseWhatAServiceIsAskedAs(t *testing.T) {
	g := newHTTPGateway(t, nil)
	api := g.service("127.0.0.1", "api.internal")
	ca := "tls: {server_name: api.internal, ca: {file: ca.pem}}"
	g.serve("targets:\n" + g.target("any", api.addr, ca) + g.target("listed", api.addr, "hosts: [\"*.listed.test\"]\n    "+ca) +
		g.target("rewritten", api.addr, "hosts: [rewritten.test]\n    host_rewrite: the.service\n    "+ca) +
		g.target("named", api.addr, "path_prefix: /named\n    host_rewrite: named.service\n    "+ca))
	g.isReady("https://api.test/")
	own := api.addr.String()

	for host, want := range map[string]string{
		"api.test": own, "admin.internal": own, "127.0.0.1": own, "localhost:1": own, "a.listed.test": "a.listed.test", "rewritten.test": "the.service",
	} {
		for _, http2 := range []bool{false, true} {
			g.processor.decide(allow)
			res := g.do(t, g.newClient(http2), http.MethodGet, "https://api.test/x", nil, func(r *http.Request) { r.Host = host })
			if got := api.last(t).host; res.status != http.StatusOK || got != want {
				t.Errorf("%s, HTTP/2 %v: %d, the service is asked as %q", host, http2, res.status, got)
			}
		}
	}
	g.processor.decide(allow)
	if _, _, line := g.raw(t, "GET http://admin.internal/named HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n"); line != "HTTP/1.1 200 OK" || api.last(t).host != "named.service" {
		t.Errorf("in absolute form: %s, %q", line, api.last(t).host)
	}

	// A client that takes the connection for one without TLS says http.
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&tls.Dialer{Config: &tls.Config{RootCAs: g.certs.Pool(), ServerName: "api.test", NextProtos: []string{"h2"}}}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", g.port))
	}}
	defer tr.CloseIdleConnections()
	g.processor.decide(allow)
	res := g.do(t, &http.Client{Transport: tr}, http.MethodGet, "http://api.test/x", nil)
	check, _ := g.processor.lastCheck(t)
	if got := check.GetRequest().GetHttp().GetScheme(); res.status != http.StatusOK || res.major != 2 || got != "https" {
		t.Errorf("%d, the scheme is %q", res.status, got)
	}

	for _, offer := range []string{"TLS/1.2", "TLS/1.0, TLS/1.2", "h2c", "H2C", "IRC/6.9", "websockets", "web", "tls/1.2,h2c", "x-websocket"} {
		g.processor.decide(allow)
		_, _, line := g.raw(t, "GET /x HTTP/1.1\r\nHost: api.test\r\nUpgrade: "+offer+"\r\nConnection: Upgrade\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n")
		got := api.last(t)
		if line != "HTTP/1.1 200 OK" || got.header.Get("Upgrade") != "" {
			t.Errorf("Upgrade: %s: %s, the service has %v", offer, line, got.header)
		}
		_, seen := g.processor.lastCheck(t)
		if len(seen["upgrade"]) > 0 {
			t.Errorf("Upgrade: %s is decided on: %q", offer, seen["upgrade"])
		}
	}
	for _, offer := range []string{"websocket", "WebSocket"} {
		if _, _, line := g.raw(t, "GET /x HTTP/1.1\r\nHost: api.test\r\nUpgrade: "+offer+"\r\nConnection: Upgrade\r\n\r\n"); !strings.Contains(line, "403") {
			t.Errorf("a WebSocket where the target has none: %s", line)
		}
	}
}
