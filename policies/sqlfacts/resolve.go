package sqlfacts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	pg "github.com/pganalyze/pg_query_go/v6"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
)

// Resolve says what the statements do, with names as the catalog knows them. The error is an *Error: 58000 if the
// catalog cannot answer, 54001 or 54000 if a statement is too large to be judged, 42P02 for a parameter that cannot be.
func (s *Script) Resolve(cat Catalog) (*Facts, error) {
	return s.ResolveContext(context.Background(), cat)
}

// ResolveContext is Resolve for as long as the context lives: then 57014. Work and memory of one text are bounded: 54000.
func (s *Script) ResolveContext(ctx context.Context, cat Catalog) (*Facts, error) {
	b := &budget{ctx: ctx}
	facts := &Facts{Size: int(unsafe.Sizeof(Facts{})) + len(s.text)}
	if len(s.stmts) > 0 {
		facts.Statements = make([]Statement, len(s.stmts))
	}
	for i, raw := range s.stmts {
		st := &facts.Statements[i]
		w := s.walker(raw, cat, st, b)
		w.statement(raw.GetStmt())
		w.finish()
		if w.err != nil {
			return nil, w.err
		}
		if facts.Size += st.size(); facts.Size > maxFacts {
			return nil, &Error{Code: "54000", Message: fmt.Sprintf("what the statement does takes more than %d bytes to say: send it in parts", maxFacts)}
		}
	}
	return facts, nil
}

// walker cuts a statement out of the text.
func (s *Script) walker(raw *pg.RawStmt, cat Catalog, st *Statement, b *budget) *walker {
	start, end := int(raw.GetStmtLocation()), len(s.text)
	if n := int(raw.GetStmtLen()); n > 0 {
		end = start + n
	}
	text := s.text[start:end]
	trimmed := strings.TrimLeft(text, " \t\n\r\f\v")
	start += len(text) - len(trimmed)
	st.Text = strings.TrimRight(trimmed, " \t\n\r\f\v")
	st.Offset = start
	first, _ := slices.BinarySearchFunc(s.constants, start, bySpanStart)
	last, _ := slices.BinarySearchFunc(s.constants, end, bySpanStart)
	return newWalker(cat, st, start, s.constants[first:last], b)
}

func bySpanStart(c span, at int) int { return int(c.start) - at }

// finish turns what was collected into the statement.
func (w *walker) finish() {
	if w.err != nil {
		return
	}
	w.columns()
	for i := range w.items {
		if it := &w.items[i]; it.target && it.read {
			w.pair(policyv1.Effect_READ, it.object)
		}
	}
	w.implied()
	w.relations()
	if w.err != nil {
		return
	}
	w.literals()
	w.st.Operation.Pairs = sortPairs(w.pairs)
	w.reached()
	w.st.MovesPath = w.movesPath()
	w.st.ReadOnly = len(w.st.Calls) == 0
	for _, p := range w.st.Operation.Pairs {
		w.st.ReadOnly = w.st.ReadOnly && p.Effect == policyv1.Effect_READ
	}
}

func sortPairs(list []policies.Pair) []policies.Pair {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b policies.Pair) int {
		return cmp.Or(cmp.Compare(a.Effect, b.Effect), strings.Compare(a.Object, b.Object), compareBool(a.Shows, b.Shows))
	})
	return slices.Compact(list)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// relations lists what is touched, views with what they read.
func (w *walker) relations() {
	seen := make(map[uint32]struct{}, len(w.items))
	var add func(rel *Relation)
	add = func(rel *Relation) {
		if _, ok := seen[rel.OID]; ok {
			return
		}
		seen[rel.OID] = struct{}{}
		w.st.Relations = append(w.st.Relations, rel)
		for _, id := range rel.Reads {
			if _, ok := seen[id.Relation]; ok {
				continue
			}
			read, err := w.cat.RelationByOID(id.Relation)
			if err != nil {
				w.catalogFailed(err)
				return
			}
			if read != nil {
				add(read)
			}
		}
	}
	for i := range w.items {
		if rel := w.items[i].rel; rel != nil {
			add(rel)
		}
	}
}

