package httpmask

import (
	"strconv"
	"strings"
	"testing"

	"buf.build/go/protoyaml"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/jsonmask"
)

const bundle = `
issuers:
- {name: corp, url: "https://idp.example", audiences: [sluice]}
targets:
- name: api
  listener: {address: 127.0.0.1, port: 1, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: 8080}]}
  credential: {bearer: {token: {env: T}}}
- name: texts
  listener: {address: 127.0.0.1, port: 2, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: 8080}]}
  credential: {bearer: {token: {env: T}}}
- name: ends
  listener: {address: 127.0.0.1, port: 5, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: 8080}]}
  credential: {bearer: {token: {env: T}}}
- name: orders
  listener: {address: 127.0.0.1, port: 3}
  postgres: {endpoints: [{host: 127.0.0.1, port: 4}], database: d}
  credential: {static: {username: u, password: {env: P}}}
masks:
- {name: paths, on: {targets: [api]}, paths: ["$..password"], headers: [x-secret, x_secret], redact: {text: "***"}, except: {groups: [dba]}}
- {name: mail, on: {targets: [api]}, paths: ["$.email"], headers: [x-mail], partial: {keep_domain: true}}
- {name: found, on: {targets: [texts]}, detect: ["*"], redact: {}}
- {name: ends, on: {targets: [ends]}, detect: [github-token], partial: {keep_last: 4}}
- {name: columns, on: {targets: ["*"]}, columns: ["*.*.password"], redact: {}}
`

func compile(t testing.TB, text string) (*policies.Policy, error) {
	t.Helper()
	b := &policyv1.Bundle{}
	if err := protoyaml.Unmarshal([]byte(text), b); err != nil {
		t.Fatal(err)
	}
	b.Version = "v1"
	return policies.Compile(b)
}

func views(t *testing.T, target string, groups ...string) (agent, record *View) {
	t.Helper()
	p, err := compile(t, bundle)
	if err != nil {
		t.Fatal(err)
	}
	var c Cache
	if agent, record, err = c.Of(p, &identityv1.Principal{Issuer: "corp", Subject: "x", Groups: groups}, target); err != nil {
		t.Fatal(err)
	}
	again, _, err := c.Of(p, &identityv1.Principal{Issuer: "corp", Subject: "y", Groups: groups}, target)
	if err != nil || again != agent {
		t.Error("two principals whom the same masks except do not share a view")
	}
	return agent, record
}

func TestAViewHidesWhatTheMasksName(t *testing.T) {
	agent, record := views(t, "api")
	if agent != record {
		t.Error("they are not the same")
	}
	if v, hidden := agent.Header("x-secret", "s"); !hidden || v != "***" {
		t.Errorf("header: %q", v)
	}
	if v, hidden := agent.Header("x_secret", "s"); !hidden || v != "***" {
		t.Errorf("a header with an underscore: %q", v)
	}
	if v, hidden := agent.Header("x-mail", "a@b.c"); !hidden || v != "***@b.c" {
		t.Errorf("a header that is hidden in part: %q", v)
	}
	if _, hidden := agent.Header("x-other", "s"); hidden {
		t.Error("a header that no mask names is hidden")
	}
	got := string(agent.Shown("application/json", []byte(`{"email": "a@b.c", "x": {"password": "p"}}`)))
	if got != `{"email": "***@b.c", "x": {"password": "***"}}` {
		t.Errorf("got %s", got)
	}
	for _, c := range []struct{ kind, body string }{{"text/plain", "p"}, {"application/json", "{"}, {"", "{}"}, {"application/json; charset=utf-16", "{}"}} {
		if got := agent.Shown(c.kind, []byte(c.body)); got != nil {
			t.Errorf("%s %s is shown as %s", c.kind, c.body, got)
		}
	}
}

func TestPathsMatchNamesInAnyCaseUnlessTheMaskSaysOtherwise(t *testing.T) {
	for setting, want := range map[string]string{
		"":                     `{"password":"***","Password":"***","PassWord":"***"}`,
		", ignore_case: true":  `{"password":"***","Password":"***","PassWord":"***"}`,
		", ignore_case: false": `{"password":"***","Password":"p","PassWord":"p"}`,
	} {
		p, err := compile(t, strings.Replace(bundle, `paths: ["$..password"]`, `paths: ["$..password"]`+setting, 1))
		if err != nil {
			t.Fatal(err)
		}
		v, err := NewView(p.Masks(nil, "api"))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(v.Shown("application/json", []byte(`{"password":"p","Password":"p","PassWord":"p"}`))); got != want {
			t.Errorf("%q: %s, want %s", setting, got, want)
		}
	}
}

