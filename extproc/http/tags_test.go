package http_test

import (
	"strings"
	"testing"

	envoy_service_ext_proc_v3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/sluicegate/sluice/policies/httptag"
)

func TestATagOfAMaskedAnswerIsOurs(t *testing.T) {
	key, err := httptag.New([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	scope := key.Scope([]byte("x"))
	sealed, _ := scope.Seal(`"v7"`)
	for name, c := range map[string]struct {
		groups []string
		tags   bool
		tag    string
		want   string // empty: none
		record string
	}{
		"masked":            {nil, true, `"v7"`, sealed, sealed[3:20]},
		"no tag at all":     {nil, true, "v7", "", ""},
		"without a scope":   {nil, false, `"v7"`, "", ""},
		"whom masks except": {[]string{"dba"}, false, `"v7"`, `"v7"`, "[masked]"},
	} {
		e := dial(t, options{groups: c.groups, tags: map[bool]func() httptag.Scope{true: func() httptag.Scope { return scope }}[c.tags]})
		change := e.start(false, ":status= 200", "content-type= application/json", "etag= "+c.tag).GetResponseHeaders().GetResponse().GetHeaderMutation()
		got := c.tag
		for _, h := range change.GetSetHeaders() {
			if h.GetHeader().GetKey() == "etag" {
				got = string(h.GetHeader().GetRawValue())
			}
		}
		for _, h := range change.GetRemoveHeaders() {
			if h == "etag" {
				got = ""
			}
		}
		if got != c.want {
			t.Errorf("%s: the agent gets %q", name, got)
		}
		if text := e.tape.text(); c.record == "" && strings.Contains(text, "etag") || c.record != "" && !strings.Contains(text, c.record) || strings.Contains(text, "v7") {
			t.Errorf("%s: recorded %s", name, text)
		}
	}
}

func TestTrailersAndCookiesAreInTheRecordAsTheyGoOn(t *testing.T) {
	e := dial(t, options{})
	change := e.start(false, ":status= 200", "content-type= application/json", "set-cookie= session=0123", "set-cookie= b=2").GetResponseHeaders().GetResponse().GetHeaderMutation()
	if got := strings.Join(change.GetRemoveHeaders(), " "); !strings.Contains(got, "set-cookie") {
		t.Errorf("removed: %s", got)
	}
	e.chunk(`{"a":1}`, false)
	e.send(&envoy_service_ext_proc_v3.ProcessingRequest{Request: &envoy_service_ext_proc_v3.ProcessingRequest_ResponseTrailers{
		ResponseTrailers: &envoy_service_ext_proc_v3.HttpTrailers{Trailers: headers("x-secret= s3cret", "x-note= abc", "set-cookie= late=1")},
	}})
	if _, err := e.body(); err != nil {
		t.Fatal(err)
	}
	if err := e.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	o := e.tape.outcome()
	var got []string
	for _, h := range o.GetTrailers() {
		got = append(got, h.GetName()+"="+h.GetValue())
	}
	if text := strings.Join(got, " "); text != "x-secret=[masked] x-note=abc" || strings.Contains(e.tape.text(), "0123") {
		t.Errorf("recorded %q", text)
	}
}
