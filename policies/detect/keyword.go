package detect

import "bytes"

const (
	// pairsNear is how many bytes before and behind a password are searched for another pair of a keyword string, and
	// pairsRead how many pairs on each side are read.
	pairsNear = 256
	pairsRead = 4
	// pairBlanks is how many blanks may stand beside an equals sign.
	pairBlanks = 8
	// pairLongest is how far a value is read for a quote or a semicolon that ends it. SQL Server's passwords have up to
	// 128 characters.
	pairLongest = 256
)

// pairPassword reads the value behind password= if another pair of a connection's keyword string is near.
func (c *cursor) pairPassword(at, body int) (int, int) {
	if !c.opens(at) || !c.pairBefore(at) && !c.pairBehind(body) {
		return 0, 0
	}
	start := c.pairValue(body)
	if quote := c.byteAt(start); quote == '\'' || quote == '"' {
		if end := c.quoteEnd(start+1, quote); end > 0 {
			return c.password(start+1, end)
		}
	}
	end, _ := c.valueEnd(at, start)
	return c.password(start, end)
}

// pairValue gives where a value begins behind blanks.
func (c *cursor) pairValue(body int) int {
	start := body
	for start-body < pairBlanks && (c.byteAt(start) == ' ' || c.byteAt(start) == '\t') {
		start++
	}
	return start
}

// pairGoesOn says whether more text could be a part of the value behind password=: a quote is open, or nothing has ended it.
func (c *cursor) pairGoesOn(at, body int) bool {
	start := c.pairValue(body)
	if quote := c.byteAt(start); quote == '\'' || quote == '"' {
		return len(c.text)-start <= pairLongest && c.quoteEnd(start+1, quote) == 0
	}
	_, open := c.valueEnd(at, start)
	return open
}

func (c *cursor) pairBefore(at int) bool {
	from := max(0, at-pairsNear)
	for range pairsRead {
		equals := bytes.LastIndexByte(c.text[from:at], '=')
		if equals < 0 {
			return false
		}
		at = from + equals
		if c.isPair(at) {
			return true
		}
	}
	return false
}

func (c *cursor) pairBehind(at int) bool {
	to := min(len(c.text), at+pairsNear)
	for range pairsRead {
		equals := bytes.IndexByte(c.text[at:to], '=')
		if equals < 0 {
			return false
		}
		at += equals
		if c.isPair(at) {
			return true
		}
		at++
	}
	return false
}

// isPair says whether the word before an equals sign is one that connections are made with.
func (c *cursor) isPair(equals int) bool {
	end := equals
	for end > 0 && equals-end < pairBlanks && c.text[end-1] == ' ' {
		end--
	}
	if end == 0 {
		return false
	}
	last := lower(c.text[end-1]) // it decides for nearly all words
	for _, word := range [...]string{
		"host", "hostaddr", "hostname", "server", "data source", "datasource", "address", "addr", "endpoint",
		"uid", "user", "user id", "userid", "username", "user name",
		"dbname", "db", "database", "databasename", "initial catalog", "driver", "dsn", "port",
		"sslmode", "ssl", "encrypt", "integrated security", "abortconnect",
	} {
		if last == word[len(word)-1] && foldedAt(c.text, end-len(word), word) && c.opens(end-len(word)) {
			return true
		}
	}
	return false
}

// quoteEnd gives the place of the quote that ends a value, or 0. A quote is written twice, or behind a backslash.
func (c *cursor) quoteEnd(at int, quote byte) int {
	for end := at; end < len(c.text) && end-at < pairLongest; end++ {
		switch c.text[end] {
		case '\\':
			end++
		case quote:
			if c.byteAt(end+1) != quote {
				return end
			}
			end++
		}
	}
	return 0
}

// valueEnd gives the end of a value without quotes. What ends it depends on what stands before its name: behind a
// semicolon values have blanks, behind a blank they have semicolons, in a query neither. It is open if only the text's end
// ended it.
func (c *cursor) valueEnd(name, start int) (at int, open bool) {
	before := name
	for before > 0 && c.text[before-1] == ' ' {
		before--
	}
	style := byte(0)
	if before > 0 {
		style = c.text[before-1]
	}
	if style != ';' && before < name {
		style = ' '
	}
	blank := 0 // the first blank, if the value may go on behind it
	for end := start; end < len(c.text); end++ {
		b := c.text[end]
		switch {
		case b < ' ', (b == '"' || b == '\'') && !alnum.is(c.byteAt(end+1)):
			if style != ';' && blank > 0 {
				return blank, false
			}
			return trimBlanks(c.text, start, end), false
		case b == ' ' && (style == ' ' || style == '&' || style == '?' || style == ','):
			return end, false
		case b == ' ' && blank == 0:
			blank = end
		case b == '=' && blank > 0 && style != ';':
			return blank, false // the next pair: it was a blank that ended the value
		case b == ';' && style != ' ':
			return trimBlanks(c.text, start, end), false
		case (b == '&' || b == ',') && (style != ' ' && style != ';') && c.isName(end+1):
			return end, false
		}
		if blank > 0 && end-start >= pairLongest {
			return blank, false
		}
	}
	if style != ';' && blank > 0 {
		return blank, true
	}
	return trimBlanks(c.text, start, len(c.text)), true
}

// isName says whether a name and an equals sign stand there.
func (c *cursor) isName(at int) bool {
	const longest = 32
	end := at
	for end < len(c.text) && end-at < longest && (dashed | dot).is(c.text[end]) {
		end++
	}
	return end > at && c.byteAt(end) == '='
}

func trimBlanks(text []byte, start, end int) int {
	for end > start && text[end-1] == ' ' {
		end--
	}
	return end
}
