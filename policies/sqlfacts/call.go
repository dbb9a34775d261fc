package sqlfacts

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

const (
	catalogSchema     = "pg_catalog"
	informationSchema = "information_schema"
)

// call records a function outside the pure list. One that is named at several places is an output only if all are.
func (w *walker) call(function, via string, output bool) {
	key := callName{function, via}
	if i := w.known(key); i >= 0 {
		known := &w.st.Calls[i]
		known.Output = known.Output && output
		return
	}
	w.st.Calls = append(w.st.Calls, Call{Function: function, Via: via, Output: output})
	if w.calls != nil {
		w.calls[key] = len(w.st.Calls) - 1
	}
}

type callName struct{ function, via string }

// known finds a call among those that are recorded, -1 if it is not: by a map as soon as there are many.
func (w *walker) known(key callName) int {
	if w.calls == nil && len(w.st.Calls) > 16 {
		w.calls = make(map[callName]int, 64)
		for i := range w.st.Calls {
			w.calls[callName{w.st.Calls[i].Function, w.st.Calls[i].Via}] = i
		}
	}
	if w.calls != nil {
		if i, ok := w.calls[key]; ok {
			return i
		}
		return -1
	}
	for i := range w.st.Calls {
		if w.st.Calls[i].Function == key.function && w.st.Calls[i].Via == key.via {
			return i
		}
	}
	return -1
}

// functions asks the catalog for all functions of a name.
func (w *walker) functions(schema, name string) []Function {
	list, err := w.cat.Functions(schema, name)
	if err != nil {
		w.catalogFailed(err)
	}
	return list
}

// foreign says whether a function of that name stands outside pg_catalog.
func foreign(list []Function) bool {
	for i := range list {
		if list[i].Schema != catalogSchema {
			return true
		}
	}
	return false
}

// funcCall walks a call: its effect, and its arguments.
func (w *walker) funcCall(f *pg.FuncCall, c ctx) {
	if f == nil || !w.enter() {
		return
	}
	defer w.leave()
	w.evaluates = true
	schema, fn := qualified(f.GetFuncname())
	refs, known := len(w.refs), w.callee(schema, fn, f, c)
	if !known {
		// What a function unknown does with a constant is not known.
		c.group = w.newGroup(c.group, true)
	}
	c.output = false
	w.nodes(f.GetArgs(), c)
	w.constantCall = w.constantCall || !known && len(w.refs) == refs
	w.nodes(f.GetAggOrder(), c)
	w.node(f.GetAggFilter(), c)
	if over := f.GetOver(); over != nil {
		w.generic(over.ProtoReflect(), c)
	}
}

// callee decides what a call does and reports whether the function is pure.
func (w *walker) callee(schema, fn string, f *pg.FuncCall, c ctx) bool {
	if schema == informationSchema && isPureInformation(fn) {
		return true
	}
	if schema != "" && schema != catalogSchema {
		w.execute(schema+"."+fn, c)
		return false
	}
	list := w.functions(schema, fn)
	if !foreign(list) {
		if fn == "current_setting" {
			w.currentSetting(f)
			return true
		}
		if isPure(fn) || w.special(fn, f) {
			return true
		}
		if len(list) == 0 && schema == "" && w.isCatalogType(fn) {
			return true // a cast in the form of a call
		}
	}
	if len(list) == 0 {
		w.execute(strings.TrimPrefix(schema+"."+fn, "."), c)
	}
	for i := range list {
		// Where a pure name has a user's function beside it, only that one matters.
		if list[i].Schema != catalogSchema || !isPure(fn) {
			w.execute(list[i].Schema+"."+fn, c)
		}
	}
	return false
}

func (w *walker) execute(function string, c ctx) {
	w.call(function, "", c.output && !runsText(function))
	w.pair(policyv1.Effect_EXECUTE, function)
}

// runsText names functions of PostgreSQL's own that run a text as SQL: what it says decides whether they fail.
func runsText(function string) bool {
	switch function {
	case "pg_catalog.query_to_xml", "pg_catalog.query_to_xmlschema", "pg_catalog.query_to_xml_and_xmlschema",
		"pg_catalog.cursor_to_xml", "pg_catalog.cursor_to_xmlschema", "pg_catalog.ts_stat", "pg_catalog.ts_rewrite":
		return true
	}
	return false
}

