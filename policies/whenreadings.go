package policies

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/sluicegate/sluice/policies/httploose"
	"github.com/sluicegate/sluice/policies/httppath"
)

// readings are the variables of conditions for one operation, each made at the first need: as they are, and for rules that
// deny or ask for approval of an HTTP request as some lenient service may read them.
type readings struct {
	request   *Request
	operation *Operation
	exact     map[string]any
	folded    [2]map[string]any // names alone, names and values
	// fields are those of the body, once they were read.
	fields func() (map[string][]string, bool)
}

// as are the variables as they are.
func (r *readings) as() map[string]any {
	if r.exact == nil {
		r.exact = activation(r.request, r.operation)
	}
	return r.exact
}

// vars are the readings for one rule: the values of its template's variables are its own.
type vars struct {
	*readings
	params map[string]string
}

func (v vars) as() map[string]any { return v.with(v.readings.as(), v.params) }

// with has the params of the rule in place.
func (v vars) with(all map[string]any, params any) map[string]any {
	if v.params == nil {
		return all
	}
	request, http := httpOf(all)
	request, http = maps.Clone(request), maps.Clone(http)
	http["params"] = params
	request["http"] = http
	return map[string]any{"request": request}
}

// loose are the variables with names folded, or names and values: of them those parts that a condition mentions. Without
// http there is no other reading than as they are.
func (v vars) loose(values bool, m *mentions) map[string]any {
	i, fold := 0, folds(values)
	if values {
		i = 1
	}
	request, http := httpOf(v.readings.as())
	if http == nil {
		return nil
	}
	if v.folded[i] == nil {
		v.folded[i] = map[string]any{"request": map[string]any{"http": map[string]any{}}}
	}
	folds, foldsHTTP := httpOf(v.folded[i])
	for name, part := range request {
		if _, done := folds[name]; !done && m.has(name) {
			folds[name] = fold(part)
		}
	}
	for name, part := range http {
		if _, done := foldsHTTP[name]; done || !m.has(name) && name != "path" { // choices look at the path
			continue
		}
		if raw, ok := part.(string); ok && name == "path" && values {
			foldsHTTP[name] = httploose.Path(raw)
			continue
		}
		foldsHTTP[name] = fold(part)
	}
	return v.with(v.folded[i], fold(v.params))
}

// joined are the readings of a request for services that tell the query and the fields of a body apart, and for those that do not:
// these take both for the parameters of the request.
func (v vars) joined(all map[string]any, values bool, m *mentions) []map[string]any {
	out := []map[string]any{all}
	if v.operation.Call.Fields == nil {
		return out
	}
	request, http := httpOf(all)
	request, http = maps.Clone(request), maps.Clone(http)
	request["http"] = http
	joins := false
	if body, _ := http["body"].(map[string]any); body != nil && m.has("body") {
		if query := v.query(values); len(query) > 0 {
			http["body"], joins = overlaid(body, query), true
		}
	}
	if m.has("query") {
		if v.fields == nil {
			v.fields = sync.OnceValues(v.operation.Call.Fields)
		}
		switch fields, ok := v.fields(); {
		case !ok:
			delete(http, "query") // a condition on it fails, and is met
			joins = true
		case len(fields) > 0:
			http["query"], joins = united(v.query(values), folds(values)(fields).(map[string][]string)), true
		}
	}
	if joins {
		out = append(out, map[string]any{"request": request})
	}
	return out
}

// query is the query as loose has it; nil if it cannot be read.
func (v vars) query(values bool) map[string][]string {
	_, http := httpOf(v.loose(values, &mentions{names: map[string]bool{"query": true}}))
	query, _ := http["query"].(map[string][]string)
	return query
}

// united has the values of both.
func united(query, fields map[string][]string) map[string][]string {
	out := make(map[string][]string, len(query)+len(fields))
	for _, from := range []map[string][]string{query, fields} {
		for name, list := range from {
			out[name] = append(slices.Clip(out[name]), list...)
		}
	}
	return out
}

// overlaid has the query's last values in place of the body's, or beside them.
func overlaid(body map[string]any, query map[string][]string) map[string]any {
	out := maps.Clone(body)
	for name, list := range query {
		if len(list) > 0 {
			out[name] = list[len(list)-1]
		}
	}
	return out
}

// httpOf are the parts of an activation; http is nil where the request is none.
func httpOf(all map[string]any) (request, http map[string]any) {
	request, _ = all["request"].(map[string]any)
	http, _ = request["http"].(map[string]any)
	return request, http
}

// folds is what folds names, or names and values.
func folds(values bool) func(v any) any {
	if values {
		return foldAll
	}
	return foldNames
}

func foldNames(v any) any { return folded(v, func(s string) string { return s }) }

func foldAll(v any) any { return folded(v, httploose.Value) }

