package httpmask

import (
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAFieldIsHiddenByEachNameThatServicesMakeOfItsOwn(t *testing.T) {
	_, view := views(t, "api")
	for name, hidden := range map[string]bool{
		"password":                          true,
		"Password":                          true,
		"user[password]":                    true,
		"user.password":                     true,
		"[password]":                        true,
		"user[password][]":                  true,
		"password[a][b]":                    true,
		"users[0].password":                 true,
		"a.b[password].c":                   true,
		" password ":                        true,
		"password\x00x":                     true,
		"\xffpassword":                      true,
		"\ufeffpassword":                    true,
		"\u00a0password\u2003":              true,
		"?password":                         true,
		"email":                             true,
		"user[email]":                       true,
		"]password":                         true,
		"%u0070assword":                     true,
		"user[%u0070assword]":               true,
		"%password":                         true,
		"user[%password]":                   true,
		"p\x00assword":                      true,
		"passwords":                         false,
		"user[pass][word]":                  false,
		"userpassword":                      false,
		"[]":                                false,
		"":                                  false,
		strings.Repeat("a.", nestedNames-1): false,
		strings.Repeat("a.", nestedNames-1) + "password": true,
	} {
		escaped := strings.NewReplacer("\x00", "%00", "\xff", "%ff", "[", "%5B", " ", "+", "%", "%25").Replace(name)
		shown, ok := view.Asked(formKind, []byte("n=1&"+escaped+"=hunter2"))
		if !ok || strings.Contains(shown, "hunter2") == hidden || !strings.HasPrefix(shown, "n = 1\n") {
			t.Errorf("%q in a form: %v, %q", name, ok, shown)
		}
		if name == "" || !isText([]byte(name)) || strings.Contains(name, " ") {
			continue
		}
		for _, disposition := range []string{"form-data", "attachment", "Form-Data", "x"} {
			body := "--b\r\nContent-Disposition: " + disposition + "; name=\"" + name + "\"\r\n\r\nhunter2\r\n--b--"
			shown, ok := view.Asked("multipart/form-data; boundary=b", []byte(body))
			if !ok || strings.Contains(shown, "hunter2") == hidden {
				t.Errorf("%q in a part that is %s: %v, %q", name, disposition, ok, shown)
			}
		}
	}
	if shown, ok := view.Asked(formKind, []byte(strings.Repeat("a.", nestedNames)+"password=hunter2")); ok {
		t.Errorf("a name of too many is shown as %q", shown)
	}
}

func TestAFieldIsHiddenByTheNameThatPHPMakesOfItsOwn(t *testing.T) {
	p, err := compile(t, strings.Replace(bundle, "$..password", "$..card_number", 1))
	if err != nil {
		t.Fatal(err)
	}
	view, err := NewView(p.Masks(nil, "api"))
	if err != nil {
		t.Fatal(err)
	}
	for name, hidden := range map[string]bool{
		"card_number": true, "card.number": true, "card+number": true, "card[number": true, "a[card_number]": true, "%63ard%00_number": true, "card": false, "card-number": false,
	} {
		if shown, ok := view.Asked(formKind, []byte(name+"=hunter2")); !ok || strings.Contains(shown, "hunter2") == hidden {
			t.Errorf("%s: %v, %q", name, ok, shown)
		}
	}
}

// A name is looked for in several places, a value is not copied for each.
func TestALongFieldCostsMemoryInProportion(t *testing.T) {
	const length, most = 2 << 20, 64 // the race detector takes a few more
	for _, target := range []string{"api", "both"} {
		p, err := compile(t, strings.Replace(bundle, "detect: [\"*\"]", "detect: [\"*\"], paths: [\"$..password\", \"$.a.b.c.d\"]", 1))
		if err != nil {
			t.Fatal(err)
		}
		view, err := NewView(p.Masks(nil, strings.Replace(target, "both", "texts", 1)))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"letters": strings.Repeat("x", length), "quotes": strings.Repeat(`" `, length/2)} {
			for kind, body := range map[string]string{
				formKind:                          "a.b.c.d.e.f.g.h=" + value,
				"multipart/form-data; boundary=b": "--b\r\nContent-Disposition: form-data; name=\"a.b.c.d.e.f.g.h\"\r\n\r\n" + value + "\r\n--b--",
			} {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, ok := view.Asked(kind, []byte(body))
				runtime.ReadMemStats(&after)
				if took := after.TotalAlloc - before.TotalAlloc; !ok || took > most*length {
					t.Errorf("%s in %s, masks of %s: %v, %d times as long", name, kind, target, ok, took/length)
				}
			}
		}
	}
}

func TestAFieldIsHiddenByPathsThroughTheNamesAroundIt(t *testing.T) {
	p, err := compile(t, strings.Replace(bundle, "$..password", "$.user.pin", 1))
	if err != nil {
		t.Fatal(err)
	}
	view, err := NewView(p.Masks(nil, "api"))
	if err != nil {
		t.Fatal(err)
	}
	for name, hidden := range map[string]bool{"user[pin]": true, "user.pin": true, "account[user][pin]": true, "pin": false, "pin[user]": false, "user": false} {
		if shown, ok := view.Asked(formKind, []byte(name+"=hunter2")); !ok || strings.Contains(shown, "hunter2") == hidden {
			t.Errorf("%s: %v, %q", name, ok, shown)
		}
	}
}

