package record

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// valid is a message whose strings are UTF-8, which protobuf insists on: what is none stands as \xff. Whoever is recorded
// may have sent anything, and must not be able to stop the recorder by it. A message that is valid is returned as it is, and
// no other is changed.
func valid[M proto.Message](m M) M {
	if !strings8(m.ProtoReflect(), false) {
		return m
	}
	m = proto.CloneOf(m)
	strings8(m.ProtoReflect(), true)
	return m
}

// strings8 reports whether a string of a message is no UTF-8, and escapes all such if they are to be repaired.
func strings8(m protoreflect.Message, repair bool) (found bool) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap(): // the record has none
		case f.IsList():
			for i := range v.List().Len() {
				if one, bad := value8(f, v.List().Get(i), repair); bad {
					found = true
					if repair {
						v.List().Set(i, one)
					}
				}
			}
		default:
			if one, bad := value8(f, v, repair); bad {
				found = true
				if repair {
					m.Set(f, one)
				}
			}
		}
		return repair || !found
	})
	return found
}

// value8 is strings8 for one value.
func value8(f protoreflect.FieldDescriptor, v protoreflect.Value, repair bool) (out protoreflect.Value, bad bool) {
	switch f.Kind() {
	case protoreflect.StringKind:
		if s := v.String(); !utf8.ValidString(s) {
			return protoreflect.ValueOfString(escape(s)), true
		}
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return v, strings8(v.Message(), repair)
	}
	return v, false
}

// escape writes bytes that are no UTF-8 as \xff.
func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[i])
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}
