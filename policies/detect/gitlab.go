package detect

// gitlabToken knows GitLab's tokens (GitLab Docs, "GitLab token overview", "Token prefixes"): 20 characters of base64url
// or more behind the prefix; routable tokens go on with a dot, a version and a checksum ("Routable tokens" in GitLab's
// handbook). An instance may put a prefix of its own and a dash before all of them.
func gitlabToken() detector {
	d := detector{name: "gitlab-token", maker: "GitLab", what: "access, deploy, runner, trigger and feed tokens"}
	for _, prefix := range []string{
		"glpat-", "gldt-", "glrt-", "glrtr-", "glptt-", "glcbt-", "glsoat-", "glft-", "glimt-", "glagent-", "glffct-",
		"gloas-", "glwt-", "GR1348941",
	} {
		d.marks = append(d.marks, mark{text: prefix, then: dashed, lane: laneOf(prefix), kind: kindGitLab})
	}
	return d
}

const (
	gitlabLeast = 20
	// gitlabPart is the greatest length of a part behind a dot.
	gitlabPart = 9
)

func (c *cursor) gitlab(at, body int) (int, int) {
	start, end := c.open(at, body, gitlabLeast)
	if end == 0 {
		return 0, 0
	}
	for range 2 {
		part := c.skip(end+1, digit|small)
		if c.byteAt(end) != '.' || part-end-1 < 2 || part-end-1 > gitlabPart || !c.closes(part) {
			break
		}
		end = part
	}
	return start, end
}
