package check

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
)

// maxUnpacked is how many bytes a compressed body may come to, so that names are looked for in it.
const maxUnpacked = 8 << 20

// compressed reports whether a body is encoded (RFC 9110, 8.4).
func compressed(encoding string) bool {
	encoding = strings.TrimSpace(encoding)
	return encoding != "" && !strings.EqualFold(encoding, "identity")
}

// unpacked is what a compressed body says, if all services that read it find the same there: gzip once, of one member
// (RFC 1952, 2.2) with nothing behind it, whose sums are right.
func unpacked(encoding string, body []byte) ([]byte, bool) {
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
	text, err := io.ReadAll(io.LimitReader(member, maxUnpacked+1))
	return text, err == nil && len(text) <= maxUnpacked && rest.Len() == 0
}
