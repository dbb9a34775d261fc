package detect

import (
	"cmp"
	"slices"
)

// tidy puts finds in order and joins those that overlap. It returns how many are left, at the front.
func tidy(spans []Span) int {
	if !slices.IsSortedFunc(spans, byStart) {
		slices.SortFunc(spans, byStart)
	}
	last := 0
	for _, s := range spans[1:] {
		kept := &spans[last]
		if s.Start >= kept.End {
			last++
			spans[last] = s
			continue
		}
		if wins(s, *kept) {
			kept.Name = s.Name
		}
		kept.End = max(kept.End, s.End)
	}
	return last + 1
}

func byStart(a, b Span) int {
	return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), cmp.Compare(a.Name, b.Name))
}

// wins says whether a names what a and b cover together: the longer does, and of equals the one that says more. A token
// in a connection string is better told as that token than as a password.
func wins(a, b Span) bool {
	if la, lb := a.End-a.Start, b.End-b.Start; la != lb {
		return la > lb
	}
	return byPlace(b.Name) && !byPlace(a.Name)
}

// byPlace says whether the detector knows a secret only by where it stands.
func byPlace(name string) bool {
	return name == authorizationName || name == connectionStringName || name == urlTokenName
}