func TestAnExceptionIsThePrincipalsAndNotTheRecords(t *testing.T) {
	agent, record := views(t, "api", "dba")
	if agent == record || agent.Empty() {
		t.Fatal("the mask without exceptions does not apply")
	}
	const body = `{"email":"a@b.c","password":"p"}`
	if got := string(agent.Shown("application/json", []byte(body))); got != `{"email":"***@b.c","password":"p"}` {
		t.Errorf("the agent sees %s", got)
	}
	if got := string(record.Shown("application/json", []byte(body))); got != `{"email":"***@b.c","password":"***"}` {
		t.Errorf("the record shows %s", got)
	}
}

func TestDetectorsReadTextsAndHeaders(t *testing.T) {
	agent, _ := views(t, "texts")
	token := "ghp_" + strings.Repeat("a1B2", 9)
	if got := agent.Text("see " + token + " there"); got != "see [masked] there" {
		t.Errorf("got %s", got)
	}
	if v, hidden := agent.Header("location", "/x?t="+token); !hidden || strings.Contains(v, token) {
		t.Errorf("header: %s", v)
	}
	if got := string(agent.Shown("text/plain; charset=utf-8", []byte("a\n"+token+"\n"))); got != "a\n[masked]\n" {
		t.Errorf("got %q", got)
	}
}

func TestWhatDetectorsFindCanBeHiddenInPart(t *testing.T) {
	agent, _ := views(t, "ends")
	if got := agent.Text("see ghp_" + strings.Repeat("a1B2", 9) + " there"); got != "see ***a1B2 there" {
		t.Errorf("got %s", got)
	}
}

func TestWhatIsFoundInARequestIsHiddenHoweverItIsEncoded(t *testing.T) {
	agent, _ := views(t, "texts")
	for in, want := range map[string]string{
		"100%":                                  "100%",
		"/x?a=%4":                               "/x?a=%4",
		"postgres%3A%2F%2Fapp:pw@db%4":          "postgres://app:[masked]@db%4",
		"postgres%3A%2F%2Fapp%3Apw%40d%62":      "postgres://app:[masked]@db",
		"/x?a=1%2B1&b=%zz":                      "/x?a=1%2B1&b=%zz",
		"/x?dsn=postgres%3A%2F%2Fapp%3Apw%40db": "/x?dsn=postgres://app:[masked]@db",
		"/x?u=a%253Fk%253Dpostgres%253A%252F%252Fapp%253Apw%2540db": "/x?u=a?k=postgres://app:[masked]@db",
	} {
		if got := agent.Value(in); got != want {
			t.Errorf("%s is shown as %s, not %s", in, got, want)
		}
	}
}

func TestMasksThatLeaveDifferentPartsLeaveNothing(t *testing.T) {
	p, err := compile(t, bundle+`- {name: cards, on: {targets: [ends]}, detect: [card-number], redact: {}}`)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewView(p.Masks(nil, "ends"))
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Text("ghp_" + strings.Repeat("a1B2", 9)); got != "[masked]" {
		t.Errorf("got %s", got)
	}
}

func TestFormatsAreThoseOfTheType(t *testing.T) {
	api, _ := views(t, "api")
	texts, _ := views(t, "texts")
	for kind, want := range map[string]struct {
		format    jsonmask.Format
		api, text bool
	}{
		"application/json":                 {jsonmask.JSON, true, true},
		"Application/JSON; charset=UTF-8":  {jsonmask.JSON, true, true},
		"application/problem+json":         {jsonmask.JSON, true, true},
		"application/x-ndjson":             {jsonmask.Lines, true, true},
		"text/event-stream":                {jsonmask.Events, true, true},
		"text/html":                        {jsonmask.Text, false, true},
		"image/png":                        {},
		"application/json; charset=latin1": {},
		"":                                 {},
		"a/b/c":                            {},
	} {
		f, ok := api.Format(kind)
		if ok != want.api || ok && f != want.format {
			t.Errorf("%q with paths: %v %v", kind, f, ok)
		}
		if f, ok = texts.Format(kind); ok != want.text || ok && f != want.format {
			t.Errorf("%q with detectors: %v %v", kind, f, ok)
		}
	}
}

func TestMasksOfAnotherProtocolAreRefused(t *testing.T) {
	for mask, words := range map[string]string{
		`{name: m, on: {targets: [orders]}, paths: ["$.a"], redact: {}}`:    "masks[5]: it hides nothing of target \"orders\"",
		`{name: m, on: {targets: [api]}, columns: ["a.b.c"], redact: {}}`:   "masks[5]: it hides nothing of target \"api\"",
		`{name: m, on: {targets: [api]}, paths: ["$[?@.a]"], redact: {}}`:   "masks[5].paths[0]",
		`{name: m, on: {targets: [api]}, detect: [nonsense], redact: {}}`:   "masks[5].detect",
		`{name: m, on: {targets: [api]}, headers: ["X-Upper"], redact: {}}`: "masks[5].headers[0]",
		`{name: m, on: {targets: [api]}, redact: {}}`:                       "name columns, paths, headers or detect",
	} {
		if _, err := compile(t, bundle+"- "+mask+"\n"); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want %q", mask, err, words)
		}
	}
}

