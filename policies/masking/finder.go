package masking

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/detect"
	"github.com/sluicegate/sluice/policies/jsonmask"
)

// finder hides what detectors find in texts.
type finder struct {
	sets []*detect.Set
	rule *policies.MaskRule
	json *jsonmask.View
	// name is that of the column whose texts are searched, empty if it is not known: it may tell what stands in them.
	name []byte
}

// of is the finder for a column of that name.
func (f *finder) of(name string) *finder {
	if name == "" {
		return f
	}
	column := *f
	column.name = []byte(name)
	return &column
}

// finder is that of some searches; the first of them says how finds are hidden.
func (v *View) finder(set searchSet) *finder {
	v.mu.RLock()
	f := v.finders[set]
	v.mu.RUnlock()
	if f != nil {
		return f
	}
	f = &finder{}
	for i, s := range v.search.list {
		if set&bitOf(i) == 0 {
			continue
		}
		if f.rule == nil {
			f.rule = s.Rule
		}
		f.sets = append(f.sets, s.Finds)
	}
	f.json = jsonmask.NewView(nil, f, f.rule)
	v.mu.Lock()
	v.finders[set] = f
	v.mu.Unlock()
	return f
}

// searching is a hiding by searches of a column of a name, empty if not known, and a type; nil if nothing looks into it.
func (v *View) searching(set searchSet, name string, oid uint32, binary bool) *hiding {
	if set == 0 {
		return nil
	}
	form := formOf(oid, binary)
	if form.layout == notSearched {
		return nil
	}
	f := v.finder(set).of(name)
	return &hiding{rule: f.rule, text: true, finder: f, form: form}
}

// Find implements jsonmask.Finder: what any of the sets finds, in order, finds that overlap as one.
func (f *finder) Find(dst []jsonmask.Span, text []byte) []jsonmask.Span {
	return f.FindNamed(dst, f.name, text)
}

// FindNamed implements jsonmask.Namer.
func (f *finder) FindNamed(dst []jsonmask.Span, name, text []byte) []jsonmask.Span {
	from := len(dst)
	var few [3]detect.Span // small: it is cleared for each text
	for _, set := range f.sets {
		for _, s := range set.FindNamed(few[:0], name, text) {
			dst = append(dst, jsonmask.Span{Start: s.Start, End: s.End})
		}
	}
	found := dst[from:]
	if len(f.sets) < 2 || len(found) < 2 {
		return dst
	}
	slices.SortFunc(found, func(a, b jsonmask.Span) int { return cmp.Compare(a.Start, b.Start) })
	last := 0
	for _, s := range found[1:] {
		if s.Start < found[last].End {
			found[last].End = max(found[last].End, s.End)
			continue
		}
		last++
		found[last] = s
	}
	return dst[:from+last+1]
}

// shown appends what comes before a value, and the value with what is found hidden. If nothing is found, nothing is
// appended and passes is true.
func (f *finder) shown(dst, before, value []byte, form form) (out []byte, passes bool) {
	switch form.layout {
	case array:
		return f.inArray(dst, before, value, form.element)
	case arrayBinary:
		return f.inBinaryArray(dst, before, value, form.element)
	}
	return f.inValue(dst, before, value, form.layout)
}

// inValue is shown for what has no elements.
func (f *finder) inValue(dst, before, value []byte, as layout) (out []byte, passes bool) {
	switch as {
	case jsonText:
		return f.inJSON(dst, before, value)
	case jsonBinary:
		if len(value) == 0 || value[0] != jsonbVersion {
			return f.inText(dst, before, value, nil) // of a version to come
		}
		return f.inVersioned(dst, before, value)
	case xmlText:
		return f.inText(dst, before, value, escapeXML)
	case openBinary:
		switch {
		case !utf8.Valid(value) || bytes.IndexByte(value, 0) >= 0:
			// No text: it has lengths in it, which a mask would make wrong.
			if element := elementIn(value); element != notSearched {
				return f.inBinaryArray(dst, before, value, element)
			}
			return dst, true
		case len(value) > 1 && value[0] == jsonbVersion:
			return f.inVersioned(dst, before, value)
		}
		return f.inOpen(dst, before, value)
	case open:
		return f.inOpen(dst, before, value)
	default:
		return f.inText(dst, before, value, nil)
	}
}

// inOpen reads a text of a type that is not known: as JSON if it looks like it, else with a mask that can stand in an
// array, a row or a range.
func (f *finder) inOpen(dst, before, value []byte) ([]byte, bool) {
	if first := bytes.TrimLeft(value, " \t\r\n"); len(first) > 0 && (first[0] == '{' || first[0] == '[') {
		return f.inJSON(dst, before, value)
	}
	return f.inText(dst, before, value, escapeRow)
}

// inVersioned reads jsonb behind its version.
func (f *finder) inVersioned(dst, before, value []byte) ([]byte, bool) {
	start := len(dst)
	dst, passes := f.inJSON(append(append(dst, before...), jsonbVersion), nil, value[1:])
	if passes {
		return dst[:start], true
	}
	return dst, false
}

func (f *finder) inText(dst, before, value []byte, escape func([]byte) []byte) ([]byte, bool) {
	var few [8]jsonmask.Span
	found := f.Find(few[:0], value)
	if len(found) == 0 {
		return dst, true
	}
	dst = append(dst, before...)
	last := 0
	for _, s := range found {
		dst = append(dst, value[last:s.Start]...)
		at := len(dst)
		dst = f.rule.Append(dst, value[s.Start:s.End])
		if escape != nil {
			dst = append(dst[:at], escape(dst[at:])...)
		}
		last = s.End
	}
	return append(dst, value[last:]...), false
}

// inJSON reads the strings, names and numbers of a document, so that it stays one. What is no document, or none that
// can be read, is read as a text.
func (f *finder) inJSON(dst, before, value []byte) ([]byte, bool) {
	start := len(dst)
	dst = append(dst, before...)
	from := len(dst)
	err := jsonmask.Copy(jsonmask.JSON, bytes.NewReader(value), jsonmask.Output{View: f.json, Write: func(p []byte) error {
		dst = append(dst, p...)
		return nil
	}})
	switch {
	case err != nil:
		return f.inText(dst[:start], before, value, escapeRow)
	case bytes.Equal(dst[from:], value):
		return dst[:start], true
	}
	return dst, false
}

// escapeXML writes a mask so that it can stand in a document's text (XML 1.0, 2.4).
func escapeXML(text []byte) []byte {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, text) // a buffer takes everything
	return b.Bytes()
}

// escapeRow replaces what would mean something in a row, an array, a range or a JSON string.
func escapeRow(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r <= ' ' || strings.ContainsRune(`"\,(){}`, r) {
			return '_'
		}
		return r
	}, text)
}
