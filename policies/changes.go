package policies

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// mostChanges bounds how many changes are named.
const mostChanges = 32

// Changes names what differs between two bundles, sorted: "rule refunds added", "mask mail changed", "target a removed",
// "order of rules", "access". Nil stands for a bundle with nothing in it.
func Changes(before, after *policyv1.Bundle) []string {
	var out []string
	out = append(out, changed("issuer", before.GetIssuers(), after.GetIssuers())...)
	out = append(out, changed("target", before.GetTargets(), after.GetTargets())...)
	out = append(out, changed("rule", before.GetRules(), after.GetRules())...)
	out = append(out, changed("mask", before.GetMasks(), after.GetMasks())...)
	if !slices.EqualFunc(before.GetAccess(), after.GetAccess(), func(a, b *policyv1.Access) bool { return proto.Equal(a, b) }) {
		out = append(out, "access")
	}
	slices.Sort(out)
	if len(out) > mostChanges {
		out = append(out[:mostChanges], fmt.Sprintf("and %d more", len(out)-mostChanges))
	}
	return out
}

// named is a part of a bundle that has a name.
type named interface {
	proto.Message
	GetName() string
}

func changed[T named](kind string, before, after []T) []string {
	var out []string
	old := make(map[string]T, len(before))
	for _, one := range before {
		old[one.GetName()] = one
	}
	var was, is []string // those in both, in their order
	for _, one := range after {
		last, had := old[one.GetName()]
		switch {
		case !had:
			out = append(out, kind+" "+one.GetName()+" added")
			continue
		case !proto.Equal(last, one):
			out = append(out, kind+" "+one.GetName()+" changed")
		}
		is = append(is, one.GetName())
		delete(old, one.GetName())
	}
	for _, one := range before {
		if _, gone := old[one.GetName()]; gone {
			out = append(out, kind+" "+one.GetName()+" removed")
			continue
		}
		was = append(was, one.GetName())
	}
	if !slices.Equal(was, is) {
		out = append(out, "order of "+kind+"s")
	}
	return out
}
