package httppath

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseGivesDecodedSegments(t *testing.T) {
	for target, want := range map[string]Path{
		"/":                       {Raw: "/"},
		"/?a=/../;":               {Raw: "/", Query: "a=/../;"},
		"/customers":              {Segments: []string{"customers"}, Raw: "/customers"},
		"/customers/":             {Segments: []string{"customers"}, Slash: true, Raw: "/customers/"},
		"/v1/users/7?x=1?y":       {Segments: []string{"v1", "users", "7"}, Raw: "/v1/users/7", Query: "x=1?y"},
		"/%61dmin/J%C3%BCrgen":    {Segments: []string{"admin", "Jürgen"}, Raw: "/%61dmin/J%C3%BCrgen"},
		"/%39%30%4a%4A%6f%6F":     {Segments: []string{"90JJoo"}, Raw: "/%39%30%4a%4A%6f%6F"},
		"/100%25":                 {Segments: []string{"100%"}, Raw: "/100%25"},
		"/a.b/...":                {Segments: []string{"a.b", "..."}, Raw: "/a.b/..."},
		"/a+b/c@d:e,f=g&h'(i)*!$": {Segments: []string{"a+b", "c@d:e,f=g&h'(i)*!$"}, Raw: "/a+b/c@d:e,f=g&h'(i)*!$"},
	} {
		got, err := Parse(target)
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", target, d)
		}
	}
}

func TestParseRefusesWhatServersReadInOtherWays(t *testing.T) {
	for target, words := range map[string]string{
		"":                                   "begin with a slash",
		"*":                                  "begin with a slash",
		"http://h/x":                         "begin with a slash",
		"//admin":                            "empty segment",
		"/a//b":                              "empty segment",
		"/a//":                               "empty segment",
		"/a/../b":                            "dot segment",
		"/a/./b":                             "dot segment",
		"/a/%2e%2E/b":                        "dot segment",
		"/a/.%2e":                            "dot segment",
		"/a%2fb":                             "encoded slash",
		"/a%5Cb":                             "encoded slash",
		`/a\b`:                               "backslash",
		"/a;x=1/b":                           "semicolon",
		"/a/..;/b":                           "semicolon",
		"/a%3Bx":                             "encoded semicolon",
		"/a%00":                              "control character",
		"/a%0d%0aX:1":                        "control character",
		"/a%7f":                              "control character",
		"/admin%3fx=1":                       "encoded question mark",
		"/admin%3F":                          "encoded question mark",
		"/admin%23x":                         "number sign",
		"/%23/%3f":                           "number sign",
		"/%2561dmin":                         "encoded twice",
		"/%252e%252e/b":                      "encoded twice",
		"/a/%25x%252f..%252fadmin":           "encoded twice",
		"/100%25%2525":                       "encoded twice",
		"/%":                                 "two hexadecimal digits",
		"/a%4":                               "two hexadecimal digits",
		"/a%zz":                              "two hexadecimal digits",
		"/?\x80":                             "percent-encoded",
		"/x/%c0%ae%c0%ae/admin":              "no UTF-8",
		"/%ff":                               "no UTF-8",
		"/a b":                               "percent-encoded",
		"/ä":                                 "percent-encoded",
		"/a\x00":                             "percent-encoded",
		"/a\x7f":                             "percent-encoded",
		"/a%:0":                              "two hexadecimal digits",
		"/a%0:":                              "two hexadecimal digits",
		"/a%g0":                              "two hexadecimal digits",
		"/a%0G":                              "two hexadecimal digits",
		"/a%/0":                              "two hexadecimal digits",
		"/a%@0":                              "two hexadecimal digits",
		"/a%`0":                              "two hexadecimal digits",
		"/a#b":                               "percent-encoded",
		"/" + strings.Repeat("a", MaxLength): "are allowed",
	} {
		_, err := Parse(target)
		if _, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), words) {
			t.Errorf("%.40q: %v, want %q", target, err, words)
		}
	}
}

func TestTheLongestPathIsRead(t *testing.T) {
	longest := "/" + strings.Repeat("a", MaxLength-1)
	if p, err := Parse(longest); err != nil || p.Raw != longest {
		t.Error(err)
	}
}

