package detect

// codeForms are the keys of what builds, ships and watches software.
func codeForms() []form {
	const tokens = "access tokens"
	return []form{
		// Grafana Docs, "Service accounts: tokens"; Grafana Cloud, "Access policies: tokens".
		{detector: "grafana-token", maker: "Grafana", what: "service account and access policy tokens", prefix: "glsa_", body: []piece{exactly(alnum, 32), {literal: "_", of: anyHex, least: 8, most: 8}}},
		{detector: "grafana-token", prefix: "glc_", body: []piece{run(base64Plain, 32, 0)}},
		// New Relic Docs, "New Relic API keys": user, license (ends in NRAL), insert, query and browser keys.
		{detector: "newrelic-key", maker: "New Relic", what: "user, insert, query and admin keys", prefix: "NRAK-", body: []piece{run(digit|capital, 27, 32)}},
		{detector: "newrelic-key", prefix: "NRII-", body: []piece{run(dashed, 32, 0)}},
		{detector: "newrelic-key", prefix: "NRIQ-", body: []piece{run(dashed, 32, 0)}},
		{detector: "newrelic-key", prefix: "NRRA-", body: []piece{run(anyHex, 40, 48)}},
		{detector: "newrelic-key", prefix: "NRJS-", body: []piece{run(hex, 19, 32)}},
		// Sentry Docs, "Auth tokens": organization, user and integration tokens.
		{detector: "sentry-token", maker: "Sentry", what: "organization, user and integration tokens", prefix: "sntrys_", body: []piece{run(base64Plain|underscore, 60, 0)}},
		{detector: "sentry-token", prefix: "sntryu_", body: []piece{exactly(hex, 64)}},
		{detector: "sentry-token", prefix: "sntryi_", body: []piece{exactly(hex, 64)}},
		// Datadog Docs, "API and application keys": hexadecimal digits, so only behind the name.
		{detector: "datadog-key", maker: "Datadog", what: "API and application keys behind the name", word: "datadog", body: []piece{exactly(hex, 32)}},
		{detector: "datadog-key", word: "datadog", body: []piece{exactly(hex, 40)}},
		{detector: "datadog-key", word: "dd_api_key", body: []piece{exactly(hex, 32)}},
		{detector: "datadog-key", word: "dd-api-key", body: []piece{exactly(hex, 32)}},
		{detector: "datadog-key", word: "dd_app_key", body: []piece{exactly(hex, 40)}},
		{detector: "datadog-key", word: "dd-application-key", body: []piece{exactly(hex, 40)}},
		// Dynatrace Docs, "Access tokens and OAuth clients: Token format".
		{detector: "dynatrace-token", maker: "Dynatrace", what: tokens, prefix: "dt0", body: []piece{run(small, 1, 1), exactly(digit, 2), {literal: ".", of: digit | capital, least: 24, most: 24}, {literal: ".", of: digit | capital, least: 64, most: 64}}},
		// LaunchDarkly Docs, "Understanding the different types of API access tokens".
		{detector: "launchdarkly-key", maker: "LaunchDarkly", what: "API access tokens and SDK keys", prefix: "api-", body: uuid},
		{detector: "launchdarkly-key", prefix: "sdk-", body: uuid},
		// PostHog Docs, "Personal API keys".
		{detector: "posthog-key", maker: "PostHog", what: "personal API keys", prefix: "phx_", body: []piece{run(alnum, 40, 0)}},
		// Honeycomb Docs, "API keys": ingest and management.
		{detector: "honeycomb-key", maker: "Honeycomb", what: "ingest and management keys", prefix: "hcaik_", body: []piece{run(digit|small, 50, 0)}},
		{detector: "honeycomb-key", prefix: "hcamk_", body: []piece{run(digit|small, 50, 0)}},
		// Sourcegraph Docs, "Access tokens".
		{detector: "sourcegraph-token", maker: "Sourcegraph", what: tokens, prefix: "sgp_", body: []piece{run(hex|underscore, 40, 58)}},
		// SonarQube Docs, "Managing your tokens": project, user and global tokens.
		{detector: "sonar-token", maker: "SonarQube", what: "project, user and global tokens", prefix: "sqp_", body: []piece{exactly(hex, 40)}},
		{detector: "sonar-token", prefix: "squ_", body: []piece{exactly(hex, 40)}},
		{detector: "sonar-token", prefix: "sqa_", body: []piece{exactly(hex, 40)}},
		// CircleCI Docs, "Managing API tokens": personal and project tokens.
		{detector: "circleci-token", maker: "CircleCI", what: "personal and project API tokens", prefix: "CCIPAT_", body: []piece{run(alnum, 22, 22), {literal: "_", of: hex, least: 40, most: 40}}},
		{detector: "circleci-token", prefix: "CCIPRJ_", body: []piece{run(alnum, 22, 22), {literal: "_", of: hex, least: 40, most: 40}}},
		// Buildkite Docs, "Managing API access tokens": user and cluster tokens.
		{detector: "buildkite-token", maker: "Buildkite", what: "API access and agent tokens", prefix: "bkua_", body: []piece{exactly(hex, 40)}},
		{detector: "buildkite-token", prefix: "bkct_", body: []piece{run(dashed, 40, 0)}},
		// Docker Docs, "Personal access tokens"; "Organization access tokens".
		{detector: "docker-token", maker: "Docker", what: "personal and organization access tokens", prefix: "dckr_pat_", body: []piece{run(dashed, 27, 0)}},
		{detector: "docker-token", prefix: "dckr_oat_", body: []piece{run(dashed, 27, 0)}},
		// JFrog Help Center, "API key"; "Reference tokens" (base64 of reftkn:).
		{detector: "jfrog-token", maker: "JFrog", what: "API keys and reference tokens", prefix: "AKCp", body: []piece{run(alnum, 60, 80)}},
		{detector: "jfrog-token", prefix: "cmVmdGtuO", body: []piece{run(alnum, 50, 70)}},
		// PyPI, "Help: How can I use API tokens to authenticate with PyPI?" (a macaroon that begins with pypi.org).
		{detector: "pypi-token", maker: "PyPI", what: "API tokens", prefix: "pypi-AgE", body: []piece{run(dashed, 50, 0)}},
		// RubyGems Guides, "API key scopes".
		{detector: "rubygems-key", maker: "RubyGems", what: "API keys", prefix: "rubygems_", body: []piece{exactly(hex, 48)}},
		// The Cargo Book, "Publishing on crates.io: API tokens".
		{detector: "crates-token", maker: "crates.io", what: "API tokens", prefix: "cio", body: []piece{exactly(alnum, 32)}},
		// Microsoft Learn, "NuGet: Scoped API keys".
		{detector: "nuget-key", maker: "NuGet", what: "API keys", prefix: "oy2", body: []piece{exactly(digit|small, 43)}},
		// Clojars, "Deploy tokens".
		{detector: "clojars-token", maker: "Clojars", what: "deploy tokens", prefix: "CLOJARS_", body: []piece{exactly(hex|lowerRest, 60)}},
		// Prefect Docs, "Manage API keys": users and service accounts.
		{detector: "prefect-key", maker: "Prefect", what: "API keys", prefix: "pnu_", body: []piece{run(alnum, 36, 40)}},
		{detector: "prefect-key", prefix: "pnb_", body: []piece{run(alnum, 36, 40)}},
		// Infracost Docs, "API keys".
		{detector: "infracost-key", maker: "Infracost", what: "API keys", prefix: "ico-", body: []piece{exactly(alnum, 32)}},
		// Atlassian Support, "Manage API tokens for your Atlassian account"; Bitbucket, "App passwords", "Access tokens".
		{detector: "atlassian-token", maker: "Atlassian", what: "API and access tokens, app passwords", prefix: "ATATT3", body: []piece{run(dashed, 100, 0)}},
		{detector: "atlassian-token", prefix: "ATCTT3", body: []piece{run(dashed, 100, 0)}},
		{detector: "atlassian-token", prefix: "ATBB", body: []piece{run(alnum, 32, 40)}},
		// Postman Docs, "Postman API authentication"; "Collection access keys".
		{detector: "postman-key", maker: "Postman", what: "API and collection access keys", prefix: "PMAK-", body: []piece{exactly(hex, 24), {literal: "-", of: hex, least: 34, most: 34}}},
		{detector: "postman-key", prefix: "PMAT-", body: []piece{exactly(digit|capital, 26)}},
		// ReadMe Docs, "API keys".
		{detector: "readme-key", maker: "ReadMe", what: "API keys", prefix: "rdme_", body: []piece{run(alnum, 70, 90)}},
	}
}
