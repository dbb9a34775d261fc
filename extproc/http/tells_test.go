package http_test

import (
	"slices"
	"strings"
	"testing"

	envoy_service_ext_proc_v3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// A digest of what masks hide tells whether a guess of it is right.
func TestDigestsAndTagsOfAMaskedBodyDoNotReachTheAgent(t *testing.T) {
	telling := []string{
		"content-md5", "digest", "content-digest", "repr-digest", "x-goog-hash", "x-goog-stored-content-length", "x-amz-checksum-sha256",
		"x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme", "x-checksum-sha1", "x-ms-blob-content-md5", "x-linked-etag", "x-linked-size",
		"docker-content-digest", "x-dropbox-content-hash", "x-bz-content-sha1", "x-content-blake3",
		"signature", "signature-input", "x-jws-signature", "x-gitlab-blob-id", "x-gitlab-size", "x-xet-hash", "x-amz-meta-s3cmd-attrs",
		"dropbox-api-result",
	}
	plain := []string{"x-request-id", "x-page-size", "x-commit-hash", "x-release-tag", "x-share", "x-total-count", "x-blob-name"}
	lines := func(more ...string) (all []string) {
		for _, name := range slices.Concat(telling, plain) {
			all = append(all, name+"= abc")
		}
		return append(all, more...)
	}
	for name, groups := range map[string][]string{"masked": nil, "whom masks except": {"dba"}} {
		e := dial(t, options{groups: groups})
		inHead := e.start(false, lines(":status= 200", "content-type= application/json", "content-range= Bytes 0-9/10")...).GetResponseHeaders().GetResponse().GetHeaderMutation().GetRemoveHeaders()
		e.chunk(`{"a":1}`, false)
		e.send(&envoy_service_ext_proc_v3.ProcessingRequest{Request: &envoy_service_ext_proc_v3.ProcessingRequest_ResponseTrailers{
			ResponseTrailers: &envoy_service_ext_proc_v3.HttpTrailers{Trailers: headers(lines(`etag= "raw"`)...)},
		}})
		var inTrailers []string
		for inTrailers == nil {
			m, err := e.stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if at := m.GetResponseTrailers(); at != nil {
				inTrailers = append(at.GetHeaderMutation().GetRemoveHeaders(), ".")
			}
		}
		if slices.Contains(inHead, "content-range") != (groups == nil) {
			t.Errorf("%s: the length in a range", name)
		}
		for where, removed := range map[string][]string{"head": inHead, "trailers": inTrailers} {
			for _, h := range telling {
				if slices.Contains(removed, h) != (groups == nil) {
					t.Errorf("%s, %s: %s", name, where, h)
				}
			}
			if slices.ContainsFunc(plain, func(h string) bool { return slices.Contains(removed, h) }) {
				t.Errorf("%s, %s: removed %s", name, where, strings.Join(removed, " "))
			}
		}
		if slices.Contains(inTrailers, "etag") != (groups == nil) {
			t.Errorf("%s: the tag in trailers", name)
		}
	}
}
