package check

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
)

// maxUnpacked is how many bytes a compressed body may come to, so that names are looked for in it.
const maxUnpacked = 8 << 20

// maxLegible is how many it may come to before people, who see all of it.
const maxLegible = 1 << 20

// compressed reports whether a body is encoded (RFC 9110, 8.4).
func compressed(encoding string) bool {
	encoding = strings.TrimSpace(encoding)
	return encoding != "" && !strings.EqualFold(encoding, "identity")
}

// reads is how many bytes may be read of the body: of one that is compressed, as many as it may come to.
func (r *request) reads() int {
	if compressed(r.header("content-encoding")) && len(r.body) > 0 {
		return maxUnpacked
	}
	return len(r.body)
}

// unpacked is what a compressed body says, if all services that read it find the same there: gzip once, of one member
// (RFC 1952, 2.2) with nothing behind it, whose sums are right, and of so many bytes at most.
func unpacked(encoding string, body []byte, most int) ([]byte, bool) {
	encoding = strings.ToLower(strings.TrimSpace(encoding))
	if encoding != "gzip" && encoding != "x-gzip" {
		return nil, false
	}
	rest := bytes.NewReader(body)
	member, err := gzip.NewReader(rest)
	if err != nil {
		return nil, false
	}
	member.Multistream(false)
	text, err := io.ReadAll(io.LimitReader(member, int64(most)+1))
	return text, err == nil && len(text) <= most && rest.Len() == 0
}

// legible is the body as people are to see it: unpacked. False: it cannot be, or services that unpack nothing could read a form
// in the bytes themselves. What is never read as a form or a text is bytes to people, too.
func (r *request) legible() ([]byte, bool) {
	encoding := r.header("content-encoding")
	if !compressed(encoding) {
		return r.body, true
	}
	b := r.bodyType()
	if text, ok := unpacked(encoding, r.body, maxLegible); ok && !b.form && !b.multipart {
		return text, true
	}
	return r.body, !b.opaque()
}
