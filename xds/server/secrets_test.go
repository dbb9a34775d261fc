package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	envoy_extensions_transport_sockets_tls_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc/codes"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/xds/server"
)

const api = `
targets:
- name: api
  listener: {address: 127.0.0.1, port: 8443}
  http:
    endpoints: [{host: 127.0.0.1, port: 443}]
    tls: {ca: {file: ca.pem}}
    certificate: {chain: {file: front.pem}, key: {file: front.key}}
  credential: {bearer: {token: {env: TOKEN}}}
`

const apiShop = `- name: shop
  listener: {address: 127.0.0.1, port: 8443}
  http:
    endpoints: [{host: 127.0.0.1, port: 444}]
    path_prefix: /shop
    tls: {ca: {file: ca.pem}}
    certificate: {chain: {file: front.pem}, key: {file: front.key}}
  credential: {bearer: {token: {env: TOKEN}}}
`

// listenerOf is the name of api's listener, and of its routes.
const listenerOf = "http/127.0.0.1:8443"

// withFiles are options of a place with HTTP, the files that its policy may name, and its log.
func withFiles(t *testing.T) (server.Options, map[string][]byte, *bytes.Buffer) {
	t.Helper()
	files, log := map[string][]byte{}, &bytes.Buffer{}
	renew(t, files)
	files["ca.pem"] = files["front.pem"]
	o := options()
	o.Resources.HTTP = &configv1.Socket{Address: &configv1.Socket_Unix{Unix: "/run/sluice/http.sock"}}
	o.Resources.Read = func(s *policyv1.DataSource) ([]byte, error) {
		if data, ok := files[s.GetFile()]; ok {
			return data, nil
		}
		return nil, fmt.Errorf("open %s: no such file", s.GetFile())
	}
	o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return o, files, log
}

// renew makes front.pem and front.key anew.
func renew(t *testing.T, files map[string][]byte) {
	t.Helper()
	f := newAuthority(t).issue("envoy/edge")
	for name, path := range map[string]string{"front.pem": f.GetCert(), "front.key": f.GetKey()} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
}

// httpEnvoy is a stream that has taken what an Envoy in front of api is sent at the start.
func (h *harness) httpEnvoy(id string) *rawClient {
	h.t.Helper()
	c := h.dial()
	c.subscribe(id, resource.ClusterType)
	c.ack(c.want(resource.ClusterType, "processor/http", "processor/postgres", "target/api/http"))
	c.subscribe("", resource.ListenerType)
	c.ack(c.want(resource.ListenerType, listenerOf))
	c.subscribe("", resource.RouteType, listenerOf)
	c.ack(c.want(resource.RouteType, listenerOf))
	c.subscribe("", resource.SecretType, listenerOf+"/certificate", "target/api/ca")
	c.ack(c.want(resource.SecretType, listenerOf+"/certificate", "target/api/ca"))
	return c
}

func TestATargetAtASharedListenerIsPushedAsRoutesAndAClusterAlone(t *testing.T) {
	o, _, _ := withFiles(t)
	h := start(t, o)
	h.set(api)
	c := h.httpEnvoy("edge")
	h.set(api + apiShop)
	c.ack(c.want(resource.ClusterType, "target/shop/http"))
	c.ack(c.want(resource.RouteType, listenerOf))
	c.wantQuiet()
	h.set(api + apiShop + "rules: [{name: a, on: {targets: [api]}, allow: {}}]\n")
	c.wantQuiet()
	for _, u := range []string{resource.RouteType, resource.SecretType} {
		h.subscription("edge", u, inState(controlv1.Subscription_ACKED))
	}
}

func TestOnlyEnvoysGetRoutesAndSecrets(t *testing.T) {
	for _, u := range []string{resource.RouteType, resource.SecretType} {
		o, _, _ := withFiles(t)
		h := start(t, o)
		p := h.processor("p1")
		p.wantBundle(h.set(api))
		p.subscribe("", u, listenerOf, listenerOf+"/certificate")
		p.wantEnd(codes.PermissionDenied, u)
	}
}

func TestARenewedCertificateIsSentAlone(t *testing.T) {
	o, files, _ := withFiles(t)
	h := start(t, o)
	if err := h.Refresh(t.Context()); err != nil {
		t.Errorf("without a bundle: %v", err)
	}
	b := h.set(api)
	c := h.httpEnvoy("edge")
	if err := h.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.wantQuiet()

	renew(t, files)
	if err := h.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	res := c.want(resource.SecretType, listenerOf+"/certificate")
	var s envoy_extensions_transport_sockets_tls_v3.Secret
	if err := res.GetResources()[0].GetResource().UnmarshalTo(&s); err != nil || !bytes.Equal(s.GetTlsCertificate().GetPrivateKey().GetInlineBytes(), files["front.key"]) {
		t.Errorf("not the new key: %v", err)
	}
	c.ack(res)

	files["front.key"] = []byte("half written")
	var faults policies.Faults
	if err := h.Refresh(t.Context()); !errors.As(err, &faults) || faults[0].Field != "targets[0].http.certificate.key" {
		t.Errorf("got %v", err)
	}
	c.wantQuiet()
	if h.Bundle() != b {
		t.Error("the bundle is another")
	}
}

func TestSecretsAreNeitherLoggedNorShown(t *testing.T) {
	o, files, log := withFiles(t)
	h := start(t, o)
	h.set(api)
	c := h.dial()
	c.subscribe("edge", resource.SecretType, listenerOf+"/certificate", "target/api/ca")
	content := strings.Split(string(files["front.key"]), "\n")[1]
	c.nack(c.want(resource.SecretType, listenerOf+"/certificate", "target/api/ca"),
		"Proto constraint validation failed: name: \""+listenerOf+"/certificate\" inline_bytes: \""+content+"\"")
	s := h.subscription("edge", resource.SecretType, inState(controlv1.Subscription_NACKED))
	if !strings.Contains(s.GetNackDetail(), listenerOf+"/certificate") || len(s.GetInDoubt()) != 1 || s.GetInDoubt()[0] != "target/api/ca" {
		t.Errorf("got %v", s)
	}
	files["front.key"] = []byte(content)
	if err := h.SetBundle(t.Context(), bundle(t, api+"access: []\nrules: [{name: a, on: {targets: [api]}, allow: {}}]\n"), nil); err == nil {
		t.Error("half a key was taken")
	}
	h.stop()
	for name, text := range map[string]string{"the log": log.String(), "the status": h.Status().String()} {
		if strings.Contains(text, content) || !strings.Contains(text, "edge") {
			t.Errorf("%s has the key, or nothing:\n%s", name, text)
		}
	}
}

func TestAListenersRefusalIsShownInFull(t *testing.T) {
	o, _, _ := withFiles(t)
	h := start(t, o)
	h.set(api)
	c := h.dial()
	c.subscribe("edge", resource.ListenerType)
	const detail = "Error adding/updating listener(s) " + listenerOf + ": cannot bind"
	c.nack(c.want(resource.ListenerType, listenerOf), detail)
	if s := h.subscription("edge", resource.ListenerType, inState(controlv1.Subscription_NACKED)); s.GetNackDetail() != detail || len(s.GetInDoubt()) > 0 {
		t.Errorf("got %v", s)
	}
}
