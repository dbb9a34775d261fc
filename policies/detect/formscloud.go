package detect

// cloudForms are the keys of clouds, databases and what runs in them.
func cloudForms() []form {
	const (
		api      = "API tokens"
		personal = "personal access tokens"
	)
	return []form{
		// HashiCorp Vault Docs, "Tokens: Token prefixes": service, batch and recovery tokens.
		{detector: "vault-token", maker: "HashiCorp Vault", what: "service, batch and recovery tokens", prefix: "hvs.", body: []piece{run(dashed, 24, 0)}},
		{detector: "vault-token", prefix: "hvb.", body: []piece{run(dashed, 24, 0)}},
		{detector: "vault-token", prefix: "hvr.", body: []piece{run(dashed, 24, 0)}},
		// Terraform Docs, "HCP Terraform API: Authentication" (an id, .atlasv1., the secret): the find begins at the sign.
		{detector: "terraform-token", maker: "HCP Terraform", what: api, prefix: ".atlasv1.", body: []piece{run(dashed, 60, 0)}},
		// Databricks Docs, "Authenticate with personal access tokens (legacy)"; "OAuth client secrets".
		{detector: "databricks-token", maker: "Databricks", what: "personal access tokens, OAuth secrets", prefix: "dapi", body: []piece{exactly(hex, 32)}},
		{detector: "databricks-token", prefix: "dose", body: []piece{exactly(hex, 32)}},
		// DigitalOcean Docs, "Personal access tokens: token formats": personal, OAuth and refresh tokens.
		{detector: "digitalocean-token", maker: "DigitalOcean", what: "personal, OAuth and refresh tokens", prefix: "dop_v1_", body: []piece{exactly(hex, 64)}},
		{detector: "digitalocean-token", prefix: "doo_v1_", body: []piece{exactly(hex, 64)}},
		{detector: "digitalocean-token", prefix: "dor_v1_", body: []piece{exactly(hex, 64)}},
		// Supabase Docs, "Understanding API keys"; "Management API: Authentication".
		{detector: "supabase-key", maker: "Supabase", what: "access tokens and secret API keys", prefix: "sbp_", body: []piece{run(hex|underscore|lowerRest, 40, 0)}},
		{detector: "supabase-key", prefix: "sb_secret_", body: []piece{run(dashed, 22, 0)}},
		// PlanetScale Docs, "Service tokens"; "Password prefixes"; "OAuth applications".
		{detector: "planetscale-token", maker: "PlanetScale", what: "service and OAuth tokens, passwords", prefix: "pscale_tkn_", body: []piece{run(dashed, 32, 0)}},
		{detector: "planetscale-token", prefix: "pscale_pw_", body: []piece{run(dashed, 32, 0)}},
		{detector: "planetscale-token", prefix: "pscale_oauth_", body: []piece{run(dashed, 32, 0)}},
		// Cloudflare Docs, "Token formats": user, account and global keys; "Origin CA keys"; older API tokens only behind the name.
		{detector: "cloudflare-token", maker: "Cloudflare", what: "API tokens and keys, Origin CA keys", prefix: "cfut_", body: []piece{run(dashed, 40, 0)}},
		{detector: "cloudflare-token", prefix: "cfat_", body: []piece{run(dashed, 40, 0)}},
		{detector: "cloudflare-token", prefix: "cfk_", body: []piece{run(dashed, 40, 0)}},
		{detector: "cloudflare-token", prefix: "v1.0-", body: []piece{exactly(hex, 24), {literal: "-", of: hex, least: 146, most: 146}}},
		{detector: "cloudflare-token", word: "cloudflare", body: []piece{exactly(dashed, 40)}},
		{detector: "cloudflare-token", word: "cloudflare", body: []piece{exactly(hex, 37)}},
		// Neon Docs, "Manage API keys".
		{detector: "neon-key", maker: "Neon", what: "API keys", prefix: "napi_", body: []piece{run(alnum, 48, 0)}},
		// Aiven Docs, "Service credentials: password".
		{detector: "aiven-password", maker: "Aiven", what: "service passwords", prefix: "AVNS_", body: []piece{run(dashed, 15, 0)}},
		// Alibaba Cloud Docs, "Create an AccessKey pair": the id.
		{detector: "alibaba-key", maker: "Alibaba Cloud", what: "access key ids", prefix: "LTAI", body: []piece{run(alnum, 12, 20)}},
		// Tencent Cloud Docs, "CAM: Access keys": the id.
		{detector: "tencent-key", maker: "Tencent Cloud", what: "secret ids", prefix: "AKID", body: []piece{run(alnum, 32, 36)}},
		// Scaleway Docs, "Create API keys": the access key; its secret is a UUID.
		{detector: "scaleway-key", maker: "Scaleway", what: "access keys", prefix: "SCW", body: []piece{exactly(digit|capital, 17)}},
		// Yandex Cloud Docs, "API key"; "IAM token".
		{detector: "yandex-key", maker: "Yandex Cloud", what: "API keys and IAM tokens", prefix: "AQVN", body: []piece{run(dashed, 34, 0)}},
		{detector: "yandex-key", prefix: "t1.9", body: []piece{run(dashed|dot, 60, 0)}},
		// Heroku Dev Center, "Platform API: Authentication", "OAuth tokens".
		{detector: "heroku-key", maker: "Heroku", what: "API keys and OAuth tokens", prefix: "HRKU-", body: []piece{run(dashed, 36, 0)}},
		// Vercel Docs, "Token formats": personal, integration, access, refresh and gateway keys; "Blob: read-write token".
		{detector: "vercel-token", maker: "Vercel", what: "access, integration, gateway and blob tokens", prefix: "vcp_", body: []piece{run(alnum, 24, 0)}},
		{detector: "vercel-token", prefix: "vci_", body: []piece{run(alnum, 24, 0)}},
		{detector: "vercel-token", prefix: "vca_", body: []piece{run(alnum, 24, 0)}},
		{detector: "vercel-token", prefix: "vcr_", body: []piece{run(alnum, 24, 0)}},
		{detector: "vercel-token", prefix: "vck_", body: []piece{run(alnum, 24, 0)}},
		{detector: "vercel-token", prefix: "vercel_blob_rw_", body: []piece{run(ident, 40, 0)}},
		// Netlify Docs, "API: Authentication".
		{detector: "netlify-token", maker: "Netlify", what: personal, prefix: "nfp_", body: []piece{run(alnum, 32, 0)}},
		// Render Docs, "The Render API: Create an API key".
		{detector: "render-key", maker: "Render", what: "API keys", prefix: "rnd_", body: []piece{run(alnum, 28, 0)}},
		// Fly.io Docs, "Access tokens".
		{detector: "fly-token", maker: "Fly.io", what: "access tokens", prefix: "fo1_", body: []piece{run(dashed, 40, 0)}},
		{detector: "fly-token", prefix: "fm2_", body: []piece{run(base64Plain, 80, 0)}},
		{detector: "fly-token", prefix: "fm1r_", body: []piece{run(base64Plain, 80, 0)}},
		{detector: "fly-token", prefix: "fm1a_", body: []piece{run(base64Plain, 80, 0)}},
		// Pulumi Docs, "Access tokens".
		{detector: "pulumi-token", maker: "Pulumi", what: "access tokens", prefix: "pul-", body: []piece{exactly(hex, 40)}},
		// Tailscale Docs, "Key prefixes": auth, API, client and webhook keys.
		{detector: "tailscale-key", maker: "Tailscale", what: "auth, API and client keys", prefix: "tskey-", body: []piece{run(dashed, 20, 0)}},
		// Doppler Docs, "Auth token formats": personal, service, CLI, service account, SCIM and audit tokens.
		{detector: "doppler-token", maker: "Doppler", what: "personal, service, CLI and audit tokens", prefix: "dp.pt.", body: []piece{run(alnum, 40, 44)}},
		{detector: "doppler-token", prefix: "dp.st.", body: []piece{run(dashed|dot, 40, 0)}},
		{detector: "doppler-token", prefix: "dp.ct.", body: []piece{run(alnum, 40, 44)}},
		{detector: "doppler-token", prefix: "dp.sa.", body: []piece{run(alnum, 40, 44)}},
		{detector: "doppler-token", prefix: "dp.scim.", body: []piece{run(alnum, 40, 44)}},
		{detector: "doppler-token", prefix: "dp.audit.", body: []piece{run(alnum, 40, 44)}},
		// 1Password Developer, "Service account tokens"; "About your Secret Key".
		{detector: "onepassword-token", maker: "1Password", what: "service account tokens", prefix: "ops_eyJ", body: []piece{run(base64Plain, 200, 0)}},
		// age, "The age file format: X25519 identities" (Bech32).
		{detector: "age-key", maker: "age", what: "identities", prefix: "AGE-SECRET-KEY-1", body: []piece{exactly(digit|capital, 58)}},
	}
}
