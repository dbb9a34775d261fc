package sqlfacts

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// generic walks whatever a message holds, in the order of its fields.
func (w *walker) generic(m protoreflect.Message, c ctx) {
	if !m.IsValid() || !w.enter() {
		return
	}
	defer w.leave()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Kind() != protoreflect.MessageKind || !m.Has(f) {
			continue
		}
		if !f.IsList() {
			w.message(m.Get(f).Message(), c)
			continue
		}
		list := m.Get(f).List()
		for j := range list.Len() {
			w.message(list.Get(j).Message(), c)
		}
	}
}

// message walks one message with the rule for its kind, where there is one.
func (w *walker) message(m protoreflect.Message, c ctx) {
	switch x := m.Interface().(type) {
	case *pg.Node:
		w.node(x, c)
	case *pg.SelectStmt:
		w.selectStmt(x, c, below("a subquery"))
	case *pg.FuncCall:
		w.funcCall(x, c)
	case *pg.TypeName:
		w.typeName(x, c)
	case *pg.RangeVar:
		if i := w.read(x, c); w.err == nil {
			w.use(i, "*", c.where)
		}
	default:
		w.generic(m, c)
	}
}
