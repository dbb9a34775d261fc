package sqlfacts

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
)

// special gives functions of pg_catalog that act, but whose effect is known, that effect. False if the name is none
// of them.
func (w *walker) special(fn string, f *pg.FuncCall) bool {
	switch {
	case fn == "nextval", fn == "setval":
		w.sequence(fn, f, policyv1.Effect_UPDATE)
	case fn == "currval":
		w.sequence(fn, f, policyv1.Effect_READ)
	case fn == "set_config":
		w.setConfig(f)
	case fn == "pg_notify":
		w.notify(f)
	case strings.HasPrefix(fn, "pg_advisory_"), strings.HasPrefix(fn, "pg_try_advisory_"):
		w.pair(policyv1.Effect_LOCK, catalogSchema+"."+fn)
		w.calledByDefinition(fn)
	default:
		return false
	}
	return true
}

// calledByDefinition lists a function with an effect among the calls when it is a default or a view that is looked
// at: whoever uses the relation would have that effect without naming it.
func (w *walker) calledByDefinition(fn string) {
	if w.direct {
		w.call(catalogSchema+"."+fn, "", false)
	}
}

// sequence resolves the regclass argument of a sequence function.
func (w *walker) sequence(fn string, f *pg.FuncCall, effect policyv1.Effect) {
	if fn == "setval" {
		w.calledByDefinition(fn)
	}
	text, ok := constantArgument(f)
	if !ok {
		w.unknown(fn + " of a sequence that is not written as a constant")
		return
	}
	schema, name, ok := splitIdentifier(text)
	if !ok {
		w.unknown(fn + " of a sequence whose name is not understood")
		return
	}
	rel := w.lookup(schema, name)
	if isTemp(schema) || (rel != nil && isTemp(rel.Schema)) {
		w.unknown(publicTemp)
	}
	w.pair(effect, objectName(rel, schema, name))
}

func (w *walker) setConfig(f *pg.FuncCall) {
	w.calledByDefinition("set_config")
	text, ok := constantArgument(f)
	if !ok {
		w.secret = true // it may be a setting whose value is one
		w.unknown("set_config of a setting that is not written as a constant")
		return
	}
	w.setting(strings.ToLower(text), false)
}

// showSetting is a setting whose value is shown, as SHOW does. PostgreSQL's own describe the server; those of an
// application, an extension or of what the server connects with may be secrets.
func (w *walker) showSetting(name string) {
	if name = strings.ToLower(name); strings.Contains(name, ".") || name == "*" || isSecretSetting(name) {
		w.pairs = append(w.pairs, policies.Pair{Effect: policyv1.Effect_SESSION, Object: name, Shows: true})
	}
}

func isSecretSetting(name string) bool {
	switch name {
	case "primary_conninfo", "archive_command", "restore_command", "archive_cleanup_command", "recovery_end_command", "ssl_passphrase_command":
		return true
	}
	return false
}

// currentSetting walks current_setting; a name that is not written out may be that of any.
func (w *walker) currentSetting(f *pg.FuncCall) {
	name, ok := constantArgument(f)
	if !ok {
		name = "*"
	}
	w.showSetting(name)
}

func (w *walker) notify(f *pg.FuncCall) {
	w.calledByDefinition("pg_notify")
	text, ok := constantArgument(f)
	if !ok {
		w.unknown("pg_notify of a channel that is not written as a constant")
		return
	}
	w.pair(policyv1.Effect_NOTIFY, text)
}

// constantArgument is the first argument if it is a string constant, cast to nothing but text or regclass. Named
// arguments may stand in any order, so they are not taken.
func constantArgument(f *pg.FuncCall) (string, bool) {
	args := f.GetArgs()
	if len(args) == 0 || f.GetFuncVariadic() {
		return "", false
	}
	for _, a := range args {
		if a.GetNamedArgExpr() != nil {
			return "", false
		}
	}
	n := args[0]
	for range 4 {
		tc := n.GetTypeCast()
		if tc == nil {
			break
		}
		schema, name := qualified(tc.GetTypeName().GetNames())
		if (schema != "" && schema != catalogSchema) || (name != "text" && name != "regclass") ||
			len(tc.GetTypeName().GetArrayBounds()) > 0 {
			return "", false
		}
		n = tc.GetArg()
	}
	s := n.GetAConst().GetSval()
	return s.GetSval(), s != nil
}

// splitIdentifier reads "name" or "schema.name" as regclass does: folded unless quoted (PostgreSQL, "Object
// Identifier Types").
func splitIdentifier(text string) (schema, name string, ok bool) {
	lex := lexer{text: text}
	var parts []string
	for {
		t := lex.next()
		switch {
		case t.open:
			return "", "", false
		case t.kind == lexWord:
			parts = append(parts, strings.ToLower(text[t.start:t.end]))
		case t.kind == lexQuoted && text[t.start] == '"':
			parts = append(parts, strings.ReplaceAll(text[t.start+1:t.end-1], `""`, `"`))
		default:
			return "", "", false
		}
		t = lex.next()
		if t.kind == lexEnd && !t.open {
			break
		}
		if t.kind != lexOther || text[t.start] != '.' {
			return "", "", false
		}
	}
	switch len(parts) {
	case 1:
		return "", parts[0], true
	case 2:
		return parts[0], parts[1], true
	}
	return "", "", false
}
