package http

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	envoy_config_core_v3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	envoy_service_ext_proc_v3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	envoy_type_v3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies/httpmask"
	"github.com/sluicegate/sluice/policies/jsonmask"
)

// plan is what becomes of a response, as its headers tell.
type plan struct {
	// refusal says why the agent does not get it; empty if it does.
	refusal string
	// upgrade: what follows is no body, and is neither masked nor shown in the record.
	upgrade bool
	// format of the body, if masks of the agent's (masked) or of the record's (shown) are applied to it.
	format        jsonmask.Format
	masked, shown bool
	// apart: the record's masks cannot be applied in the format of the agent's: it shows nothing of the body.
	apart bool
}

func (p plan) how() string {
	if p.masked {
		return "masked"
	}
	return "clear"
}

// plan reads the headers of a response.
func (c *conversation) plan(h *envoy_service_ext_proc_v3.HttpHeaders) plan {
	headers := h.GetHeaders()
	masks := !c.agent.Body().Empty()
	applies := masks && !c.undecodablePasses()
	switch {
	case c.status == 101:
		if applies {
			return plan{refusal: "Masks apply to you, and they cannot be applied to a WebSocket."}
		}
		return plan{upgrade: true}
	case h.GetEndOfStream(), c.exchange.Method == "HEAD", c.status == 204, c.status == 304:
		return plan{masked: masks}
	}
	why := ""
	kind := valueOf(headers, "content-type")
	agentFormat, agentOK := c.agent.Format(kind)
	recordFormat, recordOK := c.record.Format(kind)
	encoding := strings.ToLower(strings.TrimSpace(valueOf(headers, "content-encoding")))
	// What stands there may be a secret, and reasons go to the agent, the log and the record.
	quote := func(name, value string) string {
		shown, _ := c.record.Header(name, value)
		return fmt.Sprintf("%.64q", shown)
	}
	switch {
	case encoding != "" && encoding != "identity":
		why = fmt.Sprintf("It is compressed (%s), although that was not asked for, so masks cannot be applied to it.", quote("content-encoding", valueOf(headers, "content-encoding")))
	case c.status == 206:
		why = "It is a part of something (206), so masks cannot be applied to it."
	case !agentOK && masks:
		why = fmt.Sprintf("It is of the type %s, to which masks cannot be applied.", quote("content-type", kind))
	}
	switch {
	case why != "" && applies:
		return plan{refusal: why}
	case why != "":
		return plan{}
	}
	p := plan{format: recordFormat, masked: masks, shown: recordOK && !c.record.Body().Empty()}
	if p.masked {
		p.format, p.apart = agentFormat, !recordOK || recordFormat != agentFormat
	}
	return p
}

// mutation masks headers, and takes away what is not true of the masked body: its length, its digests, and that it can
// be had in parts.
func (c *conversation) mutation(all *envoy_config_core_v3.HeaderMap, p plan) *envoy_service_ext_proc_v3.HeaderMutation {
	m := c.mutated(all)
	if p.masked {
		tells(all, m)
		m.RemoveHeaders = append(m.RemoveHeaders, untrue...)
	}
	c.retag(all, m)
	// What one agent may see is not for a cache to give to another (RFC 9111, 4.1), whatever the service says.
	if !c.record.Empty() {
		m.SetHeaders = append(m.SetHeaders, &envoy_config_core_v3.HeaderValueOption{
			Header:       &envoy_config_core_v3.HeaderValue{Key: "vary", RawValue: []byte("authorization")},
			AppendAction: envoy_config_core_v3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD,
		})
	}
	return m
}

// etag is the header of an entity tag (RFC 9110, 8.8.3).
const etag = "etag"

// retag puts a tag of ours in the place of the service's, which may tell what masks hide to whoever can guess that.
func (c *conversation) retag(all *envoy_config_core_v3.HeaderMap, m *envoy_service_ext_proc_v3.HeaderMutation) {
	tag := valueOf(all, etag)
	if c.agent.Body().Empty() || tag == "" {
		return
	}
	m.SetHeaders = slices.DeleteFunc(m.GetSetHeaders(), func(h *envoy_config_core_v3.HeaderValueOption) bool { return h.GetHeader().GetKey() == etag })
	sealed, ok := "", false
	if c.exchange.Tags != nil {
		sealed, ok = c.exchange.Tags().Seal(tag)
	}
	if _, hidden := c.agent.Header(etag, tag); hidden || !ok {
		m.RemoveHeaders = append(m.RemoveHeaders, etag)
		return
	}
	m.SetHeaders = append(m.SetHeaders, only(etag, sealed))
}

// mutated masks headers or trailers, and keeps cookies back unless the target lets them pass: what a service knows the real
// credential's session by is a credential, too (RFC 6265).
func (c *conversation) mutated(all *envoy_config_core_v3.HeaderMap) *envoy_service_ext_proc_v3.HeaderMutation {
	m := maskHeaders(all, c.agent)
	if c.exchange.Admission.Target.GetHttp().GetCookies() == policyv1.Cookies_PASS {
		return m
	}
	for _, h := range all.GetHeaders() {
		if name := h.GetKey(); slices.Contains(cookies, name) {
			takeAway(m, name)
		}
	}
	return m
}

// trailing is mutation for trailers.
func (c *conversation) trailing(all *envoy_config_core_v3.HeaderMap, masked bool) *envoy_service_ext_proc_v3.HeaderMutation {
	m := c.mutated(all)
	if masked {
		tells(all, m)
	}
	c.retag(all, m)
	return m
}

