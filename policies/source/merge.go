package source

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies"
)

// origin is where one element of a merged list came from.
type origin struct {
	file  string
	index int // within the file's own list
	node  *yaml.Node
}

// origins finds the elements of the merged bundle again: by the list's name, in the merged order.
type origins map[string][]origin

// merge puts fragments together, in their order: lists are concatenated.
func merge(fragments []fragment) (*policyv1.Bundle, origins) {
	bundle, from := &policyv1.Bundle{}, origins{}
	for _, f := range fragments {
		proto.Merge(bundle, f.bundle)
		if f.root == nil {
			continue
		}
		md := f.bundle.ProtoReflect().Descriptor()
		for i := 0; i+1 < len(f.root.Content); i += 2 {
			fd := fieldOf(md, f.root.Content[i])
			if fd == nil || !fd.IsList() {
				continue
			}
			for j, item := range f.root.Content[i+1].Content {
				from[string(fd.Name())] = append(from[string(fd.Name())], origin{file: f.name, index: j, node: item})
			}
		}
	}
	return bundle, from
}

var (
	element   = regexp.MustCompile(`^([a-z_]+)\[(\d+)\]`)
	elsewhere = regexp.MustCompile(`\b([a-z_]+\[\d+\]) already$`)
	segment   = regexp.MustCompile(`^\.?([a-z_]+)|^\[(\d+)\]`)
)

// locate turns faults of the merged bundle into faults of files.
func (o origins) locate(faults policies.Faults) []Fault {
	out := make([]Fault, 0, len(faults))
	for _, f := range faults {
		message := elsewhere.ReplaceAllStringFunc(f.Message, func(s string) string {
			at, rest, _ := o.find(strings.TrimSuffix(s, " already"))
			if at.node == nil {
				return s
			}
			return fmt.Sprintf("%s in %s:%d already", rest, at.file, at.node.Line)
		})
		at, field, below := o.find(f.Field)
		if at.node == nil {
			out = append(out, Fault{Field: f.Field, Message: message})
			continue
		}
		n := deepest(at.node, elementDescriptor(f.Field), below)
		out = append(out, Fault{File: at.file, Line: n.Line, Column: n.Column, Field: field, Message: message})
	}
	return out
}

// find gives the origin of the element that a path begins with, the path as the file has it, and what of it lies below
// the element. The origin has no node if there is none.
func (o origins) find(path string) (at origin, field, below string) {
	m := element.FindStringSubmatch(path)
	if m == nil {
		return origin{}, path, ""
	}
	i, err := strconv.Atoi(m[2])
	if err != nil || i >= len(o[m[1]]) {
		return origin{}, path, ""
	}
	at, below = o[m[1]][i], path[len(m[0]):]
	return at, fmt.Sprintf("%s[%d]%s", m[1], at.index, below), below
}

func elementDescriptor(path string) protoreflect.MessageDescriptor {
	m := element.FindStringSubmatch(path)
	fd := (&policyv1.Bundle{}).ProtoReflect().Descriptor().Fields().ByTextName(m[1])
	if fd == nil {
		return nil
	}
	return fd.Message()
}

// deepest follows a path as far as the file goes. Of a mapping or a list its key is returned: it stands where a person
// looks for it.
func deepest(n *yaml.Node, md protoreflect.MessageDescriptor, path string) *yaml.Node {
	shown := n
	for path != "" && md != nil {
		m := segment.FindStringSubmatch(path)
		if m == nil || n.Kind != yaml.MappingNode || m[1] == "" {
			return shown
		}
		key, value, fd := child(n, md, m[1])
		if key == nil {
			return shown
		}
		path = path[len(m[0]):]
		if n, shown, md = value, key, fd.Message(); value.Kind == yaml.ScalarNode {
			shown = value
		}
		if m = segment.FindStringSubmatch(path); m == nil || m[2] == "" {
			continue
		}
		i, err := strconv.Atoi(m[2])
		if err != nil || n.Kind != yaml.SequenceNode || i >= len(n.Content) {
			return shown
		}
		path = path[len(m[0]):]
		n = n.Content[i]
		shown = n
	}
	return shown
}

func child(n *yaml.Node, md protoreflect.MessageDescriptor, name string) (key, value *yaml.Node, fd protoreflect.FieldDescriptor) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if fd := fieldOf(md, n.Content[i]); fd != nil && string(fd.Name()) == name {
			return n.Content[i], n.Content[i+1], fd
		}
	}
	return nil, nil, nil
}
