package detect

const (
	// openMostBehind is how far back a text is looked at for what may go on, contextMost how far back a word stands that
	// makes what follows a secret, and contextOpen one whose secret has begun and goes on, in bytes.
	openMostBehind = 4 << 10
	contextMost    = 120
	contextOpen    = pairsNear + pairBlanks + len("sslpassword =")
)

// Open gives the place from which a text could become a find if it goes on, or its length: what a stream must hold back.
func (s *Set) Open(text []byte) int {
	if s.Empty() || len(text) == 0 {
		return len(text)
	}
	open := len(text)
	if s.marked {
		open = s.openMark(text)
	}
	if s.cards {
		open = min(open, openCard(text))
	}
	return open
}

// openMark gives the first place from which a mark stands, or may: within the last word, or, of those that a secret may
// follow in another word, near it.
func (s *Set) openMark(text []byte) int {
	c := cursor{text: text}
	word := len(text)
	for word > 0 && len(text)-word < openMostBehind && text[word-1] > ' ' {
		word--
	}
	for at := min(word, max(0, len(text)-contextOpen)); at < len(text); at++ {
		of := s.byFirst[text[at]]
		if len(of) == 0 {
			continue
		}
		within := ident.is(text[at]) && !c.opens(at)
		for _, m := range of {
			if within && (!m.standsWithin() || at+len(m.text) > len(text)) || at < word && !m.reachesOn(len(text)-at) || !m.mayStandAt(text, at) {
				continue
			}
			if at < word && len(text)-at > contextMost && !c.secretGoesOn(m, at) {
				continue
			}
			if m.kind == kindURLPassword {
				return min(at, word)
			}
			return at
		}
	}
	return len(text)
}

// secretGoesOn says whether more text could be a part of the secret that a mark tells, or make it one.
func (c *cursor) secretGoesOn(m *mark, at int) bool {
	behind := at + len(m.text)
	if m.kind == kindAuthorization {
		_, end, _ := c.credential(behind)
		return end == len(c.text)
	}
	return c.pairGoesOn(at, behind) || len(c.text)-behind < pairsNear && !c.pairBefore(at) && !c.pairBehind(behind)
}

// reachesOn says whether a secret may stand in another word than its mark, so many bytes behind the mark's begin.
func (m *mark) reachesOn(n int) bool {
	switch m.kind {
	case kindAuthorization, kindPairPassword:
		return true
	case kindAWSSecret, kindAWSSecretByID, kindPEM, kindWord:
		return n <= contextMost
	}
	return false
}

// standsWithin says whether the mark may stand within a name, as secret does in aws_secret_access_key.
func (m *mark) standsWithin() bool {
	switch m.kind {
	case kindAuthorization, kindAWSSecret, kindQueryPassword, kindSlackHook, kindURLToken:
		return true
	}
	return false
}

// mayStandAt says whether the mark stands at a place, as far as the text goes.
func (m *mark) mayStandAt(text []byte, at int) bool {
	for i := 0; i < m.width || i < len(m.text); i++ {
		if at+i == len(text) {
			return true
		}
		if !m.allows(i, text[at+i]) {
			return false
		}
	}
	return true
}

// openCard gives the begin of the first group of the digits at the end with which a card's number may begin.
func openCard(text []byte) int {
	at, digits := len(text), 0
	for digits < cardMost && at > 0 {
		if digit.is(text[at-1]) {
			at--
			digits++
			continue
		}
		n := signBefore(text, at)
		if n == 0 {
			break
		}
		at -= n
	}
	for begins := true; at < len(text); at++ {
		if !digit.is(text[at]) {
			begins = true
			continue
		}
		if begins && text[at] != '0' && text[at] != '1' && text[at] != '7' {
			return at
		}
		begins = false
	}
	return len(text)
}

// indexed is the marks by the bytes with which they begin.
func indexed(f *filter) (by [256][]*mark) {
	for l := range f.lanes {
		for i := range f.lanes[l] {
			m := &f.lanes[l][i]
			for b := range by {
				if m.allows(0, byte(b)) {
					by[b] = append(by[b], m)
				}
			}
		}
	}
	return by
}
