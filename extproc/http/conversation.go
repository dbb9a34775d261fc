package http

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_service_ext_proc_v3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/authz/check"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/credname"
	"github.com/sluicegate/sluice/policies/httpmask"
)

// How Envoy says where an answer comes from: in the attributes of this filter, the service's as via_upstream.
const (
	attributes  = "envoy.filters.http.ext_proc"
	codeDetails = "response.code_details"
	viaUpstream = "via_upstream"
)

// conversation is one stream: one request and its response.
type conversation struct {
	server *Server
	stream envoy_service_ext_proc_v3.ExternalProcessor_ProcessServer
	watch  *watch

	id       atomic.Pointer[string] // for the log: Process may give up while run goes on
	exchange *check.Exchange
	// agent and record are how the response is shown; the same if they are alike.
	agent, record *httpmask.View
	// leave stops watching for what ends the response from outside.
	leave  func()
	ended  atomic.Pointer[string] // why it was ended from outside
	status uint32
	sent   uint64 // bytes of the body that the agent got
	// trailers are those of the response as the record shows them.
	trailers []*recordv1.Header
}

// requestID is Envoy's name of the request, empty until it is known.
func (c *conversation) requestID() string {
	if id := c.id.Load(); id != nil {
		return *id
	}
	return ""
}

// run is the whole of it. Its error is never nil.
func (c *conversation) run() error {
	first, err := c.receive()
	if err != nil {
		return err
	}
	if first.GetResponseHeaders() != nil {
		return c.denial(first)
	}
	err = guard.Safely(func() error {
		if err := c.request(first); err != nil {
			return err
		}
		return c.response()
	})
	if c.exchange == nil {
		return err
	}
	defer c.leave()
	message := ""
	if err != nil {
		message = err.Error()
		switch why := c.ended.Load(); {
		case why != nil:
			message = *why
		case quietEnd(c.stream.Context(), err):
			message = "the agent or the service went away"
		}
	}
	if endErr := c.exchange.End(c.status, message, c.sent, c.trailers...); err == nil {
		err = endErr
	}
	if err != nil {
		return err
	}
	return c.close()
}

// end gives the response up for a reason from outside.
func (c *conversation) end(why error) {
	text := why.Error()
	c.ended.CompareAndSwap(nil, &text)
	c.watch.fire(why)
}

// close waits for Envoy to end the stream, which it does once the response is done: until then it must not end well.
func (c *conversation) close() error {
	_, err := c.receive()
	if err == nil {
		err = errors.New("something came behind the end of the response")
	}
	return err
}

// denial passes an answer to a request that never came this far: it is Envoy's or ext_authz's own, since the service is
// asked behind this filter only, and Envoy must say so.
func (c *conversation) denial(in *envoy_service_ext_proc_v3.ProcessingRequest) error {
	details := in.GetAttributes()[attributes].GetFields()[codeDetails].GetStringValue()
	if details == "" || details == viaUpstream {
		return c.refuse(403, "Not decided", "Nothing says that the request of this response was allowed.")
	}
	h := in.GetResponseHeaders()
	err := c.send(&envoy_service_ext_proc_v3.ProcessingResponse{
		Response: &envoy_service_ext_proc_v3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &envoy_service_ext_proc_v3.HeadersResponse{}},
	})
	for ended := h.GetEndOfStream(); err == nil && !ended; {
		var in *envoy_service_ext_proc_v3.ProcessingRequest
		if in, err = c.receive(); err != nil {
			return err
		}
		part := in.GetResponseBody()
		if part == nil {
			return fmt.Errorf("%T within a denial", in.GetRequest())
		}
		ended = part.GetEndOfStream()
		err = c.send(piecing(part.GetBody(), ended))
	}
	if err != nil {
		return err
	}
	return c.close()
}

// receive waits for Envoy, and takes the trailers of the request away as they come: nobody decided on them.
func (c *conversation) receive() (*envoy_service_ext_proc_v3.ProcessingRequest, error) {
	for {
		c.watch.rest()
		in, err := c.stream.Recv()
		c.watch.work()
		trailers := in.GetRequestTrailers()
		if err != nil || trailers == nil || c.exchange == nil {
			return in, err
		}
		if err := c.send(without(trailers)); err != nil {
			return nil, err
		}
	}
}

func without(t *envoy_service_ext_proc_v3.HttpTrailers) *envoy_service_ext_proc_v3.ProcessingResponse {
	m := &envoy_service_ext_proc_v3.HeaderMutation{}
	for _, h := range t.GetTrailers().GetHeaders() {
		m.RemoveHeaders = append(m.RemoveHeaders, h.GetKey())
	}
	return &envoy_service_ext_proc_v3.ProcessingResponse{Response: &envoy_service_ext_proc_v3.ProcessingResponse_RequestTrailers{
		RequestTrailers: &envoy_service_ext_proc_v3.TrailersResponse{HeaderMutation: m},
	}}
}

// send waits while Envoy takes no more: so the agent's pace becomes the service's.
func (c *conversation) send(m *envoy_service_ext_proc_v3.ProcessingResponse) error {
	c.watch.rest()
	defer c.watch.work()
	return c.stream.Send(m)
}

