package httpmask

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicegate/sluice/policies/httploose"
	"github.com/sluicegate/sluice/policies/jsonmask"
	"github.com/sluicegate/sluice/policies/jsonpath"
)

const (
	// nestedNames is how many names a field's own may be made of where paths name something: each is tried.
	nestedNames = 8
	// contextBytes is how much of a value detectors are given to tell whether a name says something about it.
	contextBytes = 1 << 10
)

// field is a field of a form as people see it, by its name in front of its first equals sign, and whether paths hide something
// of it. Some services read several where it has semicolons: what they would read is hidden, too, and all that is not is seen.
// False: both cannot be had.
func (v *View) field(raw string) (shown string, hidden, ok bool) {
	name, value, _ := strings.Cut(raw, "=")
	name, value = httploose.Unescape(name, true), httploose.Unescape(value, true)
	whole, hidden, ok := v.member(name, value)
	shown = v.Text(name) + " = " + whole
	if !v.paths || !ok || !strings.Contains(raw, ";") {
		return shown, hidden, ok
	}
	if hidden {
		_, behind, _ := strings.Cut(raw, ";")
		return shown, true, strings.Trim(behind, "; ") == ""
	}
	pieces, inner, ok := v.pieces(raw)
	if inner {
		return pieces, true, ok && whole == escaped(value)
	}
	return shown, false, ok
}

// pieces is a field as services see it that read several where it has semicolons, and whether paths hide something of them.
func (v *View) pieces(raw string) (shown string, hidden, ok bool) {
	var out strings.Builder
	equals := " = "
	for i, piece := range strings.Split(raw, ";") {
		if i > 0 {
			out.WriteByte(';')
		}
		name, value, has := strings.Cut(piece, "=")
		name = httploose.Unescape(name, true)
		out.WriteString(v.Text(name))
		if !has {
			continue
		}
		seen, hides, ok := v.member(name, httploose.Unescape(value, true))
		if !ok {
			return "", false, false
		}
		hidden = hidden || hides
		out.WriteString(equals + seen)
		equals = "="
	}
	return out.String(), hidden, true
}

// member is a field's value as it would be seen as the member of a document, and whether that hides more than what would be
// hidden under any name: paths name fields of forms, too. Services nest them by brackets and dots ("user[password]"), and each
// name in one counts.
func (v *View) member(name, value string) (shown string, hidden, ok bool) {
	if !v.paths {
		return v.Text(value), false, true
	}
	places, ok := placesOf(name)
	if !ok {
		return "", false, false
	}
	text, err := jsontext.AppendQuote(make([]byte, 0, len(value)+2), escaped(value))
	if err != nil {
		return "", false, false
	}
	shown, ok = v.leaf(places[0], text)
	if !ok {
		return "", false, false
	}
	for _, names := range v.telling(places, value) {
		switch leaf, ok := v.leaf(names, text); {
		case !ok:
			return "", false, false
		case leaf != shown:
			return leaf, true, true
		}
	}
	return shown, false, true
}

// placesOf are the names within one another under which a field is looked for; the first are those of any value. False: they
// are too many.
func placesOf(name string) (places [][]string, ok bool) {
	nested := segments(name)
	if plain := strings.ReplaceAll(name, "\x00", ""); plain != name {
		nested = append(nested, segments(plain)...)
	}
	if len(nested) > nestedNames {
		return nil, false
	}
	alone := append([]string{escaped(name)}, nested...)
	for _, read := range httploose.Names(name) {
		alone = append(alone, escaped(read))
	}
	places = [][]string{{""}}
	for i, n := range alone {
		if !slices.Contains(alone[:i], n) {
			places = append(places, []string{n})
		}
	}
	for i := range max(len(nested)-1, 0) {
		places = append(places, nested[i:])
	}
	return places, true
}

// telling are those places but the first where a value may be seen otherwise than in those before: each costs as much as the
// value is long.
func (v *View) telling(places [][]string, value string) [][]string {
	seen := []jsonpath.State{v.state(places[0])}
	var first string
	begins, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(value[:min(len(value), contextBytes)], ""))
	if v.found == nil || err != nil {
		begins = nil
	} else {
		first, _ = v.leaf(places[0], begins)
	}
	var out [][]string
	for _, names := range places[1:] {
		st := v.state(names)
		tells := !slices.Contains(seen, st)
		if tells {
			seen = append(seen, st)
		} else if begins != nil { // a name may be context to detectors
			leaf, ok := v.leaf(names, begins)
			tells = !ok || leaf != first
		}
		if tells {
			out = append(out, names)
		}
	}
	return out
}

// state is where names within one another stand among the paths.
func (v *View) state(names []string) jsonpath.State {
	st := v.places.Start()
	for _, name := range names {
		st = v.places.Name(st, []byte(name))
	}
	return st
}

// segments are the names of which services make a field's own, without what some take off.
func segments(name string) []string {
	var out []string
	name = strings.ReplaceAll(httploose.UnescapeUnits(name), "%", "")
	for s := range strings.FieldsFuncSeq(name, func(r rune) bool {
		return strings.ContainsRune("[].\x00", r) || r == utf8.RuneError
	}) {
		if s = strings.TrimFunc(s, func(r rune) bool { return httploose.Blank(r) || r == '?' }); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// leaf is a text in quotes as it would be seen, without them, in a document under these names within one another.
func (v *View) leaf(names []string, quoted []byte) (string, bool) {
	var head []byte
	var err error
	for _, name := range names {
		if head, err = jsontext.AppendQuote(append(head, '{'), name); err != nil {
			return "", false
		}
		head = append(head, ':')
	}
	tail := strings.Repeat("}", len(names))
	var out bytes.Buffer
	out.Grow(len(head) + len(quoted) + len(tail))
	document := io.MultiReader(bytes.NewReader(head), bytes.NewReader(quoted), strings.NewReader(tail))
	err = jsonmask.Copy(jsonmask.JSON, document, jsonmask.Output{View: v.body, Write: func(p []byte) error {
		out.Write(p)
		return nil
	}})
	if err != nil {
		return "", false
	}
	return lastScalar(&out)
}

// lastScalar is the last scalar in a document.
func lastScalar(document *bytes.Buffer) (string, bool) {
	d := jsontext.NewDecoder(document, jsontext.AllowDuplicateNames(true))
	last := ""
	for {
		token, err := d.ReadToken()
		if err != nil {
			return last, errors.Is(err, io.EOF)
		}
		if kind := token.Kind(); kind != '}' && kind != ']' {
			last = token.String()
		}
	}
}
