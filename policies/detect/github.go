package detect

// githubToken knows GitHub's tokens ("About authentication to GitHub", "GitHub's token formats"; the changelog of
// 2021-03-31: letters, digits and underscores, 40 characters today, up to 255 to come). A fine-grained one has 82 behind
// its prefix. Its checksum is not asked for: GitHub Enterprise Server and later formats need not have it.
func githubToken() detector {
	d := detector{name: "github-token", maker: "GitHub", what: "personal, OAuth, app and refresh tokens", marks: []mark{
		{text: "github_pat_", lane: laneWords, kind: kindGitHubFineGrained},
	}}
	for _, prefix := range []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"} {
		d.marks = append(d.marks, mark{text: prefix, then: ident, lane: laneThree, kind: kindGitHub})
	}
	return d
}

const (
	githubLeast            = 36
	githubFineGrainedLeast = 82
	githubMost             = 255
	// githubPart is the least length of a part behind a dot: a token that carries a JWT goes on there.
	githubPart = 12
)

func (c *cursor) github(at, body int) (int, int) {
	if !c.opens(at) {
		return 0, 0
	}
	end := c.skip(body, ident)
	if end-at > githubMost {
		return 0, 0
	}
	for c.byteAt(end) == '.' {
		part := c.skip(end+1, dashed)
		if part-end-1 < githubPart {
			break
		}
		end = part
	}
	if end-body < githubLeast {
		return 0, 0
	}
	return at, end
}

func (c *cursor) githubFineGrained(at, body int) (int, int) {
	if !c.opens(at) {
		return 0, 0
	}
	end := c.skip(body, ident)
	if end-body < githubFineGrainedLeast || end-at > githubMost {
		return 0, 0
	}
	return at, end
}
