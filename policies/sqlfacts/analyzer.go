package sqlfacts

import (
	"context"
	"slices"
	"strings"
)

// largeText is from where on texts are read one at a time, in bytes: the tree of 1 MiB takes a few hundred MiB.
const largeText = 64 << 10

// Analyzer gives facts for texts and remembers them: trees by text, facts by text and catalog version, and by form where
// texts differ in numbers only. It is safe for concurrent use by any number of sessions.
type Analyzer struct {
	scripts *cache[*Script]
	facts   *cache[*Facts]
	forms   *cache[*form]
	large   chan struct{}
}

// NewAnalyzer returns an Analyzer whose caches hold at most maxBytes together, about; 0 for no caches.
func NewAnalyzer(maxBytes int) *Analyzer {
	return &Analyzer{
		scripts: newCache[*Script](maxBytes / 3),
		facts:   newCache[*Facts](maxBytes / 3),
		forms:   newCache[*form](maxBytes / 3),
		large:   make(chan struct{}, 1),
	}
}

// Facts says what a text does, with names as the catalog knows them. The error is an *Error, as of Parse and Resolve;
// errors are not remembered. The facts are shared: read only.
func (a *Analyzer) Facts(sql string, cat Catalog) (*Facts, error) {
	return a.FactsContext(context.Background(), sql, cat)
}

// FactsContext is Facts for as long as the context lives: then 57014. Only PostgreSQL's parser itself, half a second for
// the longest text, runs to its end.
func (a *Analyzer) FactsContext(ctx context.Context, sql string, cat Catalog) (*Facts, error) {
	version := cat.Version()
	var few [8]Span
	if key, numbers, ok := formOf(sql, few[:0]); ok {
		return a.byForm(ctx, sql, key, numbers, cat)
	}
	if facts, ok := a.facts.get(cacheKey{sql, version}); ok {
		return facts, nil
	}
	if len(sql) > largeText {
		select {
		case a.large <- struct{}{}:
			defer func() { <-a.large }()
		case <-ctx.Done():
			return nil, &Error{Code: "57014", Message: "the statement was not judged: nobody waits for it any more", Err: ctx.Err()}
		}
	}
	script, err := a.script(sql)
	if err != nil {
		return nil, err
	}
	facts, err := script.ResolveContext(ctx, cat)
	if err != nil {
		return nil, err
	}
	a.facts.put(cacheKey{script.text, version}, facts, facts.Size)
	return facts, nil
}

// byForm finds the facts of a text by those of one of the same form.
func (a *Analyzer) byForm(ctx context.Context, sql, key string, numbers []Span, cat Catalog) (*Facts, error) {
	at := cacheKey{key, cat.Version()}
	if f, ok := a.forms.get(at); ok {
		return f.moved(sql, numbers), nil
	}
	script, err := Parse(strings.Clone(sql))
	if err != nil {
		return nil, err
	}
	facts, err := script.ResolveContext(ctx, cat)
	if err != nil {
		return nil, err
	}
	facts.Form = &Form{}
	a.forms.put(at, &form{facts, slices.Clone(numbers)}, facts.Size)
	return facts, nil
}

// script parses a text, or remembers it.
func (a *Analyzer) script(sql string) (*Script, error) {
	if script, ok := a.scripts.get(cacheKey{text: sql}); ok {
		return script, nil
	}
	// What the caller's string is a part of must not be kept alive by it.
	script, err := Parse(strings.Clone(sql))
	if err != nil {
		return nil, err
	}
	a.scripts.put(cacheKey{text: script.text}, script, script.size)
	return script, nil
}
