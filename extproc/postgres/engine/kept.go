package engine

import "github.com/sluicegate/sluice/policies/sqlfacts"

// nameOverhead is what a prepared statement or a portal costs beside what can be long, in bytes.
const nameOverhead = 256

// kept is what one Parse makes a session keep: for as long as a name means it, or a portal was made of it.
type kept struct {
	bytes int
	// names and portals are how many have it. A doubtful one is a copy, but keeps no more.
	names, portals int
}

func newPrepared(key, text string, facts *sqlfacts.Facts, types []uint32) *prepared {
	n := nameOverhead + len(key) + len(text) + 4*len(types)
	if facts != nil {
		n += facts.Size
	}
	return &prepared{kept: &kept{bytes: n}, text: text, facts: facts, types: types}
}

// holdStatement counts a prepared statement that a name comes to mean, or means no more.
func (s *shared) holdStatement(p *prepared, by int) { s.hold(p.kept, by, 0) }

// holdPortal counts a portal that is there from now on, or no more.
func (s *shared) holdPortal(r *Run, by int) {
	if by < 0 {
		s.portalBytes -= r.counted
		r.counted = 0
	} else {
		r.counted = r.bytesKept()
		s.portalBytes += r.counted
	}
	if r.source != nil {
		s.hold(r.source.kept, 0, by)
	}
}

// hold counts what a prepared statement keeps once: with the statements for as long as one has it, else with the portals.
func (s *shared) hold(k *kept, names, portals int) {
	count := func(by int) {
		switch {
		case k.names > 0:
			s.preparedBytes += by
		case k.portals > 0:
			s.portalBytes += by
		}
	}
	count(-k.bytes)
	k.names += names
	k.portals += portals
	count(k.bytes)
}

// recount counts a portal anew: what is hidden in its rows is known now, or needed no more.
func (s *shared) recount(r *Run) {
	if r.counted > 0 {
		n := r.bytesKept()
		s.portalBytes += n - r.counted
		r.counted = n
	}
}

// bytesKept is what a portal keeps beside its statement.
func (r *Run) bytesKept() int {
	n := nameOverhead + r.agent.plan.Size()
	if r.Record != r.Agent {
		n += r.record.plan.Size()
	}
	return n
}
