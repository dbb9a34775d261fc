package jsonpath

// Last is the name of the members that the path names, false if its last step has none.
func (p Path) Last() (name string, ok bool) {
	if len(p.steps) == 0 {
		return "", false
	}
	last := p.steps[len(p.steps)-1]
	return last.name, last.kind == member
}
