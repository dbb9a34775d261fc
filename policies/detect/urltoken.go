package detect

import "bytes"

const urlTokenName = "url-token"

// urlToken knows secrets in the query of a URL or in a form by their names (RFC 3986, section 3.4; OAuth 2.0, RFC 6750,
// section 2.3, of access_token): ?token=x, &api_key=x. The find is the value alone. Passwords there are a connection
// string's.
func urlToken() detector {
	d := detector{name: urlTokenName, what: "tokens, keys and signatures in the query of a URL"}
	for _, name := range []string{"token=", "secret=", "signature=", "apikey=", "api_key=", "api-key=", "access_key=", "auth_key="} {
		d.marks = append(d.marks, mark{text: name, fold: true, then: queryByte, lane: lanePairs, kind: kindURLToken})
	}
	return d
}

const (
	// queryByte is what values in a query are made of, percent-encoded or not.
	queryByte = token68 | percent | sign | tilde
	// queryNameMost is how long a parameter's name may be.
	queryNameMost = 48
	// urlTokenLeast is the least length of a token: shorter ones are words.
	urlTokenLeast = 6
)

// pages are the first parts of names of tokens that are places in a list: who cannot follow them cannot read on.
var pages = [...]string{"page", "next", "continuation", "continue", "skip", "sync", "cursor", "start", "resume", "delta", "previous", "prev"}

func (c *cursor) urlToken(at, body int) (int, int) {
	name := c.queryName(at)
	if name < 0 {
		return 0, 0
	}
	if isPage(c.text[name:at]) {
		return 0, 0
	}
	end := c.queryEnd(body)
	if end-body < urlTokenLeast {
		return 0, 0
	}
	return c.queryValue(body, end)
}

// isPage says whether what stands before the word token names a place in a list: page_token, nextPageToken.
func isPage(before []byte) bool {
	for len(before) > 0 && !alnum.is(before[len(before)-1]) {
		before = before[:len(before)-1]
	}
	for _, word := range pages {
		if foldedAt(before, len(before)-len(word), word) {
			return true
		}
	}
	return false
}

// queryName gives the begin of the parameter's name in which a place stands, or -1 if it is none: a name stands behind ?,
// & or ;, or behind # (RFC 6749, section 4.2.2), also where that is escaped.
func (c *cursor) queryName(at int) int {
	begin := at
	for begin > 0 && at-begin < queryNameMost && (dashed | dot).is(c.text[begin-1]) && !c.endsEscape(begin) {
		begin--
	}
	if begin == 0 {
		return -1
	}
	switch c.text[begin-1] {
	case '?', '&', '#':
		return begin
	case ';': // &amp; of HTML
		if foldedAt(c.text, begin-len("&amp;"), "&amp;") {
			return begin
		}
		return -1
	}
	if begin >= 3 && c.text[begin-3] == '%' && (foldedAt(c.text, begin-2, "26") || foldedAt(c.text, begin-2, "3f")) ||
		foldedAt(c.text, begin-6, `\u0026`) || foldedAt(c.text, begin-6, `\u003f`) {
		return begin
	}
	return -1
}

// queryEnd gives the end of a parameter's value.
func (c *cursor) queryEnd(at int) int {
	end := at
	for end < len(c.text) {
		switch b := c.text[end]; {
		case b <= ' ', b == '&', b == '#', b == '<', b == '>', b == '\\', b == '`':
			return c.unbracketed(at, end)
		case (b == '"' || b == '\'') && !alnum.is(c.byteAt(end+1)):
			return c.unbracketed(at, end)
		}
		end++
	}
	return c.unbracketed(at, end)
}

// unbracketed gives the end of a value without the bracket that was opened before it.
func (c *cursor) unbracketed(at, end int) int {
	for _, pair := range [...]string{"()", "[]", "{}"} {
		if end > at && c.text[end-1] == pair[1] && bytes.IndexByte(c.text[at:end], pair[0]) < 0 {
			end--
		}
	}
	return end
}

// queryPassword reads the password of a query, whatever stands beside it.
func (c *cursor) queryPassword(at, body int) (int, int) {
	if c.queryName(at) < 0 {
		return 0, 0
	}
	return c.queryValue(body, c.queryEnd(body))
}

// queryValue gives a find unless it is no value: {name} stands for one in a template (RFC 6570). What is longer is one, or each
// name within would have it read to its end again.
func (c *cursor) queryValue(start, end int) (int, int) {
	if n := end - start; n > 2 && n <= placeholderMost && c.text[start] == '{' && c.text[end-1] == '}' {
		return 0, 0
	}
	return c.password(start, end)
}