const formKind = "application/x-www-form-urlencoded"

func TestBytesThatAreNoUTF8AreShownEscaped(t *testing.T) {
	for _, c := range []struct{ target, kind, body, want string }{
		{"api", formKind, "note=caf%e9", "note = caf\\xe9\n"},
		{"texts", formKind, "note=caf%e9", "note = caf\\xe9\n"},
		{"api", formKind, "caf%e9=1", "caf\\xe9 = 1\n"},
		{"api", formKind, "password=hunter2%e4", "password = ***\n"},
		{"api", formKind, "password=hunter2\xe4", "password = ***\n"},
		{"api", formKind + "; charset=utf-8; charset=latin1", "password=hunter2", "password = ***\n"},
		{"texts", formKind, "a=\xe4%c3%a9%ff\ufffd", "a = \\xe4é\\xff\ufffd\n"},
		{"texts", formKind, "a=%c3", "a = \\xc3\n"},
		{"texts", formKind, "a=%ed%a0%80", "a = \\xed\\xa0\\x80\n"},
		{"texts", "multipart/form-data; boundary=b", "--b\r\nX-A: \xe9\r\n\r\n1\r\n--b--", "X-A: \\xe9\n\n  1\n\n"},
	} {
		_, view := views(t, c.target)
		if shown, ok := view.Asked(c.kind, []byte(c.body)); !ok || shown != c.want || !utf8.ValidString(shown) {
			t.Errorf("%s: %v, %q", c.body, ok, shown)
		}
	}
}

func TestWhatIsNoUTF8HidesNoLessThanWhatIs(t *testing.T) {
	_, api := views(t, "api")
	field := func(head, content string) string { return "--b\r\n" + head + "\r\n\r\n" + content + "\r\n--b--" }
	const multi, form = "multipart/form-data; boundary=b", "Content-Disposition: form-data; name=password"
	for name, c := range map[string]struct {
		kind, body string
		ok         bool
	}{
		"JSON":                                {"application/json", "{\"password\":\"hunter2\xe4\"}", false},
		"JSON of another name":                {"application/problem+json", "\x00{\"password\":\"hunter2\"}", false},
		"JSON whose type is malformed":        {"application/json; charset", "{\"password\":\"hunter2\xe4\"}", false},
		"lines of JSON":                       {"application/x-ndjson", "{\"password\":\"hunter2\xe4\"}\n", false},
		"JSON of no type":                     {"", " \xef\xbb\xbf{\"password\":\"hunter2\xe4\"}", false},
		"JSON behind a zero":                  {"application/octet-stream", "\x00{\"password\":\"hunter2\"}", false},
		"JSON in UTF-32":                      {"", "\xff\xfe\x00\x00{\x00\x00\x00h\x00\x00\x00", false},
		"JSON in half of UTF-16":              {"application/json", "{\x00\"\x00h", false},
		"JSON in UTF-16":                      {"application/json", string(utf16le(`{"password":"hunter2"}`)), true},
		"compressed JSON":                     {"application/json", "\x1f\x8bhunter2\xe4", true},
		"events":                              {"text/event-stream", "data: {\"password\":\"hunter2\xe4\"}\n\n", true},
		"a form in UTF-16":                    {formKind, string(utf16le("password=hunter2")), false},
		"a form with a zero":                  {formKind, "\x00&password=hunter2", false},
		"a part":                              {multi, field(form, "hunter2\xe4"), true},
		"a part that is no text":              {multi, field(form+"\r\nContent-Type: application/octet-stream", "hunter2\x00"), true},
		"a part in UTF-16":                    {multi, field(form, string(utf16le("hunter2"))), true},
		"a part that is JSON":                 {multi, field("Content-Type: application/json", "{\"password\":\"hunter2\xe4\"}"), false},
		"parts in UTF-16":                     {multi, string(utf16le(field(form, "hunter2"))), false},
		"parts of which none says a boundary": {"multipart/form-data", field(form, "hunter2"), false},
		"parts of another boundary":           {"multipart/form-data; boundary=c", field(form, "hunter2"), false},
		"parts and a strange boundary":        {`multipart/form-data; boundary="b "`, field(form, "hunter2"), false},
	} {
		if shown, ok := api.Asked(c.kind, []byte(c.body)); ok != c.ok || strings.Contains(strings.ReplaceAll(shown, "\x00", ""), "hunter2") {
			t.Errorf("%s: %v, %q", name, ok, shown)
		}
	}
}

