package main

import (
	"fmt"
	"strings"
)

const (
	maskedTarget   = "bench-masked"
	detectedTarget = "bench-detected"
)

// twentyPaths are the path masks of both arms: some that name what is there, most that have to be looked for in vain.
func twentyPaths() []string {
	paths := []string{"$..password", "$..api_key", "$.data[*].token", "$.data[*].address.secret", "$..keys[0]", "$.config.*.password"}
	for i := len(paths); i < 20; i++ {
		paths = append(paths, fmt.Sprintf([]string{"$..secret_%d", "$.data[*].token_%d", "$.users[*].value_%d"}[i%3], i))
	}
	return paths
}

// policyText is what the bench adds to the stage's policy: two targets that differ in detectors alone, and a rule that
// holds.
func policyText(maskedPort, detectedPort, servicePort int) string {
	var b strings.Builder
	b.WriteString("targets:\n")
	for _, t := range []struct {
		name string
		port int
	}{{maskedTarget, maskedPort}, {detectedTarget, detectedPort}} {
		fmt.Fprintf(&b, `- name: %s
  listener: {address: 127.0.0.1, port: %d, allow_plaintext: true}
  http: {endpoints: [{host: 127.0.0.1, port: %d}], tls: {mode: DISABLE}}
  credential: {bearer: {token: {env: SHOP_TOKEN}}}
`, t.name, t.port, servicePort)
	}
	b.WriteString(`rules:
- name: bench-get
  who: {groups: [agents]}
  on: {targets: ["bench-*"], http: {methods: [GET]}}
  allow: {}
- name: bench-held
  who: {groups: [agents]}
  on: {targets: ["bench-*"], http: {methods: [POST], paths: ["/held/{id}"]}}
  approve: {by: [{groups: [dba], count: 1}], within: 900s}
masks:
- name: bench-paths
  on: {targets: ["bench-*"]}
  paths:
`)
	for _, path := range twentyPaths() {
		fmt.Fprintf(&b, "  - %q\n", path)
	}
	fmt.Fprintf(&b, `  redact: {}
- name: bench-detect
  on: {targets: [%s]}
  detect: ["*"]
  redact: {}
`, detectedTarget)
	return b.String()
}
