package source

import (
	"fmt"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// position is where a node stands, counted from 1.
type position struct{ line, column int }

func positionOf(n *yaml.Node) position { return position{n.Line, n.Column} }

// tree looks at the YAML nodes of one file next to the schema: it finds what protoyaml would take or ignore, and
// remembers which field stands where.
type tree struct {
	file   string
	faults []Fault
	fields map[position]string
}

func (t *tree) fault(n *yaml.Node, field, format string, args ...any) {
	t.faults = append(t.faults, Fault{
		File: t.file, Line: n.Line, Column: n.Column, Field: field, Message: fmt.Sprintf(format, args...),
	})
}

// plain refuses what makes YAML mean something else than it shows. It reports whether to go on below n.
func (t *tree) plain(n *yaml.Node, field string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		t.fault(n, field, "anchors and aliases are not supported: write it out")
		return n.Kind != yaml.AliasNode
	case n.Style&yaml.TaggedStyle != 0:
		t.fault(n, field, "tags are not supported: leave out %s", n.Tag)
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		t.fault(n, field, "has no value: write {} for an empty message, or leave the field out")
	}
	return true
}

// message walks the node of a message. path is empty for the bundle itself.
func (t *tree) message(n *yaml.Node, md protoreflect.MessageDescriptor, path string) {
	if n.Kind != yaml.MappingNode {
		return // protoyaml says so
	}
	seen := map[protoreflect.FieldNumber]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field := join(path, key.Value)
		t.plain(key, field)
		fd := fieldOf(md, key)
		if fd == nil {
			t.unknown(key, md, field)
			continue
		}
		if first, ok := seen[fd.Number()]; ok {
			t.fault(key, field, "stands twice, first in line %d", first)
		} else {
			seen[fd.Number()] = key.Line
		}
		if path == "" && fd.Name() == "version" {
			t.fault(key, field, "set by Sluice: leave it out")
		}
		t.field(value, fd, join(path, string(fd.Name())))
	}
}

// unknown remembers the key, since protoyaml reports it, except for a number, which protoyaml would take as a field's.
func (t *tree) unknown(key *yaml.Node, md protoreflect.MessageDescriptor, field string) {
	t.fields[positionOf(key)] = field
	if _, err := strconv.Atoi(key.Value); err == nil {
		t.fault(key, field, "unknown field %q of %s", key.Value, md.Name())
	}
}

func (t *tree) field(n *yaml.Node, fd protoreflect.FieldDescriptor, path string) {
	t.fields[positionOf(n)] = path
	if !t.plain(n, path) {
		return
	}
	switch {
	case !fd.IsList():
		if fd.Message() != nil {
			t.message(n, fd.Message(), path)
		}
	case n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			at := fmt.Sprintf("%s[%d]", path, i)
			t.fields[positionOf(item)] = at
			if t.plain(item, at) && fd.Message() != nil {
				t.message(item, fd.Message(), at)
			}
		}
	}
}

// fieldOf finds a field by its name in the schema or in JSON, as protoyaml does.
func fieldOf(md protoreflect.MessageDescriptor, key *yaml.Node) protoreflect.FieldDescriptor {
	if key.Kind != yaml.ScalarNode {
		return nil
	}
	if fd := md.Fields().ByJSONName(key.Value); fd != nil {
		return fd
	}
	return md.Fields().ByTextName(key.Value)
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// join adds a name to a path; what is no plain name is quoted and cut.
func join(path, name string) string {
	if !plainName.MatchString(name) {
		const enough = 64
		name = fmt.Sprintf("[%.*q]", enough, name)
		return path + name
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