// Most services read one field where a few read several: it is shown as one, and nothing of it is kept from people.
func TestAFieldWithSemicolonsIsShownAsOneAndHiddenByEachNameInIt(t *testing.T) {
	_, api := views(t, "api")
	_, texts := views(t, "texts")
	for body, want := range map[string]string{
		"action=delete_all;dry_run=true":       "action = delete_all;dry_run=true\n",
		"a=1;b;&;c=2;;d":                       "a = 1;b;\n;c = 2;;d\n",
		"a;b=%3B&d=%26;e=f+g":                  "a;b = ;\nd = &;e=f g\n",
		"a=1;password=hunter2;b=2":             "a = 1;password=***;b=2\n",
		"a;password=hunter2&c=1":               "a;password = ***\nc = 1\n",
		"a=1;user[password]=hunter2;email=x":   "a = 1;user[password]=***;email=***\n",
		"password=hunter2;":                    "password = ***\n",
		"password=hunter2%3Bb=1":               "password = ***\n",
		"password=hunter2;cascade=true":        "",
		"password=hunter2;force":               "",
		`a={"password":"hunter2"};b=1`:         "a = {\"password\":\"***\"};b=1\n",
		`a={"password":"hunter2"};email=a@b.c`: "",
	} {
		if shown, ok := api.Asked(formKind, []byte(body)); ok != (want != "") || ok && shown != want {
			t.Errorf("%s, where paths name something: %v, %q", body, ok, shown)
		}
		if strings.Contains(body, "password") {
			continue
		}
		if shown, ok := texts.Asked(formKind, []byte(body)); !ok || shown != want {
			t.Errorf("%s: %v, %q", body, ok, shown)
		}
	}
}

// PHP reads all of a form, whatever bytes it has.
func TestAllFieldsOfAFormAreShownWhateverBytesItHas(t *testing.T) {
	_, api := views(t, "api")
	_, texts := views(t, "texts")
	long := strings.Repeat("harmless", 20)
	for _, c := range []struct{ kind, body, want string }{
		{formKind, "note=" + long + "\x00&cascade=true", "note = " + long + "\\x00\ncascade = true\n"},
		{formKind, "a%00b=%00", "a\\x00b = \\x00\n"},
		{formKind, "\xff\xfea=1\x00&cascade=true", "\\xff\\xfea = 1\\x00\ncascade = true\n"},
		{formKind + "; charset=utf-16be", "a=1\x00&cascade=true", "a = 1\\x00\ncascade = true\n"},
		{"application/json", `{"note":"` + long + "\xff\",\"cascade\":true}", `{"note":"` + long + "\\xff\",\"cascade\":true}"},
		{"application/json", `{"note":"` + long + "\x00\",\"cascade\":true}", `{"note":"` + long + "\\x00\",\"cascade\":true}"},
		{"text/plain", long + "\xff\nDROP", long + "\\xff\nDROP"},
		{"", "note=" + long + "\xe9&cascade=true", "note=" + long + "\\xe9&cascade=true"},
	} {
		if shown, ok := texts.Asked(c.kind, []byte(c.body)); !ok || shown != c.want {
			t.Errorf("%q: %v, %q", c.body, ok, shown)
		}
		if shown, ok := api.Asked(c.kind, []byte(c.body)); ok && !strings.Contains(shown, c.want[len(c.want)-3:]) {
			t.Errorf("%q, where paths name something: %q", c.body, shown)
		}
	}
}

func TestWhatStandsBehindALineEndIsTakenForNoFieldOrHeader(t *testing.T) {
	_, view := views(t, "texts")
	for body, want := range map[string]string{
		"a=1%0Acascade = false&cascade=true": "a = 1\n  cascade = false\ncascade = true\n",
		"a=1%0D%0Acascade = false":           "a = 1\r\n  cascade = false\n",
		"a=1%0Dcascade = false":              "a = 1\r  cascade = false\n",
		"a=1%E2%80%A8cascade = false":        "a = 1\u2028  cascade = false\n",
		"a%0Acascade=false":                  "a\n  cascade = false\n",
		"a=%0A%0A":                           "a = \n  \n  \n",
	} {
		if shown, ok := view.Asked(formKind, []byte(body)); !ok || shown != want {
			t.Errorf("%s: %v, %q", body, ok, shown)
		}
	}
	const part = "--b\r\nX-A: 1\r\n\r\n1\n\nContent-Disposition: form-data; name=cascade\n\nfalse\r\n--b--"
	if shown, ok := view.Asked("multipart/mixed; boundary=b", []byte(part)); !ok || strings.Contains(shown, "\nContent-") || !strings.Contains(shown, "\n  Content-") {
		t.Errorf("%v, %q", ok, shown)
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
		"single quotes":            {multi, part("Content-Disposition: form-data; name='password'", "hunter2")},
		"an id":                    {multi, part("Content-ID: password", "hunter2")},
		"an id beside a name":      {multi, part("Content-Disposition: form-data; name=x\r\nContent-ID: <password>", "hunter2")},
		"a file's name":            {multi, part("Content-Disposition: form-data; filename=password", "hunter2")},
		"a header in another":      {multi, part("X-A: Content-Disposition: form-data; name=\"password\"\r\nContent-Disposition: form-data; name=x", "hunter2")},
		"a parameter like a name":  {multi, part("Content-Disposition: form-data; x-name=password; name=x", "hunter2")},
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
