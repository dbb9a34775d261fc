package check

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	envoy_service_auth_v3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/httppath"
)

// Context extensions of a route: what Envoy says of it with each request.
const (
	ExtensionTarget   = "target"
	ExtensionNode     = "node"
	ExtensionRevision = "revision"
)

// request is a request as Envoy hands it over.
type request struct {
	target, node, revision string
	client                 string // the agent's address
	id                     string // x-request-id, Envoy's own

	method, scheme, authority string
	path                      httppath.Path
	uri                       string // path and query as the service gets them
	// headers are in Envoy's order, names in lower case, without pseudo-headers.
	headers []header
	body    []byte
	// bodyGone: there was one, which is not kept.
	bodyGone bool
}

type header struct{ name, value string }

// once are headers that must not stand twice: two servers may take two of them.
var once = []string{
	"authorization", "content-type", "content-length", "content-encoding", "host", "range", "x-request-id", "upgrade",
}

// read takes a CheckRequest apart. What is wrong with it is the agent's to hear.
func read(in *envoy_service_auth_v3.CheckRequest) (*request, *problem) {
	a := in.GetAttributes()
	h := a.GetRequest().GetHttp()
	extensions := a.GetContextExtensions()
	r := &request{
		target: extensions[ExtensionTarget], node: extensions[ExtensionNode], revision: extensions[ExtensionRevision],
		client: net.JoinHostPort(a.GetSource().GetAddress().GetSocketAddress().GetAddress(), fmt.Sprint(a.GetSource().GetAddress().GetSocketAddress().GetPortValue())),
		method: h.GetMethod(), uri: h.GetPath(), scheme: h.GetScheme(), authority: strings.ToLower(h.GetHost()), body: h.GetRawBody(),
	}
	if r.body == nil {
		r.body = []byte(h.GetBody())
	}
	if r.target == "" {
		return r, &problem{Status: 404, Title: "Not found", Detail: "There is nothing at this host and path."}
	}
	all := h.GetHeaderMap().GetHeaders()
	seen := make(map[string]bool, len(all))
	r.headers = make([]header, 0, len(all))
	for _, v := range all {
		name, value := strings.ToLower(v.GetKey()), v.GetValue()
		if len(v.GetRawValue()) > 0 {
			value = string(v.GetRawValue())
		}
		if strings.HasPrefix(name, ":") {
			// What is no UTF-8 is shown to us in other bytes than the service gets.
			if name == ":path" && value != h.GetPath() || name == ":method" && value != h.GetMethod() || name == ":authority" && value != h.GetHost() {
				return r, malformed("The request line has bytes that must be percent-encoded.")
			}
			continue
		}
		if seen[name] && slices.Contains(once, name) {
			return r, malformed(fmt.Sprintf("The header %q stands twice.", name))
		}
		if strings.ContainsAny(value, "\r\n\x00") {
			return r, malformed(fmt.Sprintf("The header %q has a line break.", name))
		}
		seen[name] = true
		r.headers = append(r.headers, header{name, value})
	}
	r.id = r.header("x-request-id")
	if !isAuthority(r.authority) {
		return r, malformed("The host is no name or address with a port, or without.")
	}
	if r.header("upgrade") != "" && !onlyUpgrades(r.header("connection")) {
		return r, malformed("With an upgrade, Connection may name nothing else.") // a server behind would drop what it names
	}
	if !isMethod(r.method) {
		return r, malformed("The method is not one that Sluice lets through.")
	}
	var err error
	if r.path, err = httppath.Parse(r.uri); err != nil {
		return r, malformed(err.Error() + ".")
	}
	return r, nil
}

// tooLong refuses a body past the target's limit. Envoy's own limit is a byte more, so that a body of which only the
// beginning came here, while the service would get all of it, is seen to be too long.
func tooLong(r *request, t *policyv1.Target) *problem {
	most := int(policies.MaxRequestBytes(t.GetHttp()))
	if len(r.body) <= most {
		return nil
	}
	return &problem{
		Status: 413, Type: "too-long", Title: "The body is too long", Detail: fmt.Sprintf("At most %d bytes are allowed.", most),
		Hint: "Nothing was forwarded. Send it in parts, or ask the owner of the policy for a greater max_request_bytes.",
	}
}

// isAuthority takes a name or an address, with a port or without, in the one spelling that servers do not differ on.
func isAuthority(s string) bool {
	host := s
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		port, err := strconv.ParseUint(s[i+1:], 10, 16)
		if err != nil || port == 0 || strconv.FormatUint(port, 10) != s[i+1:] {
			return false
		}
		host = s[:i]
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		address, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && address.Is6() && strings.HasSuffix(inner, "]") && address.Zone() == ""
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || strings.ContainsFunc(label, func(c rune) bool {
			return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_'
		}) {
			return false
		}
	}
	return true
}

// onlyUpgrades reports whether Connection names nothing but what an upgrade needs (RFC 9110, 7.6.1 and 7.8).
func onlyUpgrades(connection string) bool {
	for option := range strings.SplitSeq(connection, ",") {
		switch strings.ToLower(strings.TrimSpace(option)) {
		case "", "upgrade", "keep-alive", "close":
		default:
			return false
		}
	}
	return true
}

// isMethod takes tokens of capital letters (RFC 9110, 9.1). CONNECT makes a tunnel, TRACE shows the credential.
func isMethod(m string) bool {
	if m == "" || len(m) > 32 || m == "CONNECT" || m == "TRACE" {
		return false
	}
	return !strings.ContainsFunc(m, func(c rune) bool { return c < 'A' || c > 'Z' })
}

func (r *request) header(name string) string {
	for _, h := range r.headers {
		if h.name == name {
			return h.value
		}
	}
	return ""
}

// forgetToken drops the token once it has been used: nothing needs it any more, and a request may wait for long.
func (r *request) forgetToken() {
	for i := range r.headers {
		if r.headers[i].name == "authorization" {
			r.headers[i].value = ""
		}
	}
}

// host is the authority without its port.
func (r *request) host() string {
	if host, _, err := net.SplitHostPort(r.authority); err == nil {
		return host
	}
	return r.authority
}

// safe methods ask for nothing to change (RFC 9110, 9.2.1).
func (r *request) safe() bool {
	return r.method == "GET" || r.method == "HEAD" || r.method == "OPTIONS"
}

// envoys are headers that Envoy sets: no part of what the agent asked for.
func envoys(name string) bool {
	return strings.HasPrefix(name, "x-envoy-") || name == "x-request-id" || name == "x-forwarded-proto" || name == "x-forwarded-for"
}

// secret headers carry credentials of the agent's: neither shown nor recorded.
func secret(name string) bool {
	return name == "authorization" || name == "proxy-authorization" || name == "cookie"
}

// readable is a text as it may stand in a record: headers may have bytes that are no UTF-8.
func readable(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// recorded are the headers as they are recorded: without credentials, so without that which Sluice puts in the place of
// one of the agent's own.
func (r *request) recorded(show func(name, value string) string, credential string) []*recordv1.Header {
	out := make([]*recordv1.Header, 0, len(r.headers))
	for _, h := range r.headers {
		if !envoys(h.name) && !secret(h.name) && h.name != credential {
			out = append(out, &recordv1.Header{Name: readable(h.name), Value: show(h.name, readable(h.value))})
		}
	}
	return out
}
