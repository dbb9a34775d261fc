package policies

import (
	"fmt"
	"strings"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// who is a compiled Who: a set of qualified groups and subjects. The zero value matches everybody.
type who struct {
	some     bool
	groups   map[string]struct{}
	subjects map[string]struct{}
}

func compileWho(w *policyv1.Who, names *issuerNames, at string) (who, error) {
	if w == nil {
		return who{}, nil
	}
	out := who{some: true}
	var err error
	if out.groups, err = names.set(w.GetGroups(), at+".groups"); err != nil {
		return who{}, err
	}
	out.subjects, err = names.set(w.GetSubjects(), at+".subjects")
	return out, err
}

// match follows Who: all fields that are set must match, each by any of its values.
func (w who) match(p *identityv1.Principal) bool {
	if !w.some {
		return true
	}
	if p == nil || len(w.groups)+len(w.subjects) == 0 {
		return false
	}
	if len(w.subjects) > 0 {
		if _, ok := w.subjects[p.GetIssuer()+":"+p.GetSubject()]; !ok {
			return false
		}
	}
	return len(w.groups) == 0 || inAny(p, w.groups)
}

func inAny(p *identityv1.Principal, groups map[string]struct{}) bool {
	for _, g := range p.GetGroups() {
		if _, ok := groups[p.GetIssuer()+":"+g]; ok {
			return true
		}
	}
	return false
}

// issuerNames qualifies group and subject names with the alias of their issuer.
type issuerNames struct {
	aliases map[string]struct{}
	only    string
}

func newIssuerNames(issuers []*policyv1.Issuer) *issuerNames {
	n := &issuerNames{aliases: make(map[string]struct{}, len(issuers))}
	for _, i := range issuers {
		n.aliases[i.GetName()] = struct{}{}
	}
	if len(issuers) == 1 {
		n.only = issuers[0].GetName()
	}
	return n
}

func (n *issuerNames) set(names []string, at string) (map[string]struct{}, error) {
	out := make(map[string]struct{}, len(names))
	for i, name := range names {
		q, err := n.qualify(name)
		if err != nil {
			return nil, &Fault{Field: fmt.Sprintf("%s[%d]", at, i), Message: err.Error()}
		}
		out[q] = struct{}{}
	}
	return out, nil
}

// qualify gives "issuer:name". A prefix that is no alias belongs to the name, since subjects may hold colons.
func (n *issuerNames) qualify(name string) (string, error) {
	if alias, _, found := strings.Cut(name, ":"); found {
		if _, ok := n.aliases[alias]; ok {
			return name, nil
		}
	}
	if n.only == "" {
		return "", fmt.Errorf("%q needs the alias of its issuer, as in \"ISSUER:%s\": %d issuers are configured", name, name, len(n.aliases))
	}
	return n.only + ":" + name, nil
}
