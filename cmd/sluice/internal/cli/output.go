package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/extproc/record/transcript"
)

// Output is how answers are printed: text for people, json for programs.
type Output struct {
	W    io.Writer
	JSON bool
}

// Table prints rows under a head, what came from outside escaped.
func (o Output) Table(head []string, rows [][]string) error {
	w := tabwriter.NewWriter(o.W, 0, 4, 2, ' ', 0)
	if _, err := fmt.Fprintln(w, strings.Join(head, "\t")); err != nil {
		return err
	}
	for _, r := range rows {
		cells := make([]string, len(r))
		for i, c := range r {
			cells[i] = OneLine(c)
		}
		if _, err := fmt.Fprintln(w, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// OneLine makes text safe to show on one line: where one ends is seen, since a comment may end with it.
func OneLine(s string) string {
	return strings.NewReplacer("\n", "↵", "\t", " ").Replace(transcript.Escape(s))
}

// List prints messages as one JSON array. The state of each is in lower case, as people write it (--state pending);
// enumerations within are named as the API names them: "APPROVE", "ACKED".
func List[M proto.Message](o Output, messages []M) error {
	all := make([]json.RawMessage, 0, len(messages))
	for _, m := range messages {
		one, err := encode(m)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	return o.Value(all)
}

// One prints a message as a JSON object, as List prints one of many.
func (o Output) One(m proto.Message) error {
	one, err := encode(m)
	if err != nil {
		return err
	}
	return o.Value(one)
}

// Value prints what is no message, as JSON.
func (o Output) Value(v any) error {
	e := json.NewEncoder(o.W)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func encode(m proto.Message) (json.RawMessage, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var fields map[string]any
	if err := d.Decode(&fields); err != nil {
		return nil, err
	}
	if s, ok := fields["state"].(string); ok {
		fields["state"] = strings.ToLower(s)
	}
	return json.Marshal(fields)
}
