package stage

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/sluicegate/sluice/deploy/demo/service"
	"github.com/sluicegate/sluice/e2e/stack"
)

// apiToken is what the demo's API wants to see: no agent ever does.
const apiToken = "the-real-api-token"

// httpService is the demo's API, in this process.
type httpService struct {
	service *service.Service
	server  *http.Server
	done    chan struct{}
}

// startService serves the demo's API over TLS, and makes the certificate that agents see at Envoy's HTTP listener.
func (s *Stage) startService(ctx context.Context, p ports) error {
	certs, err := stack.NewCerts(filepath.Join(s.Dir, "certs"), time.Now())
	if err != nil {
		return err
	}
	names := stack.Leaf{Names: []string{"localhost", "127.0.0.1"}}
	own, err := certs.Issue("service", names)
	if err != nil {
		return err
	}
	if s.gateway, err = certs.Issue("gateway", names); err != nil {
		return err
	}
	//nolint:contextcheck // the service lives until stop, not as long as the start
	api, err := service.New(context.Background(), s.Direct, apiToken)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", p.service))
	if err != nil {
		api.Close()
		return err
	}
	h := &httpService{service: api, server: &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second}, done: make(chan struct{})}
	go func() {
		defer close(h.done)
		_ = h.server.ServeTLS(listener, own.Cert, own.Key) // it ends when it is stopped
	}()
	s.service = h
	s.HTTP = fmt.Sprintf("https://127.0.0.1:%d", p.http)
	s.HTTPDirect = fmt.Sprintf("https://127.0.0.1:%d", p.service)
	s.HTTPCA = certs.CAFile()
	return nil
}

func (h *httpService) stop() {
	_ = h.server.Close() // whoever still reads is cut off
	<-h.done
	h.service.Close()
}