// notation finds functions that alias.name or (row).name would call, and reports whether there is any function of
// that name (PostgreSQL, "Using Composite Types in Queries").
func (w *walker) notation(name string) bool {
	list := w.functions("", name)
	for i := range list {
		if list[i].Schema != catalogSchema {
			w.execute(list[i].Schema+"."+name, ctx{})
		}
	}
	return len(list) > 0
}

// sampleMethod checks the function behind TABLESAMPLE.
func (w *walker) sampleMethod(list []*pg.Node) {
	schema, fn := qualified(list)
	known := (fn == "bernoulli" || fn == "system") && (schema == "" || schema == catalogSchema)
	if known && schema == "" {
		known = !foreign(w.functions("", fn))
	}
	if !known {
		w.execute(strings.Join(name(list), "."), ctx{})
	}
}

// typeName checks a type that a value is turned into: one outside pg_catalog may run code.
func (w *walker) typeName(t *pg.TypeName, c ctx) {
	if t == nil {
		return
	}
	w.nodes(t.GetTypmods(), c)
	schema, name := qualified(t.GetNames())
	if schema == catalogSchema || name == "" {
		return
	}
	found, err := w.cat.Type(schema, name)
	if err != nil {
		w.catalogFailed(err)
		return
	}
	if found == nil { // nobody knows what it runs
		w.userTypes = true
		full := strings.TrimPrefix(schema+"."+name, ".")
		w.namedType(full)
		w.call("type "+full, "", false)
		return
	}
	if found.Schema != catalogSchema {
		w.namedType(found.Schema + "." + found.Name)
	}
	w.userTypes = w.userTypes || found.Schema != catalogSchema && !found.Enum
	full := "type " + found.Schema + "." + found.Name
	if w.direct {
		if found.Schema != catalogSchema {
			w.call(full, "", false)
		}
		return
	}
	for _, f := range found.Runs {
		w.call(f, "a value of "+full, false)
	}
}

func (w *walker) namedType(full string) {
	if w.types == nil {
		w.types = map[string]struct{}{}
	}
	if _, known := w.types[full]; !known {
		w.types[full] = struct{}{}
		w.st.Types = append(w.st.Types, full)
	}
}

func (w *walker) isCatalogType(name string) bool {
	found, err := w.cat.Type("", name)
	if err != nil {
		w.catalogFailed(err)
	}
	return found != nil && found.Schema == catalogSchema
}

// implied records what runs although no name says so: operators, casts, and what the relations run.
func (w *walker) implied() {
	for i := range w.items {
		if rel := w.items[i].rel; rel != nil {
			w.userTypes = w.userTypes || rel.UserTypes
		}
	}
	w.operators()
	if w.evaluates && w.cat.UserCasts() {
		w.call("a cast", "", false)
	}
	if w.direct {
		return
	}
	for i := range w.items {
		it := &w.items[i]
		if it.rel == nil {
			continue
		}
		touch := it.touch
		if it.read {
			touch |= TouchRead
		}
		for _, rc := range it.rel.Calls {
			switch {
			case rc.On&touch == 0:
			case rc.Function == RuleCall:
				w.call(RuleCall, "rules on "+it.object, false)
			default:
				w.call(rc.Function, "a use of "+it.object, false)
			}
		}
	}
	w.definitions()
}

// definitions adds what runs with every definition.
func (w *walker) definitions() {
	for _, p := range w.pairs {
		switch p.Effect {
		case policyv1.Effect_DDL, policyv1.Effect_PRIVILEGE, policyv1.Effect_MAINTENANCE:
		default:
			continue
		}
		for _, f := range w.cat.DefinitionCalls() {
			w.call(f, "an event trigger", false)
		}
		return
	}
}

// operators looks up each operator that is named once.
func (w *walker) operators() {
	var seen map[string]struct{}
	if len(w.ops) > 16 {
		seen = make(map[string]struct{}, 16)
	}
	for i, op := range w.ops {
		if seen != nil {
			if _, ok := seen[op]; ok {
				continue
			}
			seen[op] = struct{}{}
		} else if slices.Contains(w.ops[:i], op) {
			continue
		}
		w.userOperator(op)
	}
}

func (w *walker) userOperator(op string) {
	list, err := w.cat.Operators(op)
	if err != nil {
		w.catalogFailed(err)
		return
	}
	for i := range list {
		if list[i].CatalogArguments || w.userTypes {
			w.call("operator "+list[i].Schema+"."+op, "", false)
			w.constantCall = true
		}
	}
}
