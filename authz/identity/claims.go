package identity

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// Bounds on what a token may say. A token over them is refused, not cut: a group that was dropped in silence could be
// the one that a deny rule names.
const (
	maxGroups    = 1000
	maxNameBytes = 256
)

// claims are the members of a token's payload. Numbers are json.Number.
type claims map[string]any

// get finds a claim by name, or by a path whose dots go into objects. An exact name
// wins: "https://corp.example/groups" is one name, although it has dots.
func (c claims) get(path string) (any, bool) {
	if v, ok := c[path]; ok {
		return v, true
	}
	for i := range len(path) {
		if path[i] != '.' {
			continue
		}
		sub, ok := c[path[:i]].(map[string]any)
		if !ok {
			continue
		}
		if v, ok := claims(sub).get(path[i+1:]); ok {
			return v, true
		}
	}
	return nil, false
}

// time reads a NumericDate (RFC 7519 section 2): seconds since the epoch, maybe with a fraction.
func (c claims) time(name string) (t time.Time, present bool, err error) {
	v, ok := c[name]
	if !ok || v == nil {
		return time.Time{}, false, nil
	}
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, false, fmt.Errorf("%s is not a number", name)
	}
	f, err := n.Float64()
	// Up to the year 9999: a protobuf timestamp holds no more.
	if err != nil || math.IsNaN(f) || f < 0 || f > 253402300799 {
		return time.Time{}, false, fmt.Errorf("%s is out of range", name)
	}
	sec, frac := math.Modf(f)
	return time.Unix(int64(sec), int64(frac*1e9)).UTC(), true, nil
}

// audience reads aud, an array of strings or one string (RFC 7519 section 4.1.3).
func (c claims) audience() ([]string, error) {
	out, err := stringList(c["aud"])
	if err != nil {
		return nil, fmt.Errorf("aud: %w", err)
	}
	return out, nil
}

// stringList reads an array of strings, one string, or nothing.
func stringList(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, errors.New("an element is not a string")
			}
			out = append(out, s)
		}
		return out, nil
	default:
		return nil, errors.New("neither a string nor an array of strings")
	}
}

// principal maps claims to a principal of the issuer.
func principal(iss *policyv1.Issuer, c claims, expires time.Time) (*identityv1.Principal, error) {
	m := iss.GetClaims()
	v, _ := c.get(orDefault(m.GetSubject(), "sub"))
	subject, ok := v.(string)
	if !ok {
		return nil, errors.New("no subject")
	}
	if err := name(subject); err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	groups, err := groupsOf(m, c, subject)
	if err != nil {
		return nil, err
	}
	kind := identityv1.Principal_MACHINE
	if matches(m.GetHuman(), c) {
		kind = identityv1.Principal_HUMAN
	}
	return &identityv1.Principal{
		Issuer:      iss.GetName(),
		IssuerUrl:   iss.GetUrl(),
		Subject:     subject,
		Groups:      groups,
		Kind:        kind,
		ExpiresAt:   timestamppb.New(expires),
		DisplayName: displayName(m, c, subject),
	}, nil
}

// groupsOf are the groups of the claim and those that the mapping gives to the subject: sorted, each once.
func groupsOf(m *policyv1.ClaimMapping, c claims, subject string) ([]string, error) {
	v, _ := c.get(orDefault(m.GetGroups(), "groups"))
	groups, err := stringList(v)
	if err != nil {
		return nil, fmt.Errorf("groups: %w", err)
	}
	for _, sg := range m.GetSubjectGroups() {
		if sg.GetSubject() == subject {
			groups = append(groups, sg.GetGroups()...)
		}
	}
	if len(groups) > maxGroups {
		return nil, fmt.Errorf("%d groups, at most %d", len(groups), maxGroups)
	}
	for _, g := range groups {
		if err := name(g); err != nil {
			return nil, fmt.Errorf("a group: %w", err)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

// matches reports whether the claim has one of the values. A claim of several values matches by any of them.
func matches(m *policyv1.ClaimMatch, c claims) bool {
	if m == nil {
		return false
	}
	v, ok := c.get(m.GetClaim())
	if !ok {
		return false
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	return slices.ContainsFunc(list, func(e any) bool {
		s, ok := scalar(e)
		return ok && slices.Contains(m.GetValues(), s)
	})
}

// scalar is a JSON scalar as people write it in a policy.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return fmt.Sprintf("%t", v), true
	case json.Number:
		return v.String(), true
	default:
		return "", false
	}
}

// displayName never decides anything, so where it cannot be used the subject stands in.
func displayName(m *policyv1.ClaimMapping, c claims, subject string) string {
	v, _ := c.get(orDefault(m.GetDisplayName(), "name"))
	s, ok := v.(string)
	if !ok || name(s) != nil {
		return subject
	}
	return s
}

// name checks a subject, a group or a name to show: not empty, bounded, printable in one line.
func name(s string) error {
	switch {
	case s == "":
		return errors.New("empty")
	case len(s) > maxNameBytes:
		return fmt.Errorf("%d bytes, at most %d", len(s), maxNameBytes)
	case !utf8.ValidString(s):
		return errors.New("not UTF-8")
	case strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("control characters")
	}
	return nil
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
