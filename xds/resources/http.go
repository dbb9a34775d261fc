package resources

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// HTTPProcessorCluster is the name of the cluster that answers about HTTP requests: ext_authz and ext_proc.
const HTTPProcessorCluster = "processor/http"

// RootsSecret is the name of the secret with the system's authorities.
const RootsSecret = "roots"

// HTTPListener is the name of the listener of all HTTP targets at an address, and of its routes.
func HTTPListener(address string, port uint32) string {
	return "http/" + net.JoinHostPort(address, strconv.FormatUint(uint64(port), 10))
}

// CertificateSecret is the name of the secret with the certificate that agents see at a listener.
func CertificateSecret(listener string) string { return listener + "/certificate" }

// HTTPCluster is the name of the cluster with the endpoints of an HTTP target.
func HTTPCluster(target string) string { return "target/" + target + "/http" }

// CASecret is the name of the secret with the authorities that an HTTP target names.
func CASecret(target string) string { return "target/" + target + "/ca" }

// httpTarget is an HTTP target with its place in the bundle.
type httpTarget struct {
	*policyv1.Target
	field string
}

// http adds what all HTTP targets of a bundle need.
func (b *builder) http(targets []httpTarget) error {
	if len(targets) == 0 {
		return nil
	}
	if b.options.HTTP == nil {
		for _, t := range targets {
			b.fault(t.field+".http", "control.http is not set in the configuration")
		}
		return nil
	}
	if err := b.httpProcessor(); err != nil {
		return fmt.Errorf("resources of processors: %w", err)
	}
	// The order of the bundle is nobody's business.
	slices.SortFunc(targets, func(x, y httpTarget) int { return cmp.Compare(x.GetName(), y.GetName()) })
	shared := map[string][]httpTarget{}
	for _, t := range targets {
		name := HTTPListener(t.GetListener().GetAddress(), t.GetListener().GetPort())
		shared[name] = append(shared[name], t)
		if err := b.httpCluster(t); err != nil {
			return fmt.Errorf("resources of target %q: %w", t.GetName(), err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(shared)) {
		if err := b.httpListener(name, shared[name]); err != nil {
			return fmt.Errorf("resources of listener %q: %w", name, err)
		}
	}
	return nil
}

// httpListener adds what stands in front of targets that share an address: policies.Compile has seen that they agree
// on it. The listener itself depends on nothing else of theirs, so that one more changes routes and clusters only.
func (b *builder) httpListener(name string, targets []httpTarget) error {
	first := targets[0]
	if c := first.GetHttp().GetCertificate(); c != nil {
		b.certificate(CertificateSecret(name), c, first.field+".http.certificate")
	}
	l, err := httpIngress(name, first.GetListener(), first.GetHttp().GetCertificate() != nil)
	if err != nil {
		return err
	}
	b.out.Listeners = append(b.out.Listeners, l)
	routes, err := b.routes(name, targets)
	if err != nil {
		return err
	}
	b.out.Routes = append(b.out.Routes, routes)
	return nil
}