func TestTheNameOfAFieldIsContextForDetectors(t *testing.T) {
	agent, _ := views(t, "texts")
	secret := strings.Repeat("aB3/", 10)
	hexKey := strings.Repeat("3f9a0c7e", 4)
	for in, want := range map[string]string{
		`{"SecretAccessKey":"` + secret + `","x":"` + secret + `"}`:                   `{"SecretAccessKey":"[masked]","x":"` + secret + `"}`,
		`{"c":{"secret_access_key":["` + secret + `"]}}`:                              `{"c":{"secret_access_key":["[masked]"]}}`,
		`{"env":[{"name":"AWS_SECRET_ACCESS_KEY","value":"` + secret + `"}]}`:         `{"env":[{"name":"AWS_SECRET_ACCESS_KEY","value":"[masked]"}]}`,
		`{"authorization":"Bearer ` + hexKey + `"}`:                                   `{"authorization":"Bearer [masked]"}`,
		`{"mistralApiKey":"` + hexKey + `"}`:                                          `{"mistralApiKey":"[masked]"}`,
		`{"twilio_sid":"SK` + hexKey + `"}`:                                           `{"twilio_sid":"[masked]"}`,
		`{"AccountKey":"` + strings.Repeat("aB3/", 21) + `aA=="}`:                     `{"AccountKey":"[masked]"}`,
		`{"commit":"` + strings.Repeat("0a", 20) + `","secret_access_key":"a b c d"}`: `{"commit":"` + strings.Repeat("0a", 20) + `","secret_access_key":"a b c d"}`,
	} {
		for kind, frame := range map[string]string{"application/json": "", "application/x-ndjson": "\n", "text/event-stream": "data: "} {
			from, to := in, want
			switch frame {
			case "\n":
				from, to = in+"\n"+in+"\n", want+"\n"+want+"\n"
			case "data: ":
				from, to = "data: "+in+"\n\n", "data: "+want+"\n\n"
			}
			if got := string(agent.Shown(kind, []byte(from))); got != to {
				t.Errorf("%s\n got %s\nwant %s", kind, got, to)
			}
		}
	}
}

func TestASecretOverTwoEventsIsHidden(t *testing.T) {
	agent, _ := views(t, "texts")
	token := "ghp_" + strings.Repeat("a1B2", 9)
	for name, c := range map[string]struct{ format, hidden string }{
		"OpenAI":    {`{"id":"c","choices":[{"index":0,"delta":{"content":"%"}}]}`, ""},
		"Anthropic": {`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%"}}`, ""},
		"MCP":       {`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"message":"%"}}`, ""},
		"plain":     {`%`, ""},
		"TGI":       {`{"token":{"id":7,"text":"%"},"index":#}`, ""},
		"string":    {`"%"`, ""},
		"strings":   {`["%"]`, ""},
		"names":     {`{"Delta":{"Content":"%"}}`, ""},
	} {
		for _, secret := range []struct{ text, want string }{
			{token, "[masked]"},
			{"4111 1111 1111 1111", "[masked]"},
			{"postgres://u:s3cret@db/x", "postgres://u:[masked]@db/x"},
			{"aws_secret_access_key = " + strings.Repeat("aB3/", 10), "aws_secret_access_key = [masked]"},
			{"-----BEGIN " + "PRIVATE KEY-----" + strings.Repeat("MIIa", 40) + "-----END " + "PRIVATE KEY-----", "[masked]"},
		} {
			for size := 1; size < 12; size++ {
				body, want := "", ""
				text := "it is " + secret.text + " so"
				for at := 0; at < len(text); at += size {
					format := strings.Replace(c.format, "#", strconv.Itoa(at/size), 1)
					body += "data: " + strings.Replace(format, "%", text[at:min(at+size, len(text))], 1) + "\n\n"
				}
				body += "data: [DONE]\n\n"
				got := string(agent.Shown("text/event-stream", []byte(body)))
				for i, line := range strings.Split(got, "\n\n") {
					before, behind, _ := strings.Cut(strings.Replace(c.format, "#", strconv.Itoa(i), 1), "%")
					line = strings.TrimPrefix(line, "data: ")
					if line != "[DONE]" && line != "" {
						want += strings.TrimSuffix(strings.TrimPrefix(line, before), behind)
					}
				}
				if want != "it is "+secret.want+" so" {
					t.Fatalf("%s in pieces of %d becomes %q", name, size, want)
				}
			}
		}
	}
}
