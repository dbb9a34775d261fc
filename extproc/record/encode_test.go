package record

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

// fill sets fields of a message to anything that they can hold, by the schema: a field that is added to it is here too.
func fill(t *rapid.T, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.ContainingOneof() != nil:
			t.Fatalf("%s: a choice within what is encoded by hand", f.FullName())
		case f.IsMap():
			t.Fatalf("%s: a map within what is encoded by hand", f.FullName())
		case f.IsList():
			list := m.Mutable(f).List()
			for range rapid.IntRange(0, 3).Draw(t, "length") {
				if f.Message() != nil {
					fill(t, list.AppendMutable().Message())
				} else {
					list.Append(value(t, f))
				}
			}
		case rapid.Bool().Draw(t, "empty"):
		case f.Message() != nil:
			fill(t, m.Mutable(f).Message())
		default:
			m.Set(f, value(t, f))
		}
	}
}

func value(t *rapid.T, f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", string(bytes.Repeat([]byte("long "), 50))})).Draw(t, "text"))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.Int32Range(0, 40).Draw(t, "enum")))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(rapid.Uint64().Draw(t, "uint64"))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, "uint32"))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(rapid.Int64().Draw(t, "int64"))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(rapid.Int32().Draw(t, "int32"))
	}
	t.Fatalf("%s: kind %s", f.FullName(), f.Kind())
	return protoreflect.Value{}
}

// anyByHand is an event of those that are encoded by hand, with everything that its schema has but trailers: those are
// HTTP's, and left to the library.
func anyByHand(t *rapid.T) *recordv1.Event {
	e := &recordv1.Event{}
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		e.Kind = &recordv1.Event_Statement{Statement: &recordv1.Statement{}}
	case 1:
		e.Kind = &recordv1.Event_Decision{Decision: &recordv1.Decision{}}
	case 2:
		e.Kind = &recordv1.Event_Execution{Execution: &recordv1.Execution{}}
	case 3:
		e.Kind = &recordv1.Event_Outcome{Outcome: &recordv1.Outcome{}}
	}
	m := e.ProtoReflect()
	fill(t, m.Get(m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))).Message())
	if o := e.GetOutcome(); o != nil {
		o.Trailers = nil
	}
	return e
}

func TestEventsEncodedByHandAreThoseOfTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyByHand(t)
		sequence := rapid.Uint64().Draw(t, "sequence")
		at := time.Unix(rapid.Int64Range(-1<<33, 1<<33).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos"))
		before := []byte("before")
		m := message{b: before, end: len(before) + maxByHand}
		if !m.event(sequence, at, e) {
			t.Fatalf("not encoded: %v", e)
		}
		e.Sequence, e.At = sequence, timestamppb.New(at)
		want, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(before, e)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.b, want) {
			t.Fatalf("of %v\ngot  %x\nwant %x", e, m.b, want)
		}
	})
}

func TestWhatIsNotForTheHandIsLeftToTheLibrary(t *testing.T) {
	statement := func(s *recordv1.Statement) *recordv1.Event {
		return &recordv1.Event{Kind: &recordv1.Event_Statement{Statement: s}}
	}
	long := string(bytes.Repeat([]byte{'x'}, maxByHand))
	for name, e := range map[string]*recordv1.Event{
		"no kind":         {},
		"another kind":    {Kind: &recordv1.Event_SessionEnd{SessionEnd: &recordv1.SessionEnd{Reason: "over"}}},
		"trailers":        {Kind: &recordv1.Event_Outcome{Outcome: &recordv1.Outcome{Trailers: []*recordv1.Header{{Name: "a"}}}}},
		"a long text":     statement(&recordv1.Statement{Text: long}),
		"a long list":     statement(&recordv1.Statement{Commands: []string{long[:maxByHand/2], long[:maxByHand/2]}}),
		"no UTF-8":        statement(&recordv1.Statement{Text: "\xff"}),
		"no UTF-8 deeper": statement(&recordv1.Statement{Pairs: []*recordv1.Pair{{Object: "\xc3"}}}),
	} {
		m := message{end: maxByHand}
		if m.event(1, time.Unix(1, 0), e) {
			t.Errorf("%s: encoded by hand", name)
		}
		if len(m.b) > 2*maxByHand {
			t.Errorf("%s: %d bytes were written", name, len(m.b))
		}
	}
}
