package detect

// awsAccessKey knows AWS's access keys. Ids: IAM User Guide, "IAM identifiers", "Understanding unique ID prefixes": AKIA
// (long-term), ASIA (temporary), ABIA (STS bearer), ACCA (context-specific), 20 characters in all. Secret keys are 40
// characters of base64 without a form of their own: only beside a name of theirs, or behind an id, as in the CSV that the
// console gives.
func awsAccessKey() detector {
	d := detector{name: "aws-access-key", maker: "Amazon Web Services", what: "access key ids and secret access keys", marks: []mark{
		{text: "secret", fold: true, then: dashed | dot | blank, lane: laneWords, kind: kindAWSSecret},
	}}
	for _, prefix := range []string{"AKIA", "ASIA", "ABIA", "ACCA"} {
		d.marks = append(d.marks,
			mark{text: prefix, then: digit | capital, lane: laneBare, kind: kindAWSID},
			mark{text: prefix, then: digit | capital, lane: laneBare, kind: kindAWSSecretByID})
	}
	return d
}

const (
	awsIDLength     = 20
	awsSecretLength = 40
	awsPrefixLength = 4
	// awsGap is how many separators may stand between a name and its secret.
	awsGap = 32
)

func (c *cursor) awsID(at int) (int, int) {
	return c.fixed(at, at+awsPrefixLength, awsIDLength-awsPrefixLength, digit|capital)
}

// awsSecret reads a secret behind a name such as aws_secret_access_key, SecretAccessKey or "Secret access key".
func (c *cursor) awsSecret(at int) (int, int) {
	at = c.awsJoint(at)
	if foldedAt(c.text, at, "access") {
		at = c.awsJoint(at + len("access"))
	}
	if !foldedAt(c.text, at, "key") {
		return 0, 0
	}
	return c.awsSecretAt(at + len("key"))
}

func (c *cursor) awsJoint(at int) int {
	switch c.byteAt(at) {
	case '_', '-', '.', ' ':
		return at + 1
	}
	return at
}

func (c *cursor) awsSecretByID(at int) (int, int) {
	if _, end := c.awsID(at); end > 0 {
		return c.awsSecretAt(end)
	}
	return 0, 0
}

// awsSecretAt reads the secret behind separators. Forty small hexadecimal digits are a commit, not a secret: one has
// letters of both cases and something else.
func (c *cursor) awsSecretAt(at int) (int, int) {
	start := at
	for start-at < awsGap && isSeparator(c.byteAt(start)) {
		start++
	}
	end := start + awsSecretLength
	if start == at || end > len(c.text) || end < len(c.text) && (base64Plain|underscore).is(c.text[end]) {
		return 0, 0
	}
	var seen class
	for _, b := range c.text[start:end] {
		if !base64Plain.is(b) {
			return 0, 0
		}
		seen |= classes[b]
	}
	if seen&small == 0 || seen&capital == 0 || seen&(digit|plus|slash) == 0 {
		return 0, 0
	}
	return start, end
}

// isSeparator says whether b may stand between a name and its value, in JSON, YAML, INI, CSV or a shell.
func isSeparator(b byte) bool {
	switch b {
	case ' ', '\t', '\r', '\n', '"', '\'', '`', ':', '=', '>', ',', '|', '\\', '(', '[', '{':
		return true
	}
	return false
}
