package policies

import (
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies/httppath"
)

// DefaultMaxRequestBytes is the longest body of a request if a target names none, in bytes.
const DefaultMaxRequestBytes = 1 << 20

// MaxRequestBytes is the longest body of a request to a target, in bytes: what Envoy is told and what the processor
// refuses past it must be the same.
func MaxRequestBytes(h *policyv1.Http) uint32 {
	if most := h.GetMaxRequestBytes(); most > 0 {
		return most
	}
	return DefaultMaxRequestBytes
}

// DefaultBodyTimeout is how long a request's body may take to arrive if a target does not say.
const DefaultBodyTimeout = time.Minute

// BodyTimeout is how long the body of a request to a target may take to arrive.
func BodyTimeout(h *policyv1.Http) time.Duration {
	if most := h.GetBodyTimeout().AsDuration(); most > 0 {
		return most
	}
	return DefaultBodyTimeout
}

// EndpointHost is the host by which a service is asked that has no other name: its endpoint's, with the port unless it is
// the scheme's own (RFC 9110, 4.2).
func EndpointHost(h *policyv1.Http, e *policyv1.Endpoint) string {
	scheme := uint32(443)
	if h.GetTls().GetMode() == policyv1.UpstreamTls_DISABLE {
		scheme = 80
	}
	host := strings.ToLower(e.GetHost())
	if e.GetPort() != scheme {
		return net.JoinHostPort(host, strconv.FormatUint(uint64(e.GetPort()), 10))
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// UpstreamHost is what a service sees as its host, if it is not the name that the agent used.
func UpstreamHost(h *policyv1.Http) (string, bool) {
	switch {
	case h.GetHostRewrite() != "":
		return h.GetHostRewrite(), true
	case len(h.GetHosts()) == 0 && len(h.GetEndpoints()) > 0:
		return EndpointHost(h, h.GetEndpoints()[0]), true
	}
	return "", false
}

func (c *compiler) targets(p *Policy) {
	issuers, names := map[string]string{}, map[string]string{}
	for i, s := range p.bundle.GetIssuers() {
		c.unique(issuers, s.GetName(), fmt.Sprintf("issuers[%d]", i))
		for j := range i {
			if p.bundle.GetIssuers()[j].GetUrl() == s.GetUrl() {
				c.faults.add("", &Fault{Field: fmt.Sprintf("issuers[%d].url", i), Message: fmt.Sprintf("%q is the url of issuers[%d] already", s.GetUrl(), j)})
			}
		}
	}
	for i, t := range p.bundle.GetTargets() {
		field := fmt.Sprintf("targets[%d]", i)
		c.unique(names, t.GetName(), field)
		for j, other := range p.bundle.GetTargets()[:i] {
			c.listener(t, other, field, fmt.Sprintf("targets[%d]", j))
		}
		c.protocol(t, field)
		p.targets[t.GetName()] = &target{spec: t}
	}
	c.borders(p)
}

// borders finds which targets take paths out of others.
func (c *compiler) borders(p *Policy) {
	for _, t := range p.bundle.GetTargets() {
		for _, other := range p.bundle.GetTargets() {
			if t == other || t.GetHttp() == nil || other.GetHttp() == nil || !proto.Equal(t.GetListener(), other.GetListener()) {
				continue
			}
			outer, inner := PathPrefix(t.GetHttp()), PathPrefix(other.GetHttp())
			if inner != outer && (outer == "/" || strings.HasPrefix(inner, outer+"/")) {
				p.targets[t.GetName()].below = append(p.targets[t.GetName()].below, other)
			}
		}
	}
}

// Foreign names the target that a request to another one may really be for: a server could take its path for one that the
// same host leads there. Empty if there is none. Envoy goes by exact paths, so that only names of hosts are a border.
func (p *Policy) Foreign(name, host string, path httppath.Path) string {
	t := p.targets[name]
	if t == nil {
		return ""
	}
	for _, other := range t.below {
		h := other.GetHttp()
		hosts := make([]string, len(h.GetHosts()))
		for i, s := range h.GetHosts() {
			hosts[i], _, _ = strings.Cut(s, ":")
		}
		if (len(hosts) == 0 || matchHost(hosts, host)) && path.MayBegin(PathPrefix(h)) {
			return other.GetName()
		}
	}
	return ""
}

// listener checks two targets at one address: only HTTP can tell them apart, by host and path.
func (c *compiler) listener(t, other *policyv1.Target, field, otherField string) {
	a, b := t.GetListener(), other.GetListener()
	if a.GetAddress() != b.GetAddress() || a.GetPort() != b.GetPort() {
		return
	}
	fault := func(part, message string) {
		c.faults.add("", &Fault{Field: field + part, Message: message})
	}
	switch h, o := t.GetHttp(), other.GetHttp(); {
	case h == nil || o == nil:
		fault(".listener", fmt.Sprintf("%s is the listener of %s already", net.JoinHostPort(a.GetAddress(), fmt.Sprint(a.GetPort())), otherField))
	case !proto.Equal(a, b):
		fault(".listener", fmt.Sprintf("it is shared with %s and must be the same there", otherField))
	case !proto.Equal(h.GetCertificate(), o.GetCertificate()):
		fault(".http.certificate", fmt.Sprintf("the listener is shared with %s, so the certificate must be the same there", otherField))
	case PathPrefix(h) == PathPrefix(o) && shareHost(h.GetHosts(), o.GetHosts()):
		fault(".http", fmt.Sprintf("%s has the same host and path_prefix on the same listener", otherField))
	}
}

// PathPrefix is the prefix of the paths that a target takes, in whole segments: with a slash before it and none behind it.
func PathPrefix(h *policyv1.Http) string { return "/" + strings.Trim(h.GetPathPrefix(), "/") }

// shareHost reports whether a host is named by both in the same words; none is any host.
func shareHost(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// protocol checks what the protocol asks of the rest of the target.
func (c *compiler) protocol(t *policyv1.Target, field string) {
	h := t.GetHttp()
	if h == nil {
		c.upstream(t.GetPostgres().GetTls(), t.GetPostgres().GetEndpoints(), field+".postgres")
		if t.GetCredential().GetStatic() == nil {
			c.faults.add("", &Fault{Field: field + ".credential", Message: "PostgreSQL needs static: a user name and a password"})
		}
		return
	}
	c.upstream(h.GetTls(), h.GetEndpoints(), field+".http")
	if prefix := PathPrefix(h); path.Clean(prefix) != prefix {
		c.faults.add("", &Fault{Field: field + ".http.path_prefix", Message: fmt.Sprintf("%q has steps that are resolved before a request is routed", h.GetPathPrefix())})
	}
	// Envoy refuses some of what is no host, and services read the rest in different ways.
	if host := h.GetHostRewrite(); strings.ContainsFunc(host, notOfHosts) {
		c.faults.add("", &Fault{Field: field + ".http.host_rewrite", Message: fmt.Sprintf("%q is no host, with a port or without", host)})
	}
	for i, name := range h.GetForwardHeaders() {
		if reservedFromAgents(name) {
			c.faults.add("", &Fault{Field: fmt.Sprintf("%s.http.forward_headers[%d]", field, i), Message: fmt.Sprintf("%q of an agent goes on to no target", name)})
		}
	}
	switch plain := t.GetListener().GetAllowPlaintext(); {
	case h.GetCertificate() == nil && !plain:
		c.faults.add("", &Fault{Field: field + ".http.certificate", Message: "it is needed, unless listener.allow_plaintext is set"})
	case h.GetCertificate() != nil && plain:
		c.faults.add("", &Fault{Field: field + ".listener.allow_plaintext", Message: "an HTTP listener has either TLS or plaintext: leave it out, or the certificate"})
	}
	if name := t.GetCredential().GetHeader().GetName(); slices.Contains(reservedHeaders, name) {
		c.faults.add("", &Fault{Field: field + ".credential.header.name", Message: fmt.Sprintf("%q is not for credentials", name)})
	}
}

// reservedForward are headers of agents that no target may let through: credentials, and what Sluice and Envoy say.
var reservedForward = []string{"authorization", "proxy-authorization", "cookie", "accept-encoding", "range", "if-range", "host", "connection", "content-length", "transfer-encoding", "upgrade"}

func reservedFromAgents(name string) bool {
	return slices.Contains(reservedForward, name) || strings.HasPrefix(name, "x-envoy-") || strings.HasPrefix(name, "x-sluice-")
}

// notOfHosts reports whether a character stands in no host that is a name or an address, nor in its port (RFC 3986, 3.2.2).
func notOfHosts(c rune) bool {
	letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
	return !letter && !strings.ContainsRune("-._:[]", c)
}

// reservedHeaders frame a message, or are Envoy's own.
var reservedHeaders = []string{
	"host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "content-type",
	"content-encoding", "keep-alive", "proxy-connection", "x-request-id", "x-forwarded-for", "x-forwarded-proto",
}

// upstream keeps a credential from going over a network in the clear.
func (c *compiler) upstream(tls *policyv1.UpstreamTls, endpoints []*policyv1.Endpoint, field string) {
	if tls.GetMode() != policyv1.UpstreamTls_DISABLE {
		return
	}
	for i, e := range endpoints {
		if ip := net.ParseIP(e.GetHost()); e.GetHost() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			c.faults.add("", &Fault{
				Field: fmt.Sprintf("%s.endpoints[%d].host", field, i), Message: "tls.mode DISABLE needs a loopback endpoint",
			})
		}
	}
}
