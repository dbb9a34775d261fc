package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"buf.build/go/protoyaml"
	"go.yaml.in/yaml/v3"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// fragment is one file, decoded.
type fragment struct {
	name   string
	root   *yaml.Node // the top mapping; nil for a file without content
	bundle *policyv1.Bundle
}

// decode reads one file. The faults are all that can be found without the other files.
func decode(f file) (fragment, []Fault) {
	if fault := unreadable(f); fault != nil {
		return fragment{}, []Fault{*fault}
	}
	root, fault := parse(f)
	if fault != nil {
		return fragment{}, []Fault{*fault}
	}
	out := fragment{name: f.name, root: root, bundle: &policyv1.Bundle{}}
	if root == nil {
		return out, nil
	}
	t := &tree{file: f.name, fields: map[position]string{}}
	if t.plain(root, "") {
		t.message(root, out.bundle.ProtoReflect().Descriptor(), "")
	}
	told := map[position]bool{}
	for _, one := range t.faults {
		told[position{one.Line, one.Column}] = true
	}
	faults := t.faults
	for _, one := range t.schemaFaults(protoyaml.Unmarshal(f.data, out.bundle)) {
		// A duplicate or an alias makes protoyaml complain at the same place.
		if !told[position{one.Line, one.Column}] {
			faults = append(faults, one)
		}
	}
	return out, faults
}

// unreadable finds bytes that a person sees otherwise than the parser: YAML has line breaks that editors do not show,
// and other encodings.
func unreadable(f file) *Fault {
	if len(f.data) == 0 {
		return &Fault{File: f.name, Message: "is empty: remove it, or write a comment into it"}
	}
	line := 1
	for i := 0; i < len(f.data); {
		r, size := utf8.DecodeRune(f.data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return &Fault{File: f.name, Line: line, Column: 1, Message: "is no UTF-8"}
		case r == '\n':
			line++
		case r == '\u0085', r == '\u2028', r == '\u2029', r == '\ufeff', r == '\r' && !bytes.HasPrefix(f.data[i+1:], []byte("\n")):
			return &Fault{File: f.name, Line: line, Column: 1, Message: fmt.Sprintf("holds %+q: only LF and CRLF end a line", r)}
		}
		i += size
	}
	return nil
}

// parse gives the top node of the only document, nil if there is none.
func parse(f file) (*yaml.Node, *Fault) {
	dec := yaml.NewDecoder(bytes.NewReader(f.data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntaxFault(f, err)
	}
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, syntaxFault(f, err)
	default:
		return nil, &Fault{
			File: f.name, Line: second.Line, Column: second.Column,
			Message: "a second document begins here: write one file for each",
		}
	}
	if len(doc.Content) != 1 {
		return nil, nil
	}
	return doc.Content[0], nil
}

var syntaxLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// syntaxFault takes apart the parser's "yaml: line 3: did not find expected key".
func syntaxFault(f file, err error) *Fault {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	fault := &Fault{File: f.name, Line: 1, Column: 1, Message: text}
	if m := syntaxLine.FindStringSubmatch(text); m != nil {
		if line, err := strconv.Atoi(m[1]); err == nil && line > 0 {
			fault.Line, fault.Message = line, text[len(m[0]):]
		}
	}
	return fault
}

// schemaFaults takes apart protoyaml's error, whose members have a position in their text only.
func (t *tree) schemaFaults(err error) []Fault {
	if err == nil {
		return nil
	}
	members := []error{err}
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		members = many.Unwrap()
	}
	out := make([]Fault, 0, len(members))
	for _, one := range members {
		var at position
		fault := Fault{File: t.file, Line: 1, Column: 1, Message: one.Error()}
		cause := errors.Unwrap(one)
		if _, err := fmt.Sscanf(one.Error(), ":%d:%d ", &at.line, &at.column); err == nil && cause != nil {
			fault = Fault{File: t.file, Line: at.line, Column: at.column, Field: t.fields[at], Message: cause.Error()}
		}
		out = append(out, fault)
	}
	return out
}
