package jsonmask

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// event is one as a reader that keeps to the standard gets it.
type event struct{ Type, ID, Data string }

// readEvents follows WHATWG HTML, 9.2.6, to the letter. The last event counts without its empty line too.
func readEvents(body string) (out []event) {
	body = strings.TrimPrefix(body, "\ufeff")
	body = strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\r", "\n")
	var e event
	var data []string
	dispatch := func() {
		if len(data) > 0 {
			e.Data = strings.Join(data, "\n")
			out = append(out, e)
		}
		e, data = event{ID: e.ID}, nil
	}
	for _, line := range strings.Split(body, "\n") {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			dispatch()
		case field == "data":
			data = append(data, value)
		case field == "event":
			e.Type = value
		case field == "id":
			e.ID = value
		}
	}
	dispatch()
	return out
}

func TestReadersOfMaskedEventsGetTheEventsMasked(t *testing.T) {
	view := NewView(fields(t, "$..password"), secrets, nil)
	lineEnd := rapid.SampledFrom([]string{"\n", "\r\n", "\r"})
	rapid.Check(t, func(t *rapid.T) {
		end := lineEnd.Draw(t, "end") // mixed ends are in the table: CR and then LF are one
		body := rapid.SampledFrom([]string{"", "\ufeff"}).Draw(t, "mark")
		for range rapid.IntRange(0, 4).Draw(t, "events") {
			for range rapid.IntRange(0, 5).Draw(t, "lines") {
				body += rapid.SampledFrom([]string{
					`data: {"password":"SECRET"}`, `data:{"a":[`, `data: 1,`, `data:  "tok_secret"`, `data:]}`, "data", "data: ", "data: word",
					`data: {"password":{`, `data: "x":"tok_9"`, `data: "password":"SECRET"`, `data: },"b":2}`, "id: 7", "id:tok_1", "event: x", ": ping", "retry: 1", "foo: SECRET", "SECRET", "data: [DONE]", "data:  ", "id",
				}).Draw(t, "line") + end
			}
			body += end
		}
		got, err := masked(Events, &pieces{t, []byte(body)}, view)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(got, "SECRET") || strings.Contains(got, "tok_") {
			t.Fatalf("%q: a secret is shown: %q", body, got)
		}
		var want []event
		for _, e := range readEvents(body) {
			e.ID = secrets.ReplaceAllString(e.ID, "[masked]")
			if _, err := trees(e.Data); err != nil && e.Data != done {
				e.Data = hiddenIn(t, e.Data, view)
			} else if e.Data != done && strings.TrimSpace(e.Data) != "" {
				if e.Data, err = masked(JSON, strings.NewReader(e.Data), view); err != nil {
					t.Fatal(err)
				}
			}
			want = append(want, e)
		}
		if d := cmp.Diff(want, readEvents(got)); d != "" {
			t.Fatalf("%q becomes %q (-want +got):\n%s", body, got, d)
		}
	})
}

// hiddenIn is what becomes of data that is no JSON: what becomes of a string of it.
func hiddenIn(t *rapid.T, data string, v *View) string {
	in, err := jsontext.AppendQuote(nil, data)
	if err != nil {
		t.Fatal(err)
	}
	out, err := masked(JSON, bytes.NewReader(in), v)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jsontext.AppendUnquote(nil, out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTextInAnyPiecesIsTheTextWithItsFindsHidden(t *testing.T) {
	view := NewView(nil, secrets, nil)
	rapid.Check(t, func(t *rapid.T) {
		body := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"tok_1", " ", "\n", "\r\n", "BEGIN KEY", "END KEY", "\xff", "word", "4111111111111111", "ä"})).Draw(t, "body"), "")
		got, err := masked(Text, &pieces{t, []byte(body)}, view)
		if !utf8.ValidString(body) {
			if _, ok := errors.AsType[*Error](err); !ok || strings.Contains(got, "tok_") {
				t.Fatalf("%q becomes %q, %v", body, got, err)
			}
			return
		}
		if want := secrets.ReplaceAllString(body, "[masked]"); err != nil || got != want {
			t.Fatalf("%q becomes %q, %v; want %q", body, got, err, want)
		}
	})
}