// request takes the ticket that ext_authz gave the request.
func (c *conversation) request(in *envoy_service_ext_proc_v3.ProcessingRequest) error {
	headers := in.GetRequestHeaders()
	if headers == nil {
		return fmt.Errorf("%T at the beginning", in.GetRequest())
	}
	id := valueOf(headers.GetHeaders(), "x-request-id")
	c.id.Store(&id)
	said := in.GetMetadataContext().GetFilterMetadata()[check.MetadataNamespace]
	ticket := said.GetFields()[check.MetadataTicket].GetStringValue()
	exchange, ok := c.server.o.Exchanges.Take(ticket, id)
	if !ok {
		return c.refuse(403, "Not decided", "Nothing says that this request was allowed.")
	}
	c.exchange = exchange
	// A session that somebody ends takes its responses with it, and one that the policy of the moment would not let go on
	// goes no further.
	ended := context.AfterFunc(exchange.Life, func() { c.end(context.Cause(exchange.Life)) })
	watched := guard.Watch(exchange.Still, c.end)
	c.leave = func() {
		ended()
		watched()
	}
	var err error
	c.agent, c.record, err = c.server.o.Views.Of(exchange.Policy, exchange.Who, exchange.Admission.Target.GetName())
	if err != nil {
		return err
	}
	return c.send(&envoy_service_ext_proc_v3.ProcessingResponse{
		Response: &envoy_service_ext_proc_v3.ProcessingResponse_RequestHeaders{RequestHeaders: &envoy_service_ext_proc_v3.HeadersResponse{}},
	})
}

// response masks what comes back.
func (c *conversation) response() error {
	in, err := c.receive()
	if err != nil {
		return err
	}
	headers := in.GetResponseHeaders()
	if headers == nil {
		return fmt.Errorf("%T in place of response headers", in.GetRequest())
	}
	status, err := strconv.ParseUint(valueOf(headers.GetHeaders(), ":status"), 10, 16)
	if err != nil {
		return errors.New("a response without a status")
	}
	c.status = uint32(status)
	p := c.plan(headers)
	if p.refusal != "" {
		c.server.o.Metrics.responses.WithLabelValues("refused").Inc()
		return c.refuse(502, "The response was kept back", p.refusal)
	}
	c.server.o.Metrics.responses.WithLabelValues(p.how()).Inc()
	m := c.mutation(headers.GetHeaders(), p)
	if err := c.recordHeaders(headers.GetHeaders(), m); err != nil {
		return err
	}
	reply := &envoy_service_ext_proc_v3.ProcessingResponse{
		Response: &envoy_service_ext_proc_v3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &envoy_service_ext_proc_v3.HeadersResponse{
			Response: &envoy_service_ext_proc_v3.CommonResponse{HeaderMutation: m},
		}},
	}
	if err := c.send(reply); err != nil || headers.GetEndOfStream() {
		return err
	}
	return c.body(p)
}

// refuse answers the agent in place of the service, and fails.
func (c *conversation) refuse(code int, title, detail string) error {
	c.status = uint32(code) //nolint:gosec // G115: a status
	var masks []string
	if c.exchange != nil {
		masks = c.exchange.Masks
	}
	if err := c.send(immediate(code, title, detail, masks)); err != nil {
		return err
	}
	return &refusedError{detail}
}

// refusedError says that the agent was answered in place of the service.
type refusedError struct{ detail string }

func (e *refusedError) Error() string { return "refused: " + e.detail }

// undecodablePasses reports whether what masks cannot be applied to goes to the agent as it is.
func (c *conversation) undecodablePasses() bool {
	return c.exchange.Admission.Target.GetHttp().GetUndecodable() == policyv1.Http_PASS
}

// recordHeaders records those of a response, but for those that are taken away.
func (c *conversation) recordHeaders(all *envoy_config_core_v3.HeaderMap, m *envoy_service_ext_proc_v3.HeaderMutation) error {
	event := &recordv1.HttpResponse{Number: c.exchange.Number, Status: c.status, Headers: c.recorded(all, m)}
	return c.exchange.Recording.Append(false, &recordv1.Event{Kind: &recordv1.Event_HttpResponse{HttpResponse: event}})
}

// recorded are headers or trailers as the record shows them: without those that the mutation takes away.
func (c *conversation) recorded(all *envoy_config_core_v3.HeaderMap, m *envoy_service_ext_proc_v3.HeaderMutation) []*recordv1.Header {
	var out []*recordv1.Header
	for _, h := range all.GetHeaders() {
		name := h.GetKey()
		if strings.HasPrefix(name, ":") || slices.Contains(m.GetRemoveHeaders(), name) {
			continue
		}
		value, _ := credname.HideHeader(name, strings.ToValidUTF8(rawValue(h), "\ufffd"), c.server.o.Hide)
		if masked, ok := c.record.Header(name, value); ok {
			value = masked
		} else if name == etag && !c.record.Body().Empty() {
			value = policies.DefaultMaskText // it tells what the body's masks hide to whoever can guess that
			for _, sealed := range m.GetSetHeaders() {
				if sealed.GetHeader().GetKey() == etag {
					value = rawValue(sealed.GetHeader())
				}
			}
		}
		out = append(out, &recordv1.Header{Name: name, Value: value})
	}
	return out
}

// valueOf is the value of a header. One that stands several times is a list (RFC 9110, 5.3): clients may go by any of its
// members, so none is left out.
func valueOf(all *envoy_config_core_v3.HeaderMap, name string) string {
	value, some := "", false
	for _, h := range all.GetHeaders() {
		switch {
		case h.GetKey() != name:
		case some:
			value += ", " + rawValue(h)
		default:
			value, some = rawValue(h), true
		}
	}
	return value
}

// rawValue is a header's value in the one of two fields that Envoy fills.
func rawValue(h *envoy_config_core_v3.HeaderValue) string {
	if len(h.GetRawValue()) > 0 {
		return string(h.GetRawValue())
	}
	return h.GetValue()
}
