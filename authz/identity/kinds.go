package identity

import (
	"errors"
	"fmt"
	"strings"
)

// usable checks the header of a token. What must be understood (crit: RFC 7515, 4.1.11) is nothing that we understand; and
// what says of itself that it is another kind of token (typ: RFC 8725, 3.11) is no proof of who calls: logout tokens,
// security events, proofs of keys and requests are signed with the same keys.
func usable(head claims) error {
	if _, ok := head["crit"]; ok {
		return errors.New("it has crit")
	}
	v, ok := head["typ"]
	if !ok {
		return nil
	}
	kind, isText := v.(string)
	kind = strings.TrimPrefix(strings.ToLower(kind), "application/")
	switch {
	case !isText:
		return errors.New("typ is no text")
	case kind == "jwt", kind == "jose", kind == "at+jwt", strings.HasSuffix(kind, "-at+jwt"):
		return nil
	}
	return fmt.Errorf("it is of the type %.64q, not a token to call with", kind)
}

// bearable checks claims of a token that whoever has it may use. One that is bound to a key (cnf: RFC 7800) is good only
// with a proof of that key, which no protocol here carries; one of events (RFC 8417) tells of something and opens nothing.
func bearable(c claims) error {
	for _, name := range []string{"cnf", "events"} {
		if _, ok := c[name]; ok {
			return fmt.Errorf("it has %s", name)
		}
	}
	return nil
}
