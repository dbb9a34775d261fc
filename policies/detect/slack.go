package detect

// slackToken knows Slack's tokens (Slack, "Token types": xoxb-, xoxp-, xapp-, xoxe for rotation; xoxa-, xoxr-, xoxs-,
// xoxo- of old, xoxc- and xoxd- of browsers) and its webhooks ("Sending messages using incoming webhooks": the URL
// contains a secret). Slack says that their length is not fixed.
func slackToken() detector {
	d := detector{name: "slack-token", maker: "Slack", what: "bot, user and app tokens, webhooks", marks: []mark{
		{text: "hooks.slack.com/", lane: laneWords, kind: kindSlackHook},
		{text: "xapp-", then: dashed, lane: laneFour, kind: kindSlack},
		{text: "xoxe.", then: dashed, lane: laneFour, kind: kindSlack},
	}}
	for _, letter := range "abcdeoprs" {
		d.marks = append(d.marks, mark{text: "xox" + string(letter) + "-", then: dashed | percent, lane: laneFour, kind: kindSlack})
	}
	return d
}

const slackLeast = 20

// slack reads a token: at least one digit is in it. That of a browser may have percent escapes.
func (c *cursor) slack(at, body int) (int, int) {
	if !c.opens(at) {
		return 0, 0
	}
	end, numbered := c.dashedRun(body)
	for c.byteAt(end) == '%' {
		_, width := c.unescaped(end)
		if width == 1 {
			break
		}
		end, numbered = c.skip(end+width, dashed), true
	}
	if end-body < slackLeast || !numbered {
		return 0, 0
	}
	return at, end
}

// slackHook reads the path of a webhook behind services, workflows or triggers: that is its secret.
func (c *cursor) slackHook(at int) (int, int) {
	start := 0
	for _, word := range [...]string{"services/", "workflows/", "triggers/"} {
		if foldedAt(c.text, at, word) {
			start = at + len(word)
		}
	}
	if start == 0 {
		return 0, 0
	}
	end := c.skip(start, pathlike)
	slashes := 0
	for _, b := range c.text[start:end] {
		if b == '/' {
			slashes++
		}
	}
	for end > start && c.text[end-1] == '/' {
		end--
	}
	if end-start < slackLeast || slashes < 2 {
		return 0, 0
	}
	return start, end
}
