package masking

import "bytes"

// maxCuts bounds in how many places a field may begin, as far as can be told.
const maxCuts = 64

// cut is where a field may begin: behind that of index by, of the field before. ways is in how many ways that can be, 2 for
// more.
type cut struct{ at, by, ways int }

// endsOpen reports whether a NULL string ends in a backslash that takes the next byte with it. Such a NULL in front of a
// delimiter looks like a delimiter in a value.
func endsOpen(null string) bool {
	i := 0
	for ; i < len(null); i++ {
		if null[i] == '\\' {
			i++
		}
	}
	return i > len(null)
}

// splitOpen is split with a NULL string that ends open: there must be only one way to cut the line into as many fields as
// there are columns.
func (p *CopyPlan) splitOpen(line []byte) bool {
	n := len(p.columns)
	fields := make([][]cut, n)
	fields[0] = []cut{{ways: 1}}
	ways, last := 0, 0
	for k := range n {
		for i, c := range fields[k] {
			for _, end := range p.openEnds(line, c.at) {
				switch {
				case k < n-1 && end < len(line):
					fields[k+1] = addCut(fields[k+1], cut{end + 1, i, c.ways})
				case k == n-1 && end == len(line):
					ways, last = ways+c.ways, i
				}
			}
		}
		if k < n-1 && len(fields[k+1]) > maxCuts {
			return false
		}
	}
	if ways != 1 {
		return false
	}
	p.fields = append(p.fields[:0], make([][]byte, n)...)
	end := len(line)
	for k := n - 1; k >= 0; k-- {
		c := fields[k][last]
		p.fields[k] = line[c.at:end]
		end, last = c.at-1, c.by
	}
	return true
}

// openEnds are where a field that begins somewhere may end: as a value, or as NULL.
func (p *CopyPlan) openEnds(line []byte, at int) []int {
	ends := []int{at + textFieldEnd(line[at:], p.spec.Delimiter)}
	if null := at + len(p.spec.Null); bytes.HasPrefix(line[at:], []byte(p.spec.Null)) && null < len(line) && line[null] == p.spec.Delimiter {
		ends = append(ends, null)
	}
	return ends
}

func addCut(list []cut, c cut) []cut {
	for i := range list {
		if list[i].at == c.at {
			list[i].ways = min(2, list[i].ways+c.ways)
			return list
		}
	}
	return append(list, c)
}