// folded folds the names of all members, and applies value to all texts. Names that become one have the values of all.
func folded(v any, value func(string) string) any {
	switch v := v.(type) {
	case string:
		return value(v)
	case []string:
		out := make([]string, len(v))
		for i, s := range v {
			out[i] = value(s)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = folded(e, value)
		}
		return out
	case map[string]string:
		out := make(map[string]string, len(v))
		for _, name := range sortedNames(v) {
			n, s := httploose.Name(name), value(v[name])
			if before, ok := out[n]; ok {
				s = before + ", " + s
			}
			out[n] = s
		}
		return out
	case map[string][]string:
		out := make(map[string][]string, len(v))
		for _, name := range sortedNames(v) {
			n := httploose.Name(name)
			for _, s := range v[name] {
				out[n] = append(out[n], value(s))
			}
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, name := range sortedNames(v) {
			out[httploose.Name(name)] = folded(v[name], value)
		}
		return out
	}
	return v
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// maxReadings bounds how many ways one request is read for one rule: beyond, the rule counts as met.
const maxReadings = 16

// choice is something that services take one of several values of.
type choice struct {
	values int
	put    func(http map[string]any, i int)
}

// likeHead is the method for which services do the same as for HEAD (RFC 9110, 9.3.2), as it stands in either reading.
var likeHead = map[string]string{"HEAD": "GET", "head": "get"}

// choices are what a reading leaves open of what the rule mentions: which of a repeated parameter's or header's values
// counts, for which other path this one is taken, whether what follows a dot at its end is a format, and whether HEAD is GET.
func choices(all map[string]any, m *mentions, values bool) []choice {
	_, http := httpOf(all)
	var out []choice
	query, _ := http["query"].(map[string][]string)
	for _, name := range sortedNames(query) {
		if m.names[name] && len(query[name]) > 1 {
			list := query[name]
			out = append(out, choice{len(list) + 1, func(h map[string]any, i int) {
				replace(h, "query", name, append([][]string{list}, singles(list)...)[i])
			}})
		}
	}
	headers, _ := http["headers"].(map[string]string)
	for _, name := range sortedNames(headers) {
		if m.names[name] && strings.Contains(headers[name], ",") {
			list := []string{headers[name]}
			for part := range strings.SplitSeq(headers[name], ",") {
				list = append(list, strings.TrimSpace(part))
			}
			out = append(out, choice{len(list), func(h map[string]any, i int) { replace(h, "headers", name, list[i]) }})
		}
	}
	if method, _ := http["method"].(string); m.has("method") && strings.EqualFold(method, "HEAD") {
		out = append(out, choice{2, func(h map[string]any, i int) { h["method"] = []string{method, likeHead[method]}[i] }})
	}
	path, _ := http["path"].(string)
	if values && m.has("path") {
		if others := httppath.Others(path); len(others) > 0 {
			out = append(out, choice{len(others) + 1, func(h map[string]any, i int) { h["path"] = append([]string{path}, others...)[i] }})
		}
	}
	if last := path[strings.LastIndexByte(path, '/')+1:]; values && httploose.Stem(last) != last {
		out = append(out, choice{2, func(h map[string]any, i int) { stemmed(h, i == 1) }})
	}
	return out
}

func singles(list []string) [][]string {
	out := make([][]string, len(list))
	for i, s := range list {
		out[i] = []string{s}
	}
	return out
}

// replace puts a value into a copy of one of the maps of http.
func replace[V any](http map[string]any, part, name string, v V) {
	m := maps.Clone(http[part].(map[string]V))
	m[name] = v
	http[part] = m
}

// stemmed takes what may be a format off the path, and off the variables that stand in it.
func stemmed(http map[string]any, really bool) {
	if !really {
		return
	}
	path, _ := http["path"].(string)
	last := path[strings.LastIndexByte(path, '/')+1:]
	http["path"] = path[:len(path)-len(last)] + httploose.Stem(last)
	if params, ok := http["params"].(map[string]string); ok {
		params = maps.Clone(params)
		for name, v := range params {
			if v == last {
				params[name] = httploose.Stem(v)
			}
		}
		http["params"] = params
	}
}

// each calls f for every combination of choices, until it is true. some is false if there are too many.
func each(all map[string]any, open []choice, f func(map[string]any) bool) (met, some bool) {
	n := 1
	for _, c := range open {
		if n *= c.values; n > maxReadings {
			return false, false
		}
	}
	for k := range n {
		one := all
		if k > 0 {
			request, http := httpOf(all)
			request, http = maps.Clone(request), maps.Clone(http)
			rest := k
			for _, c := range open {
				c.put(http, rest%c.values)
				rest /= c.values
			}
			request["http"] = http
			one = map[string]any{"request": request}
		}
		if f(one) {
			return true, true
		}
	}
	return false, true
}
