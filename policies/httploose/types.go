package httploose

import (
	"regexp"
	"strings"
)

// Letters is how a name's letters stand in a body.
type Letters int

const (
	// ASCII letters are the bytes that they are in ASCII.
	ASCII Letters = iota
	// Wide letters are so, too, among bytes that are zero (UTF-16, UTF-32).
	Wide
	// Mixed letters are so where they stand alone; their bytes may be halves of others, too (Shift JIS, GBK).
	Mixed
	// Unknown letters may be any bytes.
	Unknown
)

var (
	// charsets finds each parameter that some service takes for the character set, extended ones too (RFC 2231).
	charsets  = regexp.MustCompile(`(?i)charset[*0-9]*\s*=\s*["']?([^\s;,"']*)`)
	asciiSets = regexp.MustCompile(`(?i)^(utf[-_]?8|(us-)?ascii|latin-?1|iso[-_]?8859[-_]?[0-9]{1,2}|(windows|cp)-?125[0-9]|koi8-?[ru]+)?$`)
	mixedSets = regexp.MustCompile(`(?i)^(binary|gb18030|gbk|gb_?2312(-80)?|big5(-hkscs)?|shift[-_]?jis|x?-?sjis|windows-31j|(windows|cp|ms)-?(874|932|936|949|950)|euc-(cn|jp|kr|tw)|uhc|tis-620|mac(intosh|-?roman))$`)
	wideSets  = regexp.MustCompile(`(?i)^utf[-_]?(16|32)(le|be)?$`)
)

// LettersOf is what a media type says of letters, by whichever of its character sets a service goes.
func LettersOf(contentType string) Letters {
	out := ASCII
	for _, m := range charsets.FindAllStringSubmatch(contentType, -1) {
		switch {
		case wideSets.MatchString(m[1]):
			out = max(out, Wide)
		case mixedSets.MatchString(m[1]) && !strings.Contains(m[0], "*"):
			out = max(out, Mixed)
		case !asciiSets.MatchString(m[1]) || strings.Contains(m[0], "*"):
			return Unknown
		}
	}
	return out
}

// IsForm reports whether some service takes a media type, without its parameters, for that of forms.
func IsForm(kind string) bool {
	return strings.Contains(kind, "urlencoded") || strings.Contains(kind, "url-encoded")
}

// IsJSON reports whether a media type, without its parameters, is one of JSON (RFC 6839 for +json).
func IsJSON(kind string) bool {
	return kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json")
}

// IsMultipart reports whether a media type begins as one of multipart bodies.
func IsMultipart(contentType string) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), "multipart/")
}

var (
	// multipartWords are what some service takes for a multipart type wherever it stands.
	multipartWords = regexp.MustCompile(`(?i)multipart|form-data|boundary\s*[*=]`)
	// delimiter begins a part (RFC 2046, 5.1.1).
	delimiter = regexp.MustCompile(`(^|[\r\n])--`)
)

// MayBeMultipart reports whether a body is one of parts only to some services: its type says so in another place than its
// beginning, as in a list.
func MayBeMultipart(contentType string, body []byte) bool {
	return !IsMultipart(contentType) && multipartWords.MatchString(contentType) && delimiter.Match(body)
}