// takeAway removes a header, whatever else was to become of it.
func takeAway(m *envoy_service_ext_proc_v3.HeaderMutation, name string) {
	m.SetHeaders = slices.DeleteFunc(m.GetSetHeaders(), func(o *envoy_config_core_v3.HeaderValueOption) bool { return o.GetHeader().GetKey() == name })
	if !slices.Contains(m.GetRemoveHeaders(), name) {
		m.RemoveHeaders = append(m.RemoveHeaders, name)
	}
}

// tells takes away what says something of the body as the service sent it: whoever can guess what masks hide would see by its
// digest or its length whether that is right.
func tells(all *envoy_config_core_v3.HeaderMap, m *envoy_service_ext_proc_v3.HeaderMutation) {
	for _, h := range all.GetHeaders() {
		// A range of bytes has the length of all; one of rows is for whoever reads page by page.
		if name := h.GetKey(); tellsOf(name) || name == "content-range" && strings.HasPrefix(strings.ToLower(rawValue(h)), "bytes") {
			takeAway(m, name)
		}
	}
}

// tellsOf reports whether a header, by its name, has a digest, a signature, a tag or a length of a body: those of RFC 9530, RFC
// 1864 and RFC 3230, RFC 9421 and detached ones of RFC 7515, whose keys anybody may have, and what object stores and registries
// have of their own (x-amz-checksum-sha256, x-goog-hash, x-ms-blob-content-md5, x-linked-size). It is asked of each header of a
// masked response.
func tellsOf(name string) bool {
	within := func(word string) bool { return strings.Contains(name, word) }
	ends := func(word string) bool { return strings.HasSuffix(name, word) }
	return slices.ContainsFunc(digests, within) || slices.ContainsFunc(measures, ends)
}

var (
	digests = []string{
		"md5", "sha1", "sha2", "sha3", "sha5", "sha-1", "sha-2", "sha-3", "sha-5", "crc32", "crc-32", "crc64", "crc-64",
		"checksum", "digest", "xxh", "blake2", "blake3", "signature", "jws", "blob-id", "s3cmd-attrs", "dropbox-api-result",
	}
	measures = []string{
		"-etag", "-content-length", "goog-hash", "content-hash", "body-hash", "object-hash", "file-hash", "blob-hash", "linked-hash",
		"goog-size", "content-size", "body-size", "object-size", "file-size", "blob-size", "linked-size",
		"gitlab-size", "xet-hash",
	}
)

// cookies are the headers that set them.
var cookies = []string{"set-cookie", "set-cookie2"}

// untrue are the headers that a masked body makes wrong.
var untrue = []string{"content-length", "accept-ranges", "content-md5", "digest", "content-digest", "repr-digest"}

// maskHeaders replaces the values of those that a mask names. One that stands several times is replaced as a whole.
func maskHeaders(all *envoy_config_core_v3.HeaderMap, v *httpmask.View) *envoy_service_ext_proc_v3.HeaderMutation {
	m := &envoy_service_ext_proc_v3.HeaderMutation{}
	values := map[string][]string{}
	var hidden []string
	for _, h := range all.GetHeaders() {
		name := h.GetKey()
		if strings.HasPrefix(name, ":") {
			continue
		}
		value, ok := v.Header(name, rawValue(h))
		if ok && !slices.Contains(hidden, name) {
			hidden = append(hidden, name)
		}
		values[name] = append(values[name], value)
	}
	for _, name := range hidden {
		for i, value := range values[name] {
			action := envoy_config_core_v3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD
			if i == 0 {
				action = envoy_config_core_v3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD
			}
			m.SetHeaders = append(m.SetHeaders, &envoy_config_core_v3.HeaderValueOption{
				Header: &envoy_config_core_v3.HeaderValue{Key: name, RawValue: []byte(value)}, AppendAction: action,
			})
		}
	}
	return m
}

// immediate is an answer of ours (RFC 9457). masks are the names of those that apply to the agent.
func immediate(code int, title, detail string, masks []string) *envoy_service_ext_proc_v3.ProcessingResponse {
	hint := "Ask the owner of the policy."
	if len(masks) > 0 {
		hint = fmt.Sprintf("Ask the owner of the policy: to you apply the masks %s; undecodable of the target says what may pass.", strings.Join(masks, ", "))
	}
	text, err := json.Marshal(map[string]any{
		"type": "urn:sluice:problem:response", "title": title, "status": code, "detail": detail, "hint": hint,
	})
	if err != nil { // strings and a number: cannot be
		text = []byte("{}")
	}
	return &envoy_service_ext_proc_v3.ProcessingResponse{
		Response: &envoy_service_ext_proc_v3.ProcessingResponse_ImmediateResponse{ImmediateResponse: &envoy_service_ext_proc_v3.ImmediateResponse{
			Status: &envoy_type_v3.HttpStatus{Code: envoy_type_v3.StatusCode(code)}, //nolint:gosec // G115: a status
			Headers: &envoy_service_ext_proc_v3.HeaderMutation{SetHeaders: []*envoy_config_core_v3.HeaderValueOption{
				only("content-type", "application/problem+json"), only("cache-control", "no-store"),
			}},
			Body: append(text, '\n'),
		}},
	}
}

func only(name, value string) *envoy_config_core_v3.HeaderValueOption {
	return &envoy_config_core_v3.HeaderValueOption{
		Header:       &envoy_config_core_v3.HeaderValue{Key: name, RawValue: []byte(value)},
		AppendAction: envoy_config_core_v3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}
