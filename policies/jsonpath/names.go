package jsonpath

// Names are the names of members in the path, and whether its last step has one.
func (p Path) Names() (names []string, last bool) {
	for _, s := range p.steps {
		last = s.kind == member
		if last {
			names = append(names, s.name)
		}
	}
	return names, last
}
