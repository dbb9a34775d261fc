package httpmask

import (
	"mime"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var (
	// nameParameters finds each parameter that some service takes for a name, extended ones too (RFC 2231), wherever it stands.
	nameParameters = regexp.MustCompile(`(?i)\bname\s*[*=]`)
	// headerWithin is what readers that search a part's whole header take for one that has its name.
	headerWithin = regexp.MustCompile(`(?i)content-(disposition|id|type)\s*:`)
	// beyondQuotes finds what a disposition has in quotes, and a file's name with its language (RFC 8187): the rest has none.
	beyondQuotes = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|(?i:filename\*=)[^;]*`)
	// escapes are those that clients write: of what would end a name, and of their own sign.
	escapes = strings.NewReplacer(`\"`, "", `\\`, "")
)

// names are those that some service takes for the name of the part's field, whatever its disposition; "" is first where it
// has none. False: services could read another, such as one that is encoded (RFC 2047), or stands in quotes that only some
// take off.
func (p part) names() ([]string, bool) {
	disposition, once := p.get("Content-Disposition")
	name, file, ok := dispositionNames(disposition)
	if !ok || !once {
		return nil, false
	}
	out := []string{name}
	for _, h := range p.headers {
		id, ok := h.id()
		if !ok {
			return nil, false
		}
		if id != "" {
			out = append(out, id, strings.Trim(id, "<>"))
		}
	}
	if name == "" { // Rack takes the file's, or the type
		kind, _ := p.get("Content-Type")
		_, parameters, _ := mime.ParseMediaType(kind)
		for _, other := range []string{file, kind, parameters["name"]} {
			if other != "" && !strings.ContainsAny(other, "/.") {
				out = append(out, other)
			}
		}
	}
	return slices.Compact(out), true
}

// id is what the header has that Rack takes for a name if there is no other: an identifier (RFC 2045, 7) of no domain. False:
// the header is none, but looks like one that names the part.
func (h header) id() (string, bool) {
	key := strings.ToLower(strings.ReplaceAll(h.name, "_", "-"))
	switch {
	case headerWithin.MatchString(h.value):
		return "", false
	case strings.EqualFold(h.name, "Content-Disposition") || key == "content-type":
		return "", true
	case strings.HasSuffix(key, "content-disposition") || nameParameters.MatchString(h.value):
		return "", false
	case strings.HasSuffix(key, "content-id") && !strings.Contains(h.value, "@"):
		return h.value, true
	}
	return "", true
}

// dispositionNames are the names of the field and of the file that a disposition has (RFC 6266); false: services could read
// others.
func dispositionNames(disposition string) (name, file string, ok bool) {
	if disposition == "" {
		return "", "", true
	}
	_, parameters, err := mime.ParseMediaType(disposition)
	for parameter := range parameters {
		if strings.HasSuffix(parameter, "name") && parameter != "name" && parameter != "filename" {
			return "", "", false
		}
	}
	name, named := parameters["name"]
	given := nameParameters.FindAllString(disposition, 2)
	once := len(given) == 0 && !named || len(given) == 1 && named && given[0] == "name="
	return name, parameters["filename"], err == nil && once && isPlainName(name) && isPlainlyQuoted(disposition)
}

// isPlainName reports whether all services read a name as it stands: some take off other quotes, or decode, or read no
// further than a quote or a semicolon.
func isPlainName(name string) bool {
	const quotes = "'`<>"
	return strings.Trim(name, quotes) == name && !strings.ContainsAny(name, `";\`) && !strings.Contains(name, "=?") &&
		!strings.ContainsFunc(name, unicode.IsControl)
}

// isPlainlyQuoted reports whether all services agree on what is quoted: PHP takes single quotes, too, some read no backslash.
func isPlainlyQuoted(disposition string) bool {
	return !strings.Contains(escapes.Replace(disposition), `\`) && !strings.ContainsAny(beyondQuotes.ReplaceAllString(disposition, ""), "'`\"")
}
