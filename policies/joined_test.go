package policies

import "testing"

// Servlets' parameters, PHP's $_REQUEST and Rails' params are those of the query and of the body in one.
func TestServicesTellTheQueryAndTheBodyApartOrNot(t *testing.T) {
	const all = "'all' in request.http.query"
	fields := func(pairs ...string) func() (map[string][]string, bool) {
		return func() (map[string][]string, bool) { return query(pairs...)["query"].(map[string][]string), true }
	}
	doubtful := func() (map[string][]string, bool) { return nil, false }
	forced := "has(request.http.body.force) && request.http.body.force == true"
	with := func(q httpValues, b any) httpValues {
		q["body"] = b
		return q
	}
	for _, c := range []struct {
		when   string
		values httpValues
		fields func() (map[string][]string, bool)
		met    bool
	}{
		{all, query(), fields("all", "1"), true},
		{all, query(), fields("All[]", "1"), true},
		{all, query("b", "1"), fields("c", "2", "all", ""), true},
		{all, query(), fields("small", "1"), false},
		{all, query(), nil, false},
		{all, query(), doubtful, true},
		{"has(request.http.query.mode) && request.http.query.mode[0] == 'drop'", query("mode", "read"), fields("MODE", "Drop"), true},
		{"has(request.http.query.mode) && request.http.query.mode[0] == 'drop'", query("mode", "drop"), fields("mode", "read"), true},
		{"has(request.http.query.mode) && request.http.query.mode[0] == 'drop'", query("mode", "read"), fields("mode", "write"), false},
		{"!('confirm' in request.http.query)", query(), fields("confirm", "1"), true},
		{"!('confirm' in request.http.query)", query("confirm", "1"), fields("a", "1"), false},
		{"request.http.path == '/y' && " + all, query(), doubtful, false},
		{"request.http.headers['x-mode'] == 'drop'", mode("read"), doubtful, false},
		{forced, with(query(), httpValues{"a": 1.0}), fields("a", "1"), false},
		{forced, with(query("force", "true"), httpValues{"a": 1.0}), fields("a", "1"), true},
		{forced, with(query("Force", "1"), httpValues{"force": false}), fields("force", "false"), true},
		{forced, with(query("force", "no"), httpValues{"a": 1.0}), fields("a", "1"), false},
	} {
		values := httpValues{"path": "/x", "method": "GET"}
		for k, v := range c.values {
			values[k] = v
		}
		p := compileText(t, looseRules(c.when, "/**"))
		for method, want := range map[string]Verdict{"GET": Deny, "POST": Hold} {
			if !c.met {
				want = Allow
			}
			r := callRequest(t, method, "api", "/x", values)
			r.Operations[0].Call.Fields = c.fields
			if d := p.Decide(r); d.Verdict != want {
				t.Errorf("%s, %s %v: %v, want %v: %s", c.when, method, c.values, d.Verdict, want, d.Message)
			}
		}
		r := callRequest(t, "PUT", "api", "/x", values)
		r.Operations[0].Call.Fields = c.fields
		if exact := p.Decide(r).Verdict == Allow; exact && (c.fields == nil || !c.met && c.values["query"] == nil) {
			t.Errorf("%s: a rule that allows is met by %v", c.when, c.values)
		}
	}
}
