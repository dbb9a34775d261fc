package detect

// twilioKey knows Twilio's API key ids (Twilio Docs, "API keys overview"; "String identifier (SID)": SK and 32
// hexadecimal digits). The form is too common to go by alone: the word twilio, or an account's SID (AC), stands near.
func twilioKey() detector {
	return detector{name: "twilio-key", maker: "Twilio", what: "API key ids", marks: []mark{{text: "SK", then: hex, lane: laneBare, kind: kindTwilio}}}
}

const (
	twilioBody = 32
	// twilioNear is how many bytes before and behind the key are looked at.
	twilioNear = 128
)

func (c *cursor) twilio(at, body int) (int, int) {
	start, end := c.fixed(at, body, twilioBody, hex)
	if end == 0 || !c.twilioWord(max(0, start-twilioNear), start) && !c.twilioWord(end, min(len(c.text), end+twilioNear)) {
		return 0, 0
	}
	return start, end
}

func (c *cursor) twilioWord(from, to int) bool {
	for at := from; at < to; at++ {
		switch c.text[at] {
		case 't', 'T':
			if foldedAt(c.text[:to], at, "twilio") {
				return true
			}
		case 'A':
			if c.byteAt(at+1) == 'C' {
				if _, end := c.fixed(at, at+2, twilioBody, hex); end > 0 {
					return true
				}
			}
		}
	}
	return false
}
