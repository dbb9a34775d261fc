package detect

// jwt knows JSON Web Tokens in compact form: three parts in base64url joined by dots, the first a JSON object that has
// alg (RFC 7515, sections 3.1 and 4.1.1), or five parts (JWE, RFC 7516, section 3.1). The marks are what an object's
// first bytes become: {" or { and a blank.
func jwt() detector {
	d := detector{name: "jwt", what: "JSON Web Tokens, signed or encrypted"}
	for _, prefix := range []string{"eyJ", "eyAi", "ewog", "ew0K"} {
		d.marks = append(d.marks, mark{text: prefix, then: dashed, lane: laneBare, kind: kindJWT})
	}
	return d
}

func (c *cursor) jwt(at int) (int, int) {
	// A part has one begin: a dash before it would make it another part.
	if at > 0 && dashed.is(c.text[at-1]) && !c.endsEscape(at) {
		return 0, 0
	}
	header := c.skip(at, dashed)
	if c.byteAt(header) != '.' {
		return 0, 0
	}
	second := c.skip(header+1, dashed)
	if c.byteAt(second) != '.' {
		return 0, 0
	}
	end := c.skip(second+1, dashed)
	if encrypted := c.jweEnd(end); encrypted > 0 {
		end = encrypted
	} else if second == header+1 {
		return 0, 0
	}
	if end == second+1 || !isJOSE(c.text[at:header]) {
		return 0, 0
	}
	return at, end
}

// jweEnd gives the end of the fourth and fifth part behind a place, or 0.
func (c *cursor) jweEnd(at int) int {
	if c.byteAt(at) != '.' {
		return 0
	}
	fourth := c.skip(at+1, dashed)
	if fourth == at+1 || c.byteAt(fourth) != '.' {
		return 0
	}
	fifth := c.skip(fourth+1, dashed)
	if fifth == fourth+1 {
		return 0
	}
	return fifth
}

// isJOSE says whether a part decodes to a JSON object with a member alg.
func isJOSE(encoded []byte) bool {
	o := object{isName: true}
	decode(encoded, o.step)
	return o.state == objectDone && o.alg
}
