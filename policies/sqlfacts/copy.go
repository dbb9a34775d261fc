package sqlfacts

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// copyStmt walks COPY (PostgreSQL, COPY).
func (w *walker) copyStmt(s *pg.CopyStmt, c ctx) {
	w.evaluates = true
	w.st.Copy = &Copy{}
	c.level = w.newLevel()
	toClient := false
	switch {
	case s.GetFilename() != "":
		w.pair(policyv1.Effect_IO, s.GetFilename())
		w.secret = s.GetIsProgram() // a command line may hold one
	case s.GetIsProgram():
		w.unknown("COPY without a program is not understood")
	case s.GetIsFrom():
		w.st.Kind = CopyIn
	default:
		w.st.Kind = CopyOut
		toClient = true
	}
	w.copyOptions(s)
	if q := s.GetQuery(); q.GetNode() != nil {
		// The data that COPY sends has no origins, so every output counts as used.
		w.query(q, ctx{group: groupNone, level: c.level, where: "COPY (query)"}, below("COPY (query)"))
		return
	}
	if s.GetRelation() == nil {
		w.unknown("COPY of nothing is not understood")
		return
	}
	var i int
	if s.GetIsFrom() {
		i = w.target(s.GetRelation(), c, TouchInsert)
	} else {
		i = w.read(s.GetRelation(), c)
	}
	if w.err != nil {
		return
	}
	if s.GetIsFrom() {
		w.pair(policyv1.Effect_INSERT, w.items[i].object)
	}
	w.copyColumns(s, i)
	if !s.GetIsFrom() && !toClient {
		for _, column := range w.st.Copy.Columns {
			w.use(i, column.Name, "COPY to a file")
		}
	}
	w.condition(s.GetWhereClause(), c, "WHERE")
}

// copyColumns lists the columns in the order of the data.
func (w *walker) copyColumns(s *pg.CopyStmt, i int) {
	rel := w.items[i].rel
	w.st.Copy.Relation = rel
	if rel == nil {
		return
	}
	if names := name(s.GetAttlist()); len(names) > 0 {
		for _, n := range names {
			if column := rel.Column(n); column != nil {
				w.st.Copy.Columns = append(w.st.Copy.Columns, *column)
			}
		}
		return
	}
	for _, column := range rel.Columns {
		if !column.Generated {
			w.st.Copy.Columns = append(w.st.Copy.Columns, column)
		}
	}
}

func (w *walker) copyOptions(s *pg.CopyStmt) {
	out := w.st.Copy
	given := make(map[string]string, len(s.GetOptions()))
	for _, n := range s.GetOptions() {
		o := n.GetDefElem()
		option := o.GetDefname()
		if _, twice := given[option]; twice {
			w.unsupported("COPY has an option twice: " + option)
		}
		given[option] = optionText(o)
		switch option {
		case "format", "delimiter", "null", "header", "quote", "escape", "freeze", "force_quote", "force_not_null",
			"force_null", "default", "on_error", "log_verbosity", "reject_limit":
		case "encoding":
			if e := strings.ToLower(strings.ReplaceAll(given[option], "-", "")); e != "utf8" && e != "unicode" {
				w.unsupported("COPY in another encoding than UTF8 is not supported")
			}
		default:
			w.unsupported("COPY has an option that is not understood: " + option)
		}
	}
	out.Delimiter, out.Null = '\t', `\N`
	switch format, ok := given["format"]; {
	case !ok || format == "text":
	case format == "csv":
		out.Format, out.Delimiter, out.Quote, out.Null = CopyCSV, ',', '"', ""
	case format == "binary":
		out.Format = CopyBinary
	default:
		w.unsupported("COPY has a format that is not understood")
	}
	w.copyByte(given, "delimiter", &out.Delimiter)
	w.copyByte(given, "quote", &out.Quote)
	out.Escape = out.Quote
	w.copyByte(given, "escape", &out.Escape)
	if null, ok := given["null"]; ok {
		out.Null = null
	}
	if header, ok := given["header"]; ok {
		switch strings.ToLower(header) {
		case "false", "off", "0":
		default:
			out.Header = true
		}
	}
}

// copyByte takes an option of exactly one byte.
func (w *walker) copyByte(given map[string]string, option string, to *byte) {
	text, ok := given[option]
	if !ok {
		return
	}
	if len(text) != 1 {
		w.unsupported("COPY wants one byte for " + option)
		return
	}
	*to = text[0]
}

// unsupported refuses data that could not be read on its way, whoever may do everything: the record is masked by it.
func (w *walker) unsupported(reason string) { w.fail(&Error{Code: "0A000", Message: reason}) }
