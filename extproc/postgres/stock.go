package postgres

// stock is where the events of statements are taken from, and go back to once they are written: they would be most of
// what a session allocates. One side of a session has it.
type stock struct {
	heads    shelf[head]
	executed shelf[executed]
	ended    shelf[ended]
}

// again takes back all that was given.
func (s *stock) again() {
	s.heads.again()
	s.executed.again()
	s.ended.again()
}

// longShelf is how many of a kind are kept: batches of more are rare.
const longShelf = 16

// shelf gives zero values.
type shelf[T any] struct {
	all   []*T
	given int
}

func (s *shelf[T]) next() *T {
	if s.given == len(s.all) {
		s.all = append(s.all, new(T))
	}
	s.given++
	return s.all[s.given-1]
}

func (s *shelf[T]) again() {
	var zero T
	for _, t := range s.all[:s.given] {
		*t = zero
	}
	s.given = 0
	if len(s.all) > longShelf {
		s.all = nil
	}
}
