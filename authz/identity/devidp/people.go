package devidp

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Person is somebody, or a machine, that can have a token.
type Person struct {
	// Subject is the sub claim and the client id.
	Subject string
	// Name is the name claim: what is shown to people.
	Name string
	// Groups are the groups claim.
	Groups []string
	// Human makes the kind claim "human", else it is "machine".
	Human bool
	// Secret is the client secret. Empty: one is made, and kept in the directory.
	Secret string
}

// Default are the people of the demo.
func Default() []Person {
	return []Person{
		{Subject: "agent", Name: "Agent", Groups: []string{"agents"}},
		{Subject: "alice", Name: "Alice", Groups: []string{"dba"}, Human: true},
		{Subject: "bob", Name: "Bob", Groups: []string{"dba"}, Human: true},
		{Subject: "carol", Name: "Carol", Groups: []string{"auditors"}, Human: true},
		{Subject: "mallory", Name: "Mallory", Human: true},
	}
}

// kind is the kind claim.
func (p *Person) kind() string {
	if p.Human {
		return "human"
	}
	return "machine"
}

// register puts the people into a map and gives a secret to whoever has none: the kept one, or a new one.
func register(people []Person, kept map[string]string, random io.Reader) (map[string]*Person, error) {
	if len(people) == 0 {
		return nil, errors.New("devidp: no people")
	}
	out := make(map[string]*Person, len(people))
	for _, p := range people {
		if p.Subject == "" || strings.ContainsAny(p.Subject, ":\r\n") {
			return nil, fmt.Errorf("devidp: subject %q cannot be a client id", p.Subject)
		}
		if out[p.Subject] != nil {
			return nil, fmt.Errorf("devidp: subject %q twice", p.Subject)
		}
		if p.Secret == "" {
			p.Secret = kept[p.Subject]
		}
		if p.Secret == "" {
			var err error
			if p.Secret, err = randomText(random); err != nil {
				return nil, err
			}
		}
		out[p.Subject] = &p
	}
	return out, nil
}
