package detect

// stripeKey knows Stripe's secret and restricted keys (Stripe Docs, "API keys": sk_live_, sk_test_, rk_live_, rk_test_;
// publishable ones, pk_, are no secret) and the secrets of its webhooks ("Receive Stripe events": whsec_, base64 in
// the Standard Webhooks specification). Stripe gives no length: 24 characters of old, about a hundred today.
func stripeKey() detector {
	d := detector{name: "stripe-key", maker: "Stripe", what: "secret and restricted keys, webhook secrets", marks: []mark{{text: "whsec_", then: base64Plain, lane: laneFive, kind: kindStripeHook}}}
	for _, prefix := range []string{"sk_live_", "sk_test_", "rk_live_", "rk_test_"} {
		d.marks = append(d.marks, mark{text: prefix, lane: laneTwo, kind: kindStripe})
	}
	return d
}

const (
	stripeLeast     = 16
	stripeHookLeast = 24
)

func (c *cursor) stripe(at, body int) (int, int) {
	if !c.opens(at) {
		return 0, 0
	}
	end := c.skip(body, alnum)
	if end-body < stripeLeast || !c.closes(end) {
		return 0, 0
	}
	return at, end
}

func (c *cursor) stripeHook(at, body int) (int, int) {
	if !c.opens(at) {
		return 0, 0
	}
	end := c.skip(body, base64Plain)
	if end-body < stripeHookLeast || !c.closes(end) {
		return 0, 0
	}
	for range 2 {
		if c.byteAt(end) == '=' {
			end++
		}
	}
	return at, end
}
