package httpmask

import (
	"strings"
	"testing"
	"unicode/utf8"
)

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
		"a header of a part":           {kind, "--b\r\nContent-Disposition: form-data; name=\"x\"\r\nContent-Transfer-Encoding: UNSEEN\r\n\r\n1\r\n--b--\r\n", true},
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

func TestFieldsAreHiddenByWhateverNameAServiceReads(t *testing.T) {
	_, api := views(t, "api")
	part := func(header, value string) string {
		return "--b\r\n" + header + "\r\n\r\n" + value + "\r\n--b--\r\n"
	}
	const form, multi = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"
	for name, c := range map[string]struct{ kind, body string }{
		"brackets":                 {form, "user[password]=hunter2"},
		"brackets, encoded":        {form, "user%5Bpassword%5D=hunter2"},
		"nothing but brackets":     {form, "[password]=hunter2"},
		"dots":                     {form, "user.password=hunter2"},
		"brackets of a part":       {multi, part(`Content-Disposition: form-data; name="user[password]"`, "hunter2")},
		"dots of a part":           {multi, part(`Content-Disposition: form-data; name="user.password"`, "hunter2")},
		"an attachment":            {multi, part(`Content-Disposition: attachment; name="password"`, "hunter2")},
		"an extended name":         {multi, part(`Content-Disposition: form-data; name*=utf-8''password`, "hunter2")},
		"two names":                {multi, part(`Content-Disposition: form-data; name=password; name=x`, "hunter2")},
		"two dispositions":         {multi, part("Content-Disposition: form-data; name=x\r\nContent-Disposition: form-data; name=password", "hunter2")},
		"no UTF-8 in a form":       {form, "password=hunter2\xe4"},
		"no UTF-8 in a form, more": {form, "password=hunter2%e4&%e4=x"},
		"no UTF-8 in a part":       {multi, part(`Content-Disposition: form-data; name="password"`, "hunter2\xe4")},
		"no UTF-8 in JSON":         {"application/json", "{\"password\":\"hunter2\xe4\"}"},
		"no UTF-8 in JSON as text": {"text/plain", " [{\"password\":\"hunter2\xe4\"}]"},
	} {
		if shown, ok := api.Asked(c.kind, []byte(c.body)); strings.Contains(shown, "hunter2") || !utf8.ValidString(shown) || ok && shown == "" {
			t.Errorf("%s: shown %v: %q", name, ok, shown)
		}
	}
}
