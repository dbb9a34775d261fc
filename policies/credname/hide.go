package credname

import (
	"net/url"
	"strings"
)

// HideHeader is a header's value as it may be kept, and whether it is another than it was. Of cookies the names stay, and
// the attributes of Set-Cookie; of Authorization the scheme. hide gives what stands for a value.
func HideHeader(name, value string, hide func([]byte) string) (string, bool) {
	if value == "" {
		return value, false
	}
	switch n := fold(name); {
	case n == "cookie":
		return hideCookies(value, hide), true
	case n == "set-cookie" || n == "set-cookie2":
		first, rest, attributes := strings.Cut(value, ";")
		if attributes {
			rest = ";" + rest
		}
		return hideCookies(first, hide) + rest, true
	case n == "sec-websocket-protocol" && strings.Contains(strings.ToLower(value), "bearer"): // as Kubernetes takes tokens
		return hide([]byte(value)), true
	case !Header(name):
		return HidePath(value, hide)
	}
	if scheme, rest, ok := strings.Cut(value, " "); ok && isScheme(scheme) {
		return scheme + " " + hide([]byte(rest)), true
	}
	return hide([]byte(value)), true
}

// isScheme knows the schemes that are in use (IANA's registry of HTTP authentication schemes).
func isScheme(s string) bool {
	switch strings.ToLower(s) {
	case "basic", "bearer", "digest", "dpop", "negotiate", "token", "apikey", "hoba", "mutual", "scram-sha-256", "aws4-hmac-sha256":
		return true
	}
	return false
}

// hideCookies hides the values of a list of pairs.
func hideCookies(list string, hide func([]byte) string) string {
	pairs := strings.Split(list, ";")
	for i, p := range pairs {
		name, value, ok := strings.Cut(p, "=")
		switch {
		case ok && value != "":
			pairs[i] = name + "=" + hide([]byte(value))
		case !ok && strings.TrimSpace(p) != "": // a value without a name (RFC 6265, 5.2)
			pairs[i] = hide([]byte(p))
		}
	}
	return strings.Join(pairs, ";")
}

// HidePath is a path with its query, or a URL, or words that hold one, as it may be kept, and whether it is another than
// it was: the values of query keys that carry a credential are hidden, also in a fragment (OAuth's implicit answers) and in a
// URL that is the value of a key, and passwords before a host. The rest stays byte for byte.
func HidePath(path string, hide func([]byte) string) (string, bool) {
	path, users := hidePasswords(path, hide)
	hidden, queries := hideQuery(path, hide, nested)
	return hidden, users || queries
}

// nested is how many URLs within one another are looked into.
const nested = 4

// hidePasswords hides those of URLs (RFC 3986, 3.2.1).
func hidePasswords(text string, hide func([]byte) string) (string, bool) {
	if strings.IndexByte(text, '@') < 0 {
		return text, false
	}
	var b strings.Builder
	rest, changed := text, false
	for {
		before, after, ok := strings.Cut(rest, "://")
		if !ok {
			break
		}
		end := strings.IndexAny(after, "/?# \t,;\"<>")
		if end < 0 {
			end = len(after)
		}
		b.WriteString(before + "://")
		user, host := "", after[:end]
		if at := strings.LastIndexByte(host, '@'); at >= 0 {
			user, host = host[:at], host[at:]
		}
		if name, password, ok := strings.Cut(user, ":"); ok && password != "" {
			user, changed = name+":"+hide([]byte(password)), true
		}
		b.WriteString(user + host)
		rest = after[end:]
	}
	if !changed {
		return text, false
	}
	b.WriteString(rest)
	return b.String(), true
}

// hidesInside reports whether a value of a query is itself a path or URL with something to hide.
func hidesInside(value string, depth int) bool {
	if depth == 0 || !strings.Contains(value, "%") && !strings.ContainsAny(value, "?#") {
		return false
	}
	plain, err := url.QueryUnescape(value)
	if err != nil {
		return false
	}
	nothing := func([]byte) string { return "" }
	_, users := hidePasswords(plain, nothing)
	_, queries := hideQuery(plain, nothing, depth-1)
	return users || queries || plain != value && hidesInside(plain, depth-1)
}

func hideQuery(path string, hide func([]byte) string, depth int) (string, bool) {
	at := strings.IndexAny(path, "?#")
	if at < 0 {
		return path, false
	}
	var b strings.Builder
	changed := false
	b.WriteString(path[:at])
	for rest := path[at:]; rest != ""; {
		b.WriteByte(rest[0]) // ?, #, & or ;
		rest = rest[1:]
		end := strings.IndexAny(rest, "&;?# ")
		if end < 0 {
			end = len(rest)
		}
		name, value, ok := strings.Cut(rest[:end], "=")
		if ok && value != "" && (Key(name) || hidesInside(value, depth)) {
			b.WriteString(name + "=" + hide([]byte(value)))
			changed = true
		} else {
			b.WriteString(rest[:end])
		}
		rest = rest[end:]
	}
	return b.String(), changed
}
