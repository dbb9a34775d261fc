package detect

const connectionStringName = "connection-string"

// connectionString knows the passwords of connection strings: scheme://user:password@host (RFC 3986, section 3.2.1; a
// password that is not encoded as it should be may have slashes), password= or pwd= among the pairs of a keyword string
// (PostgreSQL, "Keyword/Value Connection Strings"; Microsoft, "Connection string syntax") and in the query of a URL or a
// form. The find is the password alone.
func connectionString() detector {
	d := detector{name: connectionStringName, what: "passwords in URLs, their queries, and keyword strings", marks: []mark{
		{text: "://", lane: laneShort, kind: kindURLPassword},
	}}
	for _, sign := range []string{"=", " ="} {
		d.marks = append(d.marks,
			mark{text: "password" + sign, fold: true, lane: lanePairs, kind: kindPairPassword},
			mark{text: "sslpassword" + sign, fold: true, lane: lanePairs, kind: kindPairPassword},
			mark{text: "pwd" + sign, fold: true, lane: laneShort, kind: kindPairPassword})
	}
	for _, name := range []string{"password=", "passphrase="} {
		d.marks = append(d.marks, mark{text: name, fold: true, lane: lanePairs, kind: kindQueryPassword})
	}
	for _, name := range []string{"passwd=", "passwort="} {
		d.marks = append(d.marks, mark{text: name, fold: true, then: queryByte, lane: lanePairs, kind: kindQueryPassword})
	}
	d.marks = append(d.marks, mark{text: "pwd=", fold: true, lane: laneShort, kind: kindQueryPassword})
	return d
}

// urlPassword reads what stands between the first colon and the last @ of a URL's authority. Clients do not agree on
// which @ ends a password that has one in it: up to the last, nothing of it is left.
func (c *cursor) urlPassword(at, body int) (int, int) {
	if at == 0 || !(alnum | plus | dash | dot).is(c.text[at-1]) {
		return 0, 0
	}
	start, end := 0, 0
	loose := false // behind a sign that should be encoded
	for i := body; i < len(c.text); i++ {
		if c.endsAuthority(i) {
			if start == 0 || i == start || end > 0 || isPort(c.text[start:i]) || !c.goesOn(i) {
				break
			}
			loose = true
		}
		if loose && i-start > urlPasswordMost {
			break
		}
		switch b := c.text[i]; b {
		case '[':
			if i == body {
				return 0, 0 // an address of IPv6, and no user
			}
		case ':':
			if start == 0 {
				start = i + 1
			}
		case '@':
			if start == 0 {
				return 0, 0 // a user without a password
			}
			end = i
		case '?', '#', ';', ',', '&':
			if end == 0 && (start == 0 || isPort(c.text[start:i])) {
				return 0, 0 // a host, and a query or more hosts
			}
		}
	}
	return c.password(start, end)
}

// urlPasswordMost is how far a password that is not encoded is read, in bytes.
const urlPasswordMost = 128

// goesOn says whether a password may go on behind a sign that should be encoded in it: a slash that begins no other URL,
// and what else is followed by a letter or digit.
func (c *cursor) goesOn(at int) bool {
	switch b := c.text[at]; {
	case b == '/':
		return at == 0 || c.text[at-1] != ':' || c.byteAt(at+1) != '/'
	case b == '\\':
		switch c.byteAt(at + 1) {
		case 'n', 'r', 't', 'b', 'f', 'u', '"', 0:
			return false
		}
		return true
	case b <= ' ', b == '"', b == '\'':
		return false
	}
	return alnum.is(c.byteAt(at + 1))
}

// endsAuthority says whether a URL's authority ends at a place at the latest. A quote before a letter or digit may be in
// a password; before anything else it ends the text that holds the URL.
func (c *cursor) endsAuthority(at int) bool {
	switch b := c.text[at]; b {
	case '/', '<', '>', '\\', '`':
		return true
	case '"', '\'':
		return !alnum.is(c.byteAt(at + 1))
	default:
		return b <= ' '
	}
}

// isPort says whether a text is digits, as many as a port has. It is asked again at each sign that could end a host, so
// it must not read all that stands before.
func isPort(text []byte) bool {
	if len(text) == 0 || len(text) > len("65535") {
		return false
	}
	for _, b := range text {
		if !digit.is(b) {
			return false
		}
	}
	return true
}

// password gives a find unless it is empty, or stands for a password: a mask, a template's place, asterisks.
func (c *cursor) password(start, end int) (int, int) {
	if start >= end || isPlaceholder(c.text[start:end]) {
		return 0, 0
	}
	return start, end
}

// placeholderMost is how long a place for a secret is: what is longer is one.
const placeholderMost = 64

func isPlaceholder(text []byte) bool {
	if len(text) > placeholderMost {
		return false
	}
	if string(text) == "[masked]" || string(text) == "xxxxx" { // Sluice's own mask, and that of Go's url.URL.Redacted
		return true
	}
	first, last := text[0], text[len(text)-1]
	switch {
	case len(text) > 3 && first == '$' && text[1] == '{' && last == '}', // ${NAME}
		len(text) > 4 && first == '{' && text[1] == '{' && last == '}', // {{ name }}
		len(text) > 2 && first == '<' && last == '>':                   // <password>
		return true
	}
	for _, b := range text {
		if b != '*' {
			return false
		}
	}
	return true
}
