package http

import (
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/credname"
	"github.com/sluicegate/sluice/policies/httpmask"
)

// Shown shows parts of requests as the record shows them (check.Shown).
type Shown struct {
	Views *httpmask.Cache
	// Hide stands for a value that cannot be shown: its length and a keyed digest.
	Hide func(value []byte) string
}

// Body is a request's body: masked where it can be read, else hidden.
func (s Shown) Body(p *policies.Policy, target, contentType string, body []byte) []byte {
	if view, err := s.Views.OfRecord(p, target); err == nil {
		if shown := view.Shown(contentType, body); shown != nil {
			return shown
		}
	}
	return []byte(s.Hide(body))
}

// Asked is a request's body as people see it who decide on it; false if it cannot be shown.
func (s Shown) Asked(p *policies.Policy, target, contentType string, body []byte) (string, bool) {
	view, err := s.Views.OfRecord(p, target)
	if err != nil {
		return "", false
	}
	return view.Asked(contentType, body)
}

// Value is a path with its query, or words that may have one. Values of keys that carry credentials are hidden, whether a
// mask names them or not.
func (s Shown) Value(p *policies.Policy, target, value string) string {
	view, err := s.Views.OfRecord(p, target)
	if err != nil {
		return s.Hide([]byte(value))
	}
	kept, _ := credname.HidePath(value, s.Hide)
	return view.Value(kept)
}

// Header is a header's value, likewise.
func (s Shown) Header(p *policies.Policy, target, name, value string) string {
	if kept, hidden := credname.HideHeader(name, value, s.Hide); hidden {
		return kept
	}
	return s.Value(p, target, value)
}
