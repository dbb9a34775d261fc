package engine

import "github.com/sluicegate/sluice/policies/sqlfacts"

// nameOverhead is what a prepared statement or a portal costs beside what can be long, in bytes.
const nameOverhead = 256

// keptStep is by how much what a session keeps changes before whoever bounds all sessions hears of it, in bytes.
const keptStep = 1 << 20

// Keeps has a session ask before it keeps more of statements and portals, by so many bytes, and say when it keeps less. It is
// called before the first message.
func (e *Engine) Keeps(ask func(more int) error) { e.shared.keeps = ask }

// account asks for what is kept more by now, and gives back what is less. If it may not be had, spent is why.
func (s *shared) account() {
	by := s.preparedBytes + s.portalBytes - s.asked
	if s.keeps == nil || by > -keptStep && by < keptStep {
		s.spent = nil
		return
	}
	if s.spent = s.keeps(by); s.spent == nil {
		s.asked += by
	}
}

// full reports why nothing more may be kept; nil if it may.
func (s *shared) full() *Refusal {
	if s.spent == nil {
		return nil
	}
	if s.account(); s.spent == nil { // others have less by now
		return nil
	}
	return &Refusal{
		Code: "53200", Message: "no room for more statements and portals: " + s.spent.Error(),
		Hint: "Close or DEALLOCATE some, end other sessions, or try again later.", Rule: "size",
	}
}

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
	} else {
		s.account()
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
	s.account()
}

// recount counts a portal anew: what is hidden in its rows is known now, or needed no more.
func (s *shared) recount(r *Run) {
	if r.counted > 0 {
		n := r.bytesKept()
		s.portalBytes += n - r.counted
		r.counted = n
		s.account()
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