func TestPathsBelowAPrefix(t *testing.T) {
	for _, c := range []struct {
		prefix, path string
		begins, may  bool
	}{
		{"/", "/", true, true},
		{"/", "/a", true, true},
		{"", "/a/b", true, true},
		{"/a", "/a", true, true},
		{"/a", "/a/b", true, true},
		{"/a/", "/a/b", true, true},
		{"a", "/a/b", true, true},
		{"/a", "/ab", false, false},
		{"/a", "/A/b", false, true},
		{"/a", "/b/a", false, false},
		{"/a", "/", false, false},
		{"/a/b", "/a", false, false},
		{"/a/b", "/a./b/c", false, true},
		{"/a//b", "/a/b", false, true},
	} {
		p, err := Parse(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if begins, may := p.Begins(c.prefix), p.MayBegin(c.prefix); begins != c.begins || may != c.may {
			t.Errorf("%s below %q: %v, may %v", c.path, c.prefix, begins, may)
		}
	}
}

// What follows a dot may be a format to a service.
func TestAFormatIsNoPartOfWhatAPathMayBe(t *testing.T) {
	for path, want := range map[string]bool{
		"/a/report": true, "/a/report.json": true, "/a/report.tar.gz": true, "/a/Report.json/": true, "/a/.report": true, "/a/x.report": false, "/a.json/report": false, "/a/reports.json": false, "/": false,
	} {
		tpl, err := Compile("/a/report")
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := tpl.MayMatch(p); got != want || tpl.Match(p) != (path == "/a/report") {
			t.Errorf("%s: match %v, may %v", path, tpl.Match(p), got)
		}
	}
}

// What stands behind a program's name in a path is its business, and what ASP.NET and file systems pass over is no part of one.
func TestAPathMayBeThatBehindAProgram(t *testing.T) {
	for path, want := range map[string]bool{
		"/index.php/admin": true, "/index.php/admin/7": true, "/INDEX.PHP/Admin/7": true, "/app_dev.php/admin": true, "/x/public/index.php/admin/7": true,
		"/index.php/index.php/admin": true, "/index.php/x/index.php/admin": true, "/admin.php/7": true, "/admin/index.php/7": true, "/admin/index.php": true,
		"/default.aspx/admin": true, "/cgi-bin/a.cgi/admin": true, "/dispatch.fcgi/admin.json": true, "/app.wsgi/admin": true, "/index.php5/admin": true,
		"/%69ndex%2ephp/admin": true, "/(S(x))/admin": true, "/(X(1)S(x))/admin/7": true, "/ad(S(x))min/7": true, "/ad/(S(x))min/7": true,
		"/(S(x))/index.php/admin": true, "/admin::$INDEX_ALLOCATION/7": true, "/admin:$i30:$INDEX_ALLOCATION/7": true, "/admin::$DATA": true,
		"/index.php": false, "/index.phps/admin": false, "/.php/admin": false, "/x.y/admin": false, "/(S)/admin": false, "/(admin)": false, "/x/index.php/y/admin": false,
		"/admin:7/x": false, "/index.html/admin": false,
	} {
		tpl, err := Compile("/admin/**")
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := tpl.MayMatch(p); got != want || tpl.Match(p) != strings.HasPrefix(path, "/admin/") {
			t.Errorf("%s: match %v, may %v", path, tpl.Match(p), got)
		}
		if got := p.MayBegin("/admin"); got != want {
			t.Errorf("%s below /admin: may %v", path, got)
		}
	}
}

func TestVariablesOfAPathBehindAProgram(t *testing.T) {
	for path, want := range map[string]string{"/users/root": "root", "/index.php/users/root": "root", "/a/b.cgi/users/root": "root", "/users/(S(x))/root": "root", "/users/x.php": "x.php"} {
		tpl, err := Compile("/users/{id}")
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := tpl.Params(p)["id"]; got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestNamesOfVariables(t *testing.T) {
	for name, good := range map[string]bool{
		"a": true, "z": true, "A": true, "Z": true, "_": true, "a0": true, "a9": true, "azAZ_09": true,
		"0a": false, "9": false, "a-b": false, "`": false, "@": false, "[": false, "a/": false, "a:": false, "ä": false, "a.b": false,
	} {
		if _, err := Compile("/x/{" + name + "}"); (err == nil) != good {
			t.Errorf("{%s}: %v", name, err)
		}
	}
}

func TestVariablesOfAPathThatIsShorter(t *testing.T) {
	tpl, err := Compile("/{a}/{b}/**")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse("/1")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"a": "1"}, tpl.Params(p)); d != "" {
		t.Error(d)
	}
}

func TestTemplatesMatchBySegment(t *testing.T) {
	for _, c := range []struct {
		template, path string
		match, may     bool
		params         map[string]string
	}{
		{"/", "/", true, true, nil},
		{"/", "/a", false, false, nil},
		{"/customers", "/customers", true, true, nil},
		{"/customers", "/customers/", false, true, nil},
		{"/customers", "/Customers", false, true, nil},
		{"/customers", "/customers/7", false, false, nil},
		{"/v1/users/{id}", "/v1/users/7", true, true, map[string]string{"id": "7"}},
		{"/v1/users/{id}", "/v1/users", false, false, nil},
		{"/v1/users/{id}", "/v1/users/7/keys", false, false, nil},
		{"/v1/{kind}/{id}", "/v1/%C3%A4/7", true, true, map[string]string{"kind": "ä", "id": "7"}},
		{"/admin/**", "/admin", true, true, nil},
		{"/admin/**", "/ADMIN/x/y", false, true, nil},
		{"/admin/**", "/%61dmin/x/y", true, true, nil},
		{"/admin/**", "/administrator", false, false, nil},
		{"/admin/**", "/admin./x", false, true, nil},
		{"/admin/**", "/admin%20/x", false, true, nil},
		{"/**", "/", true, true, nil},
		{"/a%20b", "/a%20b", true, true, nil},
	} {
		tpl, err := Compile(c.template)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if got, may := tpl.Match(p), tpl.MayMatch(p); got != c.match || may != c.may {
			t.Errorf("%s on %s: match %v, may %v", c.template, c.path, got, may)
		}
		if c.match {
			if d := cmp.Diff(c.params, tpl.Params(p)); d != "" {
				t.Errorf("%s on %s: params %s", c.template, c.path, d)
			}
		}
	}
}

func TestCompileRefusesWhatIsNoTemplate(t *testing.T) {
	for template, words := range map[string]string{
		"":           "slash",
		"customers":  "slash",
		"/a//b":      "empty segment",
		"/a/":        "empty segment",
		"/a*":        "stand for",
		"/*/b":       "stand for",
		"/**/b":      "stand for",
		"/{id":       "in braces",
		"/{}":        "in braces",
		"/{1}":       "in braces",
		"/{id}x":     "in braces",
		"/{id}/{id}": "in braces",
		"/x{id}":     "no segment has",
		"/a?b=1":     "no segment has",
		"/a/../b":    "dot segment",
		"/a;b":       "semicolon",
		"/a%2Fb":     "encoded slash",
	} {
		if _, err := Compile(template); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v, want %q", template, err, words)
		}
	}
}

// FuzzParse: what is accepted has no segment that another reading could split, drop or decode again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"/", "/a/b?c=d", "/a%2e%2e/b", "/..;/x", "/%2561", "/%25x%2561", "//", "/a/", "/%e4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		p, err := Parse(target)
		if err != nil {
			return
		}
		if p.Raw+"?"+p.Query != target && p.Raw != target {
			t.Fatalf("%q is read as %q and %q", target, p.Raw, p.Query)
		}
		for _, s := range p.Segments {
			if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "/\\;\x00") {
				t.Fatalf("%q has segment %q", target, s)
			}
			if holdsEscape(s) {
				t.Fatalf("%q: segment %q can be decoded again", target, s)
			}
			if again, err := decode(strings.ReplaceAll(s, "%", "%25")); err != nil || again != s {
				t.Fatalf("%q: segment %q reads again as %q, %v", target, s, again, err)
			}
		}
	})
}
