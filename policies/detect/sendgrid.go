package detect

// sendgridKey knows Twilio SendGrid's API keys (SendGrid Docs, "API keys": SG, an id of 22 and a secret of 43 characters
// of base64url, joined by dots; 69 in all).
func sendgridKey() detector {
	return detector{name: "sendgrid-key", maker: "Twilio SendGrid", what: "API keys", marks: []mark{{text: "SG.", then: dashed, lane: laneTwo, kind: kindSendGrid}}}
}

const (
	sendgridID     = 22
	sendgridSecret = 43
)

func (c *cursor) sendgrid(at, body int) (int, int) {
	second := body + sendgridID
	if c.byteAt(second) != '.' {
		return 0, 0
	}
	for _, b := range c.text[body:second] {
		if !dashed.is(b) {
			return 0, 0
		}
	}
	return c.fixed(at, second+1, sendgridSecret, dashed)
}