// literals says what each constant and parameter meets.
func (w *walker) literals() {
	unknown := false
	for i := range w.items {
		unknown = unknown || w.items[i].rel == nil
	}
	if len(w.consts) > 0 {
		w.st.Literals = make([]Literal, 0, len(w.consts))
	}
	for i, c := range w.consts {
		l := Literal{Start: int(c.start) - w.offset, End: int(c.end) - w.offset}
		g := w.placed[i]
		if g == unplaced {
			g = groupAll
		}
		l.Meets = *w.meets(g)
		l.Meets.Secret, l.Meets.Unknown = w.secret, unknown
		w.st.Literals = append(w.st.Literals, l)
	}
	if len(w.params) > 0 {
		w.st.Parameters = make([]Meets, len(w.params))
	}
	for i, groups := range w.params {
		m := &w.st.Parameters[i]
		m.Secret, m.Unknown = w.secret, unknown
		for _, g := range groups {
			columns := w.meets(g).Columns
			if len(groups) == 1 {
				m.Columns = columns
				break
			}
			for _, u := range columns {
				m.Columns = appendUse(m.Columns, u)
			}
		}
	}
}

// meets are the columns of a group; of one that flows on, all that the statement uses or assigns.
func (w *walker) meets(g int32) *Meets {
	gr := &w.groups[g]
	if gr.all {
		gr = &w.groups[groupAll]
	}
	if gr.meets != nil {
		return gr.meets
	}
	gr.meets = &Meets{Columns: gr.columns}
	if gr.all {
		gr.meets.Columns = w.everything()
	}
	return gr.meets
}

func (w *walker) everything() []ColumnUse {
	if !w.utility && len(w.targets) == 0 {
		return w.st.Uses
	}
	list := slices.Clone(w.st.Uses)
	for _, u := range w.targets {
		list = appendUse(list, u)
	}
	if w.utility {
		for i := range w.items {
			if rel := w.items[i].rel; rel != nil {
				list = appendUse(list, ColumnUse{Relation: rel, Column: "*", Where: "a definition"})
			}
		}
	}
	return list
}

const pairSize = int(unsafe.Sizeof(policies.Pair{}))

// size is what a statement takes in memory, about.
func (s *Statement) size() int {
	n := int(unsafe.Sizeof(*s)) + len(s.Reason) + len(s.Name) + len(s.Operation.Command)
	n += len(s.Uses) * int(unsafe.Sizeof(ColumnUse{}))
	for _, t := range s.Types {
		n += len(t) + int(unsafe.Sizeof(t))
	}
	n += len(s.Literals) * int(unsafe.Sizeof(Literal{}))
	n += len(s.Parameters) * int(unsafe.Sizeof(Meets{}))
	n += len(s.Relations) * 8
	for _, p := range s.Operation.Pairs {
		n += int(unsafe.Sizeof(p)) + len(p.Object)
	}
	n += len(s.Operation.Reached) * pairSize
	for _, o := range s.Also {
		n += int(unsafe.Sizeof(o)) + (len(o.Pairs)+len(o.Reached))*pairSize
	}
	for _, c := range s.Calls {
		n += int(unsafe.Sizeof(c)) + len(c.Function) + len(c.Via)
	}
	for i := range s.Literals {
		n += len(s.Literals[i].Meets.Columns) * int(unsafe.Sizeof(ColumnUse{}))
	}
	for i := range s.Parameters {
		n += len(s.Parameters[i].Columns) * int(unsafe.Sizeof(ColumnUse{}))
	}
	if s.Copy != nil {
		n += int(unsafe.Sizeof(Copy{})) + len(s.Copy.Columns)*int(unsafe.Sizeof(Column{}))
	}
	return n
}
