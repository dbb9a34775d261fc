package detect

// npmToken knows npm's access tokens (GitHub Blog, "Announcing npm's new access token format", 2021: npm_, 30 random
// characters and six of checksum, letters and digits).
func npmToken() detector {
	return detector{name: "npm-token", maker: "npm", what: "access tokens", marks: []mark{{text: "npm_", then: alnum, lane: laneThree, kind: kindNPM}}}
}

const npmBody = 36
