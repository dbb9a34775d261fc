package http_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_service_ext_proc_v3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluicegate/sluice/authz/check"
)

// script is the other end of a stream: it says what it was told to, whatever is answered.
type script struct {
	grpc.ServerStream
	t       *testing.T
	ctx     context.Context
	says    []*envoy_service_ext_proc_v3.ProcessingRequest
	tape    *tape
	strict  bool         // what is sent is recorded before
	sent    bytes.Buffer // of the body
	decided bool         // the ticket was taken
}

func (s *script) Context() context.Context { return s.ctx }

func (s *script) Recv() (*envoy_service_ext_proc_v3.ProcessingRequest, error) {
	if len(s.says) == 0 {
		return nil, io.EOF
	}
	m := s.says[0]
	s.says = s.says[1:]
	return m, nil
}

func (s *script) Send(m *envoy_service_ext_proc_v3.ProcessingResponse) error {
	if m.GetRequestHeaders() != nil {
		s.decided = true
	}
	body := m.GetResponseBody().GetResponse().GetBodyMutation().GetStreamedResponse().GetBody()
	s.sent.Write(body)
	if s.decided && s.strict && !bytes.Equal(s.tape.body.Bytes()[:min(s.tape.body.Len(), s.sent.Len())], s.sent.Bytes()) {
		s.t.Errorf("sent %q, recorded before it %q", s.sent.Bytes(), s.tape.body.Bytes())
	}
	return nil
}

// scripted reads what Envoy says: a line each, of which the first byte says what it is.
func scripted(text string) []*envoy_service_ext_proc_v3.ProcessingRequest {
	var out []*envoy_service_ext_proc_v3.ProcessingRequest
	for line := range strings.SplitSeq(text, "\n") {
		kind, rest := "", ""
		if line != "" {
			kind, rest = line[:1], line[1:]
		}
		m := &envoy_service_ext_proc_v3.ProcessingRequest{}
		switch kind {
		case "q": // the request, decided
			m.Request = &envoy_service_ext_proc_v3.ProcessingRequest_RequestHeaders{
				RequestHeaders: &envoy_service_ext_proc_v3.HttpHeaders{Headers: headers("x-request-id= r-1")},
			}
			m.MetadataContext = &envoy_config_core_v3.Metadata{FilterMetadata: map[string]*structpb.Struct{
				check.MetadataNamespace: {Fields: map[string]*structpb.Value{check.MetadataTicket: structpb.NewStringValue("t-1")}},
			}}
		case "t":
			m.Request = &envoy_service_ext_proc_v3.ProcessingRequest_RequestTrailers{
				RequestTrailers: &envoy_service_ext_proc_v3.HttpTrailers{Trailers: headers(strings.Split(rest, "|")...)},
			}
		case "h", "e": // headers of a response, with a body or without
			m.Request = &envoy_service_ext_proc_v3.ProcessingRequest_ResponseHeaders{
				ResponseHeaders: &envoy_service_ext_proc_v3.HttpHeaders{Headers: headers(strings.Split(rest, "|")...), EndOfStream: kind == "e"},
			}
		case "l": // the same, of an answer that Envoy says is so
			m.Request = &envoy_service_ext_proc_v3.ProcessingRequest_ResponseHeaders{ResponseHeaders: &envoy_service_ext_proc_v3.HttpHeaders{Headers: headers(":status= 403")}}
			m.Attributes = map[string]*structpb.Struct{
				"envoy.filters.http.ext_proc": {Fields: map[string]*structpb.Value{"response.code_details": structpb.NewStringValue(rest)}},
			}
		case "b", "B": // a piece of a body, or its last
			m.Request = &envoy_service_ext_proc_v3.ProcessingRequest_ResponseBody{
				ResponseBody: &envoy_service_ext_proc_v3.HttpBody{Body: []byte(rest), EndOfStream: kind == "B"},
			}
		case "T":
			m.Request = &envoy_service_ext_proc_v3.ProcessingRequest_ResponseTrailers{
				ResponseTrailers: &envoy_service_ext_proc_v3.HttpTrailers{Trailers: headers(strings.Split(rest, "|")...)},
			}
		}
		out = append(out, m)
	}
	return out
}

// Whom the masks except gets what the record has already, also where the two are masked apart.
func TestALongBodyIsRecordedBeforeItIsSent(t *testing.T) {
	o := options{target: "api", method: "GET", groups: []string{"dba"}, tape: &tape{}, life: t.Context()}
	s := serverOf(&shelf{exchange: exchangeOf(compiled(t), o, func() {})}, time.Minute, slog.DiscardHandler)
	one := &script{t: t, ctx: t.Context(), tape: o.tape, strict: true, says: scripted(
		"q\nh:status= 200|content-type= application/json\nB[" + strings.Repeat("1234567,", 1<<17) + "1]",
	)}
	if err := s.Process(one); err == nil || one.sent.Len() < 1<<20 {
		t.Errorf("%d bytes were sent, %v", one.sent.Len(), err)
	}
}

// FuzzConversation: whatever Envoy says and in whatever order, no stream ends well, no fault of ours is hit, nothing is
// sent that was not recorded, and an answer that nobody decided on does not pass.
func FuzzConversation(f *testing.F) {
	p := compiled(f)
	for _, text := range []string{
		"q\nh:status= 200|content-type= application/json\nb{\"password\": \"s3c\nBret\"}",
		"q\nh:status= 200|content-type= text/event-stream|x-secret= s\nbdata: {\"password\":\nb1}\n\nB",
		"q\nt x-api-key= forged\ne:status= 204",
		"q\nh:status= 101|upgrade= websocket\nb\xff\nB",
		"q\nh:status= 200|content-type= application/json\nb[1,2\nTx-secret= s",
		"lext_authz_denied\nb{\"title\":\nB\"no\"}",
		"lvia_upstream\nB{}",
		"h:status= 200|content-type= application/json\nB{\"password\": \"s3cret\"}",
		"t\nb\nq\nq\n",
	} {
		f.Add(text, "api", "GET")
		f.Add(text, "lax", "HEAD")
		f.Add(text, "open", "POST")
	}
	f.Fuzz(func(t *testing.T, text, target, method string) {
		if p.Target(target) == nil {
			target = "api"
		}
		o := options{target: target, method: method, tape: &tape{}, life: t.Context()}
		var log strings.Builder
		left := 0
		s := serverOf(&shelf{exchange: exchangeOf(p, o, func() { left++ })}, time.Minute, slog.NewTextHandler(&log, nil))
		one := &script{t: t, ctx: t.Context(), says: scripted(text), tape: o.tape, strict: target == "api"} // else by its digest, in the end
		local := strings.HasPrefix(text, "l") && !strings.HasPrefix(text, "lvia_upstream\n") && !strings.HasPrefix(text, "l\n")
		if err := s.Process(one); err == nil {
			t.Error("it ended well")
		}
		if strings.Contains(log.String(), "panic") {
			t.Error(log.String())
		}
		if !one.decided && !local && one.sent.Len() > 0 {
			t.Errorf("nobody decided, and %q was sent", one.sent.String())
		}
		if want := map[bool]int{true: 1}[one.decided]; left != want {
			t.Errorf("the session was left %d times, not %d", left, want)
		}
	})
}
