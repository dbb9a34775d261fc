package httpmask

import (
	"strings"
	"testing"
)

const aPart = "--b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nharmless\r\n"

// other is a body of one part with a boundary of its own.
func other(boundary string) string {
	return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"cascade\"\r\n\r\ntrue\r\n--" + boundary + "--\r\n"
}

func TestWhatStandsAroundThePartsOfABodyIsSeenOrTheBodyIsNotHeld(t *testing.T) {
	_, api := views(t, "api")
	_, texts := views(t, "texts")
	body := aPart + "--b--\r\n"
	for name, c := range map[string]struct {
		body string
		good bool
	}{
		"nothing":                          {body, true},
		"no line end at the end":           {aPart + "--b--", true},
		"line ends":                        {"\r\n" + body + "\r\n\r\n", true},
		"two parts":                        {aPart + body, true},
		"a part without a header":          {aPart + "--b\r\n\r\ntrue\r\n--b--", true},
		"a part without content":           {"--b\r\nX-A: 1\r\n\r\n\r\n--b--", true},
		"further parts":                    {body + other("b"), false},
		"parts of another boundary":        {body + other("c"), false},
		"such in front":                    {other("c") + body, false},
		"a document in front":              {"{\"cascade\":true}\r\n" + body, false},
		"a text behind the end":            {aPart + "--b-- cascade=true", false},
		"blanks in front of the first":     {"  " + body, false},
		"an end within the line":           {"--b\r\n\r\n1 --b\r\n\r\ncascade--b--\r\n", false},
		"a text behind a boundary":         {"--b cascade\r\n\r\ntrue\r\n--b--", false},
		"a blank behind a boundary":        {"--b \r\n\r\ntrue\r\n--b--", false},
		"line feeds only":                  {strings.ReplaceAll(body, "\r\n", "\n"), false},
		"carriage returns only":            {strings.ReplaceAll(body, "\r\n", "\r"), false},
		"a part that another reader finds": {strings.Replace(aPart, "harmless", "a\n--b\nContent-Disposition: form-data; name=\"cascade\"\n\ntrue", 1) + "--b--", false},
		"a boundary that begins like ours": {strings.Replace(aPart, "harmless", "a\r\n--bc\r\n\r\ntrue", 1) + "--b--", false},
		"no end":                           {aPart, false},
		"a header with a bare line feed":   {"--b\r\nX-A: 1\nContent-Disposition: form-data; name=cascade\r\n\r\ntrue\r\n--b--", false},
		"a header that ends in line feeds": {"--b\r\nX-A: 1\n\ntrue\r\n\r\n\r\n--b--", false},
		"a blank in front of the colon":    {"--b\r\nX-A : 1\r\n\r\ntrue\r\n--b--", false},
		"a header without a name":          {"--b\r\ncascade\r\n\r\ntrue\r\n--b--", false},
		"a folded header":                  {"--b\r\nContent-Disposition: form-data; name=\"pass\r\n word\"\r\n\r\ntrue\r\n--b--", false},
		"a header folded by a tab":         {"--b\r\nContent-Disposition:\r\n\tform-data; name=cascade\r\n\r\ntrue\r\n--b--", false},
		"a blank line in front of one":     {"--b\r\n\r\nContent-Disposition: form-data; name=password\r\n\r\ntrue\r\n--b--", false},
		"two blank lines":                  {"--b\r\n\r\n\r\nContent-Disposition : form-data; name=password\r\n\r\ntrue\r\n--b--", false},
		"a blank line and a blank":         {"--b\r\n\r\n Content-Disposition: form-data; name=password\r\n\r\ntrue\r\n--b--", false},
		"a blank line, and a line":         {"--b\r\n\r\nx\nContent-Disposition: form-data; name=password\n\ntrue\r\n--b--", false},
		"a control character in a name":    {strings.Replace(aPart, "note", "a\x1b", 1) + "--b--", false},
		"no header, several lines":         {"--b\r\n\r\na b: 1\r\n\r\n{\"c\": true}\r\n--b--", true},
		"a header's line in the content":   {strings.Replace(aPart, "harmless", "X-A: true", 1) + "--b--", true},
	} {
		if shown, ok := api.Asked("multipart/form-data; boundary=b", []byte(c.body)); ok != c.good {
			t.Errorf("%s, where paths name something: %v, %q", name, ok, shown)
		}
		shown, ok := texts.Asked("multipart/form-data; boundary=b", []byte(c.body))
		if !ok || !c.good && shown != c.body || strings.Contains(c.body, "true") && !strings.Contains(shown, "true") {
			t.Errorf("%s: %v, %q", name, ok, shown)
		}
		if shown, ok := texts.Asked("multipart/form-data; boundary=b", []byte(c.body+"\x00")); ok {
			t.Errorf("%s, and it is no text: %q", name, shown)
		}
	}
}

