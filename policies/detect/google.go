package detect

// gcpKey knows Google Cloud's API keys: AIza and 35 characters (Google Cloud, "Manage API keys": 39 characters in all).
// A service account's key file holds its secret as a PEM block: the detector pem finds it; its private_key_id is no
// secret.
func gcpKey() detector {
	return detector{name: "gcp-key", maker: "Google Cloud", what: "API keys", marks: []mark{{text: "AIza", then: dashed, lane: laneBare, kind: kindGCP}}}
}

const gcpBody = 35

// googleOAuth knows the tokens of Google's OAuth: access tokens (ya29., Google Identity, "Using OAuth 2.0": up to 2,048
// bytes), refresh tokens (1//, the same page) and client secrets (GOCSPX- and 28 characters).
func googleOAuth() detector {
	return detector{name: "google-oauth", maker: "Google", what: "OAuth access and refresh tokens, client secrets", marks: []mark{
		{text: "ya29.", then: dashed | dot, lane: laneFour, kind: kindGoogleAccess},
		{text: "GOCSPX-", then: dashed, lane: laneWords, kind: kindGoogleClient},
		{text: "1//", then: dashed, lane: laneTwo, kind: kindGoogleRefresh},
	}}
}

const (
	googleClientBody   = 28
	googleRefreshLeast = 40
	googleAccessLeast  = 20
)

// googleAccess reads a token that may have dots in it, but does not end with one.
func (c *cursor) googleAccess(at, body int) (int, int) {
	if !c.opens(at) {
		return 0, 0
	}
	end := c.skip(body, dashed|dot)
	for end > body && c.text[end-1] == '.' {
		end--
	}
	if end-body < googleAccessLeast {
		return 0, 0
	}
	return at, end
}
