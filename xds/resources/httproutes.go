package resources

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	envoy_config_route_v3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	envoy_extensions_filters_http_buffer_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	envoy_extensions_filters_http_ext_authz_v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	envoy_type_matcher_v3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
)

// Context extensions that come with each Check: which target's route was taken, at which Envoy, and a hash of that
// route. A request that no target takes has the node alone.
const (
	ExtensionTarget   = "target"
	ExtensionNode     = "node"
	ExtensionRevision = "revision"
)

// anyDomain is the virtual host of names that no target has.
const anyDomain = "*"

// aboutAgents are request headers that say where an agent is: what it says itself, servers behind a proxy would believe,
// and what Envoy says is not their business. What a target lets through stays.
func aboutAgents(h *policyv1.Http) []string {
	all := []string{"forwarded", "x-envoy-external-address", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-real-ip"}
	return slices.DeleteFunc(all, func(name string) bool { return slices.Contains(h.GetForwardHeaders(), name) })
}

// routed is one target's route, with the prefix by which it is chosen.
type routed struct {
	target httpTarget
	prefix string
	// arriving is the route of a request that is not whole yet, whole that of one that is.
	arriving, whole *envoy_config_route_v3.Route
}

// routes say which target a request is for: by host, the most exact first as Envoy does, then by the longest prefix.
// Everything else is answered 404 by Envoy, after ext_authz.
func (b *builder) routes(listener string, targets []httpTarget) (*envoy_config_route_v3.RouteConfiguration, error) {
	domains := map[string][]*routed{anyDomain: nil}
	for _, t := range targets {
		r := &routed{target: t, prefix: policies.PathPrefix(t.GetHttp())}
		if path.Clean(r.prefix) != r.prefix {
			b.fault(t.field+".http.path_prefix", "%q has steps that are resolved before a request is routed", r.prefix)
			continue
		}
		var err error
		if err = b.route(r); err != nil {
			return nil, err
		}
		for _, d := range domainsOf(t) {
			if i := slices.IndexFunc(domains[d], func(o *routed) bool { return o.prefix == r.prefix }); i >= 0 {
				b.fault(t.field+".http", "%q takes %s below %s at this listener already", domains[d][i].target.GetName(), d, r.prefix)
				continue
			}
			domains[d] = append(domains[d], r)
		}
	}
	otherwise, err := b.notFound()
	if err != nil {
		return nil, err
	}
	return &envoy_config_route_v3.RouteConfiguration{
		Name:         listener,
		VirtualHosts: virtualHosts(domains, otherwise),
	}, nil
}

// domainsOf are the values of Host that a target answers to, with and without the listener's port (RFC 9110, section
// 7.2: clients leave out the scheme's own).
func domainsOf(t httpTarget) []string {
	hosts := t.GetHttp().GetHosts()
	if len(hosts) == 0 {
		return []string{anyDomain}
	}
	found := map[string]struct{}{}
	for _, h := range hosts {
		found[h] = struct{}{}
		if !strings.Contains(h, ":") {
			found[fmt.Sprintf("%s:%d", h, t.GetListener().GetPort())] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// virtualHosts merges domains that lead to the same targets.
func virtualHosts(domains map[string][]*routed, otherwise *envoy_config_route_v3.Route) []*envoy_config_route_v3.VirtualHost {
	merged := map[string]*envoy_config_route_v3.VirtualHost{}
	var out []*envoy_config_route_v3.VirtualHost
	for _, d := range slices.Sorted(maps.Keys(domains)) {
		list := slices.SortedFunc(slices.Values(domains[d]), func(x, y *routed) int {
			return cmp.Or(cmp.Compare(len(y.prefix), len(x.prefix)), cmp.Compare(x.prefix, y.prefix))
		})
		key := ""
		for _, r := range list {
			key += r.target.GetName() + "\n"
		}
		if host := merged[key]; host != nil {
			host.Domains = append(host.Domains, d)
			continue
		}
		host := &envoy_config_route_v3.VirtualHost{Name: d, Domains: []string{d}}
		for _, r := range list {
			host.Routes = append(host.Routes, r.whole, r.arriving)
		}
		if len(list) == 0 || list[len(list)-1].prefix != "/" {
			host.Routes = append(host.Routes, otherwise)
		}
		merged[key] = host
		out = append(out, host)
	}
	return out
}

// route leads to a target: once, without a limit of time, since the answer may be a stream of events. A request that
// was held is never sent twice. One that is still arriving is on a route that is the same but for its time.
func (b *builder) route(r *routed) error {
	h := r.target.GetHttp()
	action := &envoy_config_route_v3.RouteAction{
		ClusterSpecifier: &envoy_config_route_v3.RouteAction_Cluster{Cluster: HTTPCluster(r.target.GetName())},
		Timeout:          seconds(0),
		IdleTimeout:      seconds(0),
	}
	switch {
	case h.GetHostRewrite() != "":
		action.HostRewriteSpecifier = &envoy_config_route_v3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: h.GetHostRewrite()}
	case len(h.GetHosts()) == 0:
		// The agent does not choose which of a server's virtual hosts it gets.
		action.HostRewriteSpecifier = &envoy_config_route_v3.RouteAction_AutoHostRewrite{AutoHostRewrite: wrapperspb.Bool(true)}
	}
	if h.GetWebsocket() {
		action.UpgradeConfigs = []*envoy_config_route_v3.RouteAction_UpgradeConfig{{UpgradeType: websocket, Enabled: wrapperspb.Bool(true)}}
	}
	match := &envoy_config_route_v3.RouteMatch{PathSpecifier: &envoy_config_route_v3.RouteMatch_Prefix{Prefix: "/"}}
	if r.prefix != "/" {
		match.PathSpecifier = &envoy_config_route_v3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: r.prefix}
	}
	out := &envoy_config_route_v3.Route{
		Name:                   r.target.GetName(),
		Match:                  match,
		Action:                 &envoy_config_route_v3.Route_Route{Route: action},
		RequestHeadersToRemove: aboutAgents(h),
	}
	settings := &envoy_extensions_filters_http_ext_authz_v3.CheckSettings{
		ContextExtensions: map[string]string{ExtensionTarget: r.target.GetName(), ExtensionNode: b.node.ID},
		WithRequestBody:   wholeBody(policies.MaxRequestBytes(h)),
	}
	var err error
	if out.TypedPerFilterConfig, err = checkSettings(settings); err != nil {
		return err
	}
	// The revision is over the route without it.
	revision, err := digest(revisionLength, out)
	if err != nil {
		return err
	}
	settings.ContextExtensions[ExtensionRevision] = revision
	if out.TypedPerFilterConfig, err = checkSettings(settings); err != nil {
		return err
	}
	out.TypedPerFilterConfig[bufferFilter], err = packed(&envoy_extensions_filters_http_buffer_v3.BufferPerRoute{
		Override: &envoy_extensions_filters_http_buffer_v3.BufferPerRoute_Buffer{Buffer: wholeFirst(policies.MaxRequestBytes(h))},
	})
	if err != nil {
		return err
	}
	r.arriving, r.whole = arriving(out, h), out
	match.FilterState = []*envoy_type_matcher_v3.FilterStateMatcher{{
		Key: wholeState, Matcher: &envoy_type_matcher_v3.FilterStateMatcher_StringMatch{StringMatch: &envoy_type_matcher_v3.StringMatcher{
			MatchPattern: &envoy_type_matcher_v3.StringMatcher_Exact{Exact: wholeValue},
		}},
	}}
	return nil
}

// arriving is a route for as long as a request is not whole: it must not stop, and has so much time in all.
func arriving(whole *envoy_config_route_v3.Route, h *policyv1.Http) *envoy_config_route_v3.Route {
	out := proto.CloneOf(whole)
	out.Name += "/arriving"
	out.GetRoute().IdleTimeout = seconds(bodyPause)
	out.GetRoute().MaxStreamDuration = &envoy_config_route_v3.RouteAction_MaxStreamDuration{MaxStreamDuration: seconds(policies.BodyTimeout(h))}
	return out
}

// notFound answers what no target takes. Its body is of no interest to anybody. No target has its name.
func (b *builder) notFound() (*envoy_config_route_v3.Route, error) {
	config, err := checkSettings(&envoy_extensions_filters_http_ext_authz_v3.CheckSettings{
		ContextExtensions:           map[string]string{ExtensionNode: b.node.ID},
		DisableRequestBodyBuffering: true,
	})
	return &envoy_config_route_v3.Route{
		Name:                 "-",
		Match:                &envoy_config_route_v3.RouteMatch{PathSpecifier: &envoy_config_route_v3.RouteMatch_Prefix{Prefix: "/"}},
		Action:               &envoy_config_route_v3.Route_DirectResponse{DirectResponse: &envoy_config_route_v3.DirectResponseAction{Status: http.StatusNotFound}},
		TypedPerFilterConfig: config,
	}, err
}

func checkSettings(s *envoy_extensions_filters_http_ext_authz_v3.CheckSettings) (map[string]*anypb.Any, error) {
	config, err := packed(&envoy_extensions_filters_http_ext_authz_v3.ExtAuthzPerRoute{
		Override: &envoy_extensions_filters_http_ext_authz_v3.ExtAuthzPerRoute_CheckSettings{CheckSettings: s},
	})
	return map[string]*anypb.Any{authzFilter: config}, err
}