func TestABodyWhoseBoundaryOrNamesCanBeReadInTwoWaysIsNotHeld(t *testing.T) {
	_, view := views(t, "texts")
	for kind, good := range map[string]bool{
		"multipart/form-data; boundary=b":                                          true,
		`multipart/form-data; boundary="b"; charset=utf-8`:                         true,
		"Multipart/Form-Data; BOUNDARY=b":                                          true,
		"multipart/form-data; boundary=c; boundary*=utf-8''b":                      false,
		"multipart/form-data; boundary*=utf-8''b":                                  false,
		"multipart/form-data; boundary*0=b":                                        false,
		"multipart/form-data; boundary*0*=utf-8''b; boundary=c":                    false,
		"multipart/form-data; boundary=b; boundary=b":                              false,
		"multipart/form-data; boundary=b; Boundary =c":                             false,
		`multipart/form-data; x="; boundary=c"; boundary=b`:                        false,
		"multipart/mixed; boundary=b; type=\"multipart/form-data; boundary * =c\"": false,
		"multipart/form-data; charset=utf-7; boundary=b":                           false,
		"multipart/form-data; boundary=b; charset=utf-16":                          false,
		"multipart/form-data; boundary=b; charset*=utf-8''utf-7":                   false,
		`multipart/form-data; boundary="b" ; charset=utf-8`:                        true,
		"multipart/form-data;charset=utf-8;boundary=b":                             true,
		"multipart/form-data; boundary=b ; charset=utf-8":                          false,
		"multipart/form-data; boundary =b":                                         false,
		"multipart/form-data; boundary= b":                                         false,
		"multipart/form-data; x-boundary-y=a; boundary=b":                          false,
		"multipart/form-data; BOUNDARY=b; xboundary; q=a":                          false,
		`multipart/form-data; boundary="b"c`:                                       false,
		`multipart/form-data; boundary="\b"`:                                       false,
		"multipart/form-data; boundary=b, text/plain":                              false,
	} {
		if shown, ok := view.Asked(kind, []byte(aPart+"--b--")); ok != good {
			t.Errorf("%s: %v, %q", kind, ok, shown)
		}
	}
	for boundary, good := range map[string]bool{
		"b": true, "----=_Part_4_701508.1145579811786": true, "===============5203==": true, "uuid:0ca0c6e3-id=1": true, "a+b/c?d": true,
		"axios-1.7.2-boundary-mM4": true, "Apple-Mail=_F1": true, strings.Repeat("a", 70): true,
		" a": false, "a ": false, "a b": false, "a,b": false, "a;b": false, "'a'": false, "a'": false, "(a)": false, "<a>": false, `\"a`: false,
		`a\\b`: false, "a\tb": false, "é": false, "a\x01": false, "": false, strings.Repeat("a", 71): false,
	} {
		plain := strings.ReplaceAll(boundary, `\`, "")
		shown, ok := view.Asked(`multipart/form-data; boundary="`+boundary+`"`, []byte(strings.ReplaceAll(aPart, "--b", "--"+plain)+"--"+plain+"--"))
		if ok != good || ok && !strings.HasPrefix(shown, "Content-Disposition") {
			t.Errorf("a boundary %q: %v, %q", boundary, ok, shown)
		}
	}
	const form = "Content-Disposition: form-data; name=a"
	for head, good := range map[string]bool{
		form: true,
		`Content-Disposition: form-data; name="it's"; filename="it's, \"a\" (1) name.png"`: true,
		`Content-Disposition: form-data; name="files[]"; filename*=UTF-8''it's%20a.png`:    true,
		`content-disposition: form-data; name="user[name]"; filename=""`:                   true,
		"Content-ID: <root.message@cxf.apache.org>":                                        true,
		"Content-Type: application/pdf; name=\"a b.pdf\"":                                  true,
		form + "\r\nContent-Length: 1":                                                     true,
		form + "\r\nContent-Length: 0":                                                     false,
		form + "\r\nContent-Length: 1\r\nContent-Length: 1":                                false,
		form + "\r\nContent-Encoding: gzip":                                                false,
		form + "\r\nX-A: Content-Disposition: form-data":                                   false,
		form + "\r\nX-A: content-id : b":                                                   false,
		form + "\r\nContent-Type: text/plain; x=\"Content-ID: b\"":                         false,
		form + "\r\nX-A: x; name=b":                                                        false,
		form + "\r\nX-Content-Disposition: form-data":                                      false,
		form + "\r\nContent_Disposition: form-data":                                        false,
		form + "; filename=\"Content-ID: b\"":                                              false,
		form + "; x-name=b":                                                                false,
		form + "; file-name=b":                                                             false,
		form + "; xname=b":                                                                 false,
		form + "; filename=\"a name=b\"":                                                   false,
		form + "; filename='c'":                                                            false,
		form + "; filename=`c`":                                                            false,
		"Content-Disposition: form-data; NAME=a":                                           false,
		"Content-Disposition: form-data; name =a":                                          false,
		"Content-Disposition: form-data; x-name=a":                                         false,
		"Content-Disposition: form-data; name='a'":                                         false,
		"Content-Disposition: form-data; name=a'b":                                         false,
		"Content-Disposition: form-data; name=`a`":                                         false,
		`Content-Disposition: form-data; name="'a'"`:                                       false,
		`Content-Disposition: form-data; name="\"a\""`:                                     false,
		`Content-Disposition: form-data; name="<a>"`:                                       false,
		`Content-Disposition: form-data; name="a;b"`:                                       false,
		`Content-Disposition: form-data; name="a\\"`:                                       false,
		form + `; filename="a; b=c.txt"; filename*=utf-8''n.txt`:                           true,
		form + `; filename="näme.txt"`:                                                     true,
		"Content-Disposition: attachment; filename=name.txt":                               true,
		"Content-Type: text/plain":                                                         true,
		form + "\r\n" + form:                                                               false,
		form + "\r\ncontent-disposition: form-data; name=b":                                false,
		form + "; name=b":                                                                  false,
		form + "; NAME = b":                                                                false,
		form + "; name*=utf-8''b":                                                          false,
		"Content-Disposition: form-data; name*=utf-8''a":                                   false,
		"Content-Disposition: form-data; name*0=a; name*1=b":                               false,
		form + `; filename="; name=b"`:                                                     false,
		form + "; filename=a b":                                                            false,
		form + `; filename="a \"b\" \\c.txt"`:                                              true,
		form + `; filename="C:\a.txt"`:                                                     false,
		`Content-Disposition: form-data; name="\password"`:                                 false,
		`Content-Disposition: form-data; name="pass\word"`:                                 false,
		`Content-Disposition: form-data; filename="a\"; name=b; x=\""`:                     false,
		`Content-Disposition: form-data; filename="; name=b"`:                              false,
		`Content-Disposition: form-data; name="=?utf-8?B?cGFzc3dvcmQ=?="`:                  false,
		form + "\r\nContent-Transfer-Encoding: base64":                                     false,
		form + "\r\nContent-Transfer-Encoding: quoted-printable":                           false,
		form + "\r\nContent-Transfer-Encoding: 8BIT":                                       true,
		form + "\r\nContent-Transfer-Encoding: 7bit\r\ncontent-transfer-encoding: binary":  false,
		"Content-Type: multipart/mixed; boundary=c; charset=utf-7":                         false,
		"Content-Type: text/plain\r\nContent-type: application/json":                       false,
		"Content-Type: multipart/mixed; boundary=c; boundary*=utf-8''d":                    false,
	} {
		if shown, ok := view.Asked("multipart/form-data; boundary=b", []byte("--b\r\n"+head+"\r\n\r\n1\r\n--b--")); ok != good {
			t.Errorf("%s: %v, %q", head, ok, shown)
		}
	}
}

func TestAllHeadersOfAPartAreShown(t *testing.T) {
	_, view := views(t, "api")
	body := "--b\r\nContent-Disposition: form-data; name=x\r\nContent-Transfer-Encoding: 8bit\r\nX-Name: \xe9\r\nX-Secret: hunter2\r\nX-Name: 2\r\n\r\nMQ==\r\nX-Content: 1\r\n--b--"
	const want = "Content-Disposition: form-data; name=x\nContent-Transfer-Encoding: 8bit\nX-Name: \\xe9\nX-Secret: ***\nX-Name: 2\n\n  MQ==\r\n  X-Content: 1\n\n"
	if shown, ok := view.Asked("multipart/form-data; boundary=b", []byte(body)); !ok || shown != want {
		t.Errorf("%v, %q", ok, shown)
	}
}

// What one service reads and another does not, people see, or it is not asked about.
func TestNothingOfAMultipartBodyIsBesideWhatPeopleSee(t *testing.T) {
	_, api := views(t, "api")
	_, texts := views(t, "texts")
	part := func(boundary, field, value string) string {
		return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + field + "\"\r\n\r\n" + value + "\r\n"
	}
	const kind = "multipart/form-data; boundary=b"
	harmless := part("b", "note", "harmless")
	for name, c := range map[string]struct {
		kind, body string
		shown      bool // where paths name something
	}{
		"parts":                        {kind, part("b", "x", "UNSEEN") + "--b--\r\n", true},
		"parts, without the last line": {kind, part("b", "x", "UNSEEN") + "--b--", true},
		"another that begins alike":    {kind, part("b", "x", "--b2\r\nUNSEEN") + "--b--\r\n", false},
		"an epilogue":                  {kind, harmless + "--b--\r\n" + part("b", "x", "UNSEEN") + "--b--\r\n", false},
		"an epilogue of words":         {kind, harmless + "--b--\r\nUNSEEN", false},
		"words behind the end":         {kind, harmless + "--b--UNSEEN", false},
		"a preamble":                   {kind, part("c", "x", "UNSEEN") + "--c--\r\n" + harmless + "--b--\r\n", false},
		"a preamble of words":          {kind, "UNSEEN\r\n" + harmless + "--b--\r\n", false},
		"lines that end in LF":         {kind, strings.ReplaceAll(harmless+part("b", "x", "UNSEEN")+"--b--\r\n", "\r\n", "\n"), false},
		"a boundary behind LF":         {kind, part("b", "x", "a\n--b\r\n\r\nUNSEEN") + "--b--\r\n", false},
		"a boundary behind CR":         {kind, part("b", "x", "a\r--b\r\n\r\nUNSEEN") + "--b--\r\n", false},
		"a boundary with blanks":       {kind, harmless + "--b \r\n\r\nUNSEEN\r\n--b--\r\n", false},
		"no end":                       {kind, harmless + part("b", "x", "UNSEEN"), false},
		"two boundaries":               {"multipart/form-data; boundary=c; boundary=b", part("c", "x", "UNSEEN") + harmless + "--b--\r\n", false},
		"an extended boundary":         {"multipart/form-data; boundary=c; boundary*=utf-8''b", part("c", "x", "UNSEEN") + harmless + "--b--\r\n", false},
		"a boundary in parts":          {"multipart/form-data; boundary*0=b", harmless + part("b", "x", "UNSEEN") + "--b--\r\n", false},
		"a header of a part":           {kind, "--b\r\nContent-Disposition: form-data; name=\"x\"\r\nX-Name: UNSEEN\r\n\r\n1\r\n--b--\r\n", true},
	} {
		shown, ok := api.Asked(c.kind, []byte(c.body))
		if ok != c.shown || ok && !strings.Contains(shown, "UNSEEN") {
			t.Errorf("%s: shown %v: %q", name, ok, shown)
		}
		if shown, ok := texts.Asked(c.kind, []byte(c.body)); ok && !strings.Contains(shown, "UNSEEN") {
			t.Errorf("%s, where no path names anything: %q", name, shown)
		}
	}
}

func TestNamesOfPartsWithinPartsAreSeen(t *testing.T) {
	part := func(boundary, head, content string) string {
		return "--" + boundary + "\r\n" + head + "\r\n\r\n" + content + "\r\n--" + boundary + "--\r\n"
	}
	inner := part("c", "Content-Disposition: file; name=y; filename=z", "1")
	for name, c := range map[string]struct {
		body, names string
		ok          bool
	}{
		"a part":                  {part("b", "Content-Disposition: form-data; name=x", inner), "x", true},
		"a part of parts":         {part("b", "Content-Disposition: form-data; name=x\r\nContent-Type: multipart/mixed; boundary=c", inner), "x y", true},
		"of an id":                {part("b", "Content-ID: x", inner), " x", true},
		"of an id, in brackets":   {part("b", "X-Content-ID: <x>\r\nContent-Disposition: form-data; name=y", inner), "y <x> x", true},
		"of an id that is none":   {part("b", "Content-ID: <x@y.z>", inner), "", true},
		"of a file's name":        {part("b", "Content-Disposition: attachment; filename=x", inner), " x", true},
		"of a file's name, more":  {part("b", "Content-Disposition: form-data; name=y; filename=x\r\nContent-Type: z; name=z", inner), "y", true},
		"of a type's name":        {part("b", "Content-Type: text/plain; name=x", inner), " x", true},
		"of a type":               {part("b", "Content-Type: x", inner), " x", true},
		"of no name":              {part("b", "Content-Type: Multipart/Mixed; boundary=c", inner), " y", true},
		"encoded":                 {part("b", "Content-Type: multipart/mixed; boundary=c\r\nContent-Transfer-Encoding: base64", inner), "", false},
		"of two boundaries":       {part("b", "Content-Type: multipart/mixed; boundary=c; boundary*=d", inner), "", false},
		"of two types":            {part("b", "Content-Type: multipart/mixed; boundary=c\r\nContent-Type: text/plain", inner), "", false},
		"of another boundary":     {part("b", "Content-Type: multipart/mixed; boundary=d", inner), "", false},
		"of parts to some":        {part("b", "Content-Type: text/plain, multipart/mixed; boundary=c", inner), "", false},
		"deeper than people look": {part("b", "Content-Type: multipart/mixed; boundary=d", part("d", "Content-Type: multipart/mixed; boundary=c", inner)), "", false},
	} {
		names, ok := PartNames("multipart/form-data; boundary=b", []byte(c.body))
		if ok != c.ok || strings.Join(names, " ") != c.names {
			t.Errorf("%s: %v, %q", name, ok, names)
		}
	}
}

func TestABodyThatIsOfPartsToSomeServicesIsNotShownByAnotherReading(t *testing.T) {
	_, api := views(t, "api")
	_, texts := views(t, "texts")
	const body = "--b\r\nContent-Disposition: form-data; name=password\r\n\r\nhunter2\r\n--b--\r\n"
	for _, kind := range []string{"text/plain, multipart/form-data; boundary=b", "text/plain; boundary=b", "application/x-www-form-urlencoded; boundary=b", "form-data; boundary=b"} {
		if shown, ok := api.Asked(kind, []byte(body)); ok {
			t.Errorf("%s: %q", kind, shown)
		}
		if shown, ok := texts.Asked(kind, []byte(body)); !ok || shown != body {
			t.Errorf("%s, where no path names anything: %v, %q", kind, ok, shown)
		}
		if shown, ok := texts.Asked(kind, []byte(body+"\x00")); ok {
			t.Errorf("%s, and it is no text: %q", kind, shown)
		}
	}
}
