package detect

// openaiKey knows OpenAI's API keys (OpenAI API reference, "Authentication"; project, service account and admin keys
// have a word behind sk-). It gives no length: 48 letters and digits of old, 32 with others that took over the form;
// with a word, base64url of 48 and more.
func openaiKey() detector {
	return detector{name: "openai-key", maker: "OpenAI", what: "user, project, service account and admin keys", marks: []mark{{text: "sk-", then: dashed, lane: laneTwo, kind: kindOpenAI}}}
}

// anthropicKey knows Anthropic's keys and tokens (Anthropic API, "Getting started": sk-ant-, then the kind as in api03,
// admin01, oat01, and base64url).
func anthropicKey() detector {
	return detector{name: "anthropic-key", maker: "Anthropic", what: "API keys and tokens", marks: []mark{
		{text: "sk-ant-", then: dashed, lane: laneTwo, kind: kindAnthropic},
	}}
}

const (
	openaiLeast      = 32
	openaiNamedLeast = 40
	anthropicLeast   = 32
)

func (c *cursor) openai(at, body int) (int, int) {
	if !c.opens(at) {
		return 0, 0
	}
	for _, word := range [...]string{"proj-", "svcacct-", "admin-", "None-"} {
		if name := body + len(word); name <= len(c.text) && string(c.text[body:name]) == word {
			if end, numbered := c.dashedRun(name); end-name >= openaiNamedLeast && numbered {
				return at, end
			}
			return 0, 0
		}
	}
	end := c.skip(body, alnum)
	if end-body < openaiLeast || end < len(c.text) && dashed.is(c.text[end]) {
		return 0, 0
	}
	if _, numbered := c.dashedRun(body); !numbered {
		return 0, 0
	}
	return at, end
}

func (c *cursor) anthropic(at, body int) (int, int) {
	if !c.opens(at) {
		return 0, 0
	}
	if end, numbered := c.dashedRun(body); end-body >= anthropicLeast && numbered {
		return at, end
	}
	return 0, 0
}
