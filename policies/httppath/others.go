package httppath

import (
	"regexp"
	"slices"
	"strings"

	"github.com/sluicegate/sluice/policies/httploose"
)

var (
	// program is the end of a segment that names one: what follows it is its business (RFC 3875, 4.1.5), so that many services
	// take /index.php/admin for /admin.
	program = regexp.MustCompile(`(?i).\.(php[0-9]?|phtml|phar|f?cgi|pl|py|wsgi|rb|lua|aspx?|ashx|asmx|svc|cfml?|cfc|jspx?|dll|exe)$`)
	// ticket is what ASP.NET takes out of a path: /(S(x))/admin is /admin, /ad(S(x))min, too.
	ticket = regexp.MustCompile(`/?\(([A-Za-z]\([^()]*\))+\)`)
	// stream is how NTFS names a file's or folder's own content: /admin::$INDEX_ALLOCATION is /admin.
	stream = regexp.MustCompile(`:[^:/]*:\$[A-Za-z_]+`)
)

// Others are paths, decoded, for which some services take a decoded one: without what ASP.NET and file systems pass over in
// it, and without names of programs in it, with and without what stands before them, or with what they are without an ending.
func Others(path string) []string {
	var out []string
	add := func(other string) {
		if other != path && !slices.Contains(out, other) {
			out = append(out, other)
		}
	}
	plain := path
	if strings.ContainsAny(path, "(:") {
		plain = stream.ReplaceAllString(ticket.ReplaceAllString(path, ""), "")
		if !strings.HasPrefix(plain, "/") {
			plain = "/" + plain
		}
		add(plain)
	}
	if !strings.Contains(plain, ".") {
		return out
	}
	parts := strings.Split(plain[1:], "/")
	var without, stems []string
	last := -1
	for i, part := range parts {
		if program.MatchString(part) {
			last, stems = i, append(stems, httploose.Stem(part))
			continue
		}
		without, stems = append(without, part), append(stems, part)
	}
	if last < 0 {
		return out
	}
	for _, other := range [][]string{without, parts[last+1:], stems} {
		add("/" + strings.Join(other, "/"))
	}
	return out
}

// others are those of a path that was read.
func (p Path) others() []Path {
	if !slices.ContainsFunc(p.Segments, func(s string) bool { return strings.ContainsAny(s, ".(:") }) {
		return nil
	}
	var out []Path
	for _, other := range Others("/" + strings.Join(p.Segments, "/")) {
		q := Path{Raw: p.Raw, Query: p.Query, Slash: p.Slash}
		for segment := range strings.SplitSeq(other[1:], "/") {
			if segment != "" {
				q.Segments = append(q.Segments, segment)
			}
		}
		out = append(out, q)
	}
	return out
}
