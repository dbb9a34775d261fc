package detect

const authorizationName = "authorization"

// authorization knows credentials in the text of an Authorization header, also as it stands in logs, commands and JSON:
// Bearer (RFC 6750, section 2.1) and Basic (RFC 7617, section 2). The find is the credential without its scheme.
func authorization() detector {
	return detector{name: authorizationName, what: "bearer tokens and basic credentials in Authorization headers", marks: []mark{
		{text: authorizationName, fold: true, lane: laneWords, kind: kindAuthorization},
	}}
}

const (
	// bearerLeast is the least length of a token that has a digit, bearerWord of one that has none: words are in manuals.
	bearerLeast = 8
	bearerWord  = 24
	// authorizationGap is how many separators may stand between the header's name, its scheme and the credential.
	authorizationGap = 8
)

func (c *cursor) authorization(at int) (int, int) {
	token, end, basic := c.credential(at)
	credential := c.text[token:end]
	for c.byteAt(end) == '=' {
		end++
	}
	if basic && !holdsColon(credential) || !basic && !isBearer(credential) {
		return 0, 0
	}
	return token, end
}

// credential gives where the credential behind the header's name and a scheme stands, without its padding, and which scheme
// that is; an empty one at 0 if there is none.
func (c *cursor) credential(at int) (token, end int, basic bool) {
	scheme := c.gap(at)
	basic = foldedAt(c.text, scheme, "basic")
	start := scheme + len("basic")
	if !basic {
		if !foldedAt(c.text, scheme, "bearer") {
			return 0, 0, false
		}
		start = scheme + len("bearer")
	}
	token = start
	for token-start < authorizationGap && (c.byteAt(token) == ' ' || c.byteAt(token) == '\t') {
		token++
	}
	if scheme == at || token == start {
		return 0, 0, false
	}
	return token, c.skip(token, token68), basic
}

// gap skips separators.
func (c *cursor) gap(at int) int {
	end := at
	for end-at < authorizationGap && isSeparator(c.byteAt(end)) {
		end++
	}
	return end
}

func isBearer(token []byte) bool {
	if len(token) >= bearerWord {
		return true
	}
	var seen class
	for _, b := range token {
		seen |= classes[b]
	}
	return len(token) >= bearerLeast && seen&digit != 0
}

// holdsColon says whether the decoded text has the colon between a user and a password.
func holdsColon(encoded []byte) (found bool) {
	decode(encoded, func(b byte) bool {
		found = b == ':'
		return !found
	})
	return found
}
