package detect

// serviceForms are the keys of what teams and their customers use.
func serviceForms() []form {
	const (
		api    = "API keys"
		tokens = "access tokens"
	)
	return []form{
		// Linear Developers, "Personal API keys"; "OAuth 2.0".
		{detector: "linear-key", maker: "Linear", what: "API keys and OAuth tokens", prefix: "lin_api_", body: []piece{run(alnum, 40, 48)}},
		{detector: "linear-key", prefix: "lin_oauth_", body: []piece{run(alnum, 40, 64)}},
		// Notion Developers, "Authorization"; tokens began with secret_ before they began with ntn_.
		{detector: "notion-token", maker: "Notion", what: "integration tokens", prefix: "ntn_", body: []piece{run(alnum, 40, 0)}},
		{detector: "notion-token", prefix: "secret_", body: []piece{exactly(alnum, 43)}},
		// Shopify Dev Docs, "Access tokens: custom, private and public apps", "Shared secrets".
		{detector: "shopify-token", maker: "Shopify", what: "access tokens and shared secrets", prefix: "shpat_", body: []piece{exactly(anyHex, 32)}},
		{detector: "shopify-token", prefix: "shpca_", body: []piece{exactly(anyHex, 32)}},
		{detector: "shopify-token", prefix: "shppa_", body: []piece{exactly(anyHex, 32)}},
		{detector: "shopify-token", prefix: "shpss_", body: []piece{exactly(anyHex, 32)}},
		// Square Developer, "Access tokens and other credentials".
		{detector: "square-token", maker: "Square", what: "access tokens and OAuth secrets", prefix: "sq0atp-", body: []piece{run(dashed, 22, 0)}},
		{detector: "square-token", prefix: "sq0csp-", body: []piece{run(dashed, 43, 0)}},
		// Figma Developers, "Authentication: personal access tokens".
		{detector: "figma-token", maker: "Figma", what: "personal access tokens", prefix: "figd_", body: []piece{run(dashed, 38, 0)}},
		// Airtable Support, "Creating personal access tokens": pat, an id, a dot, the secret.
		{detector: "airtable-token", maker: "Airtable", what: "personal access tokens", prefix: "pat", body: []piece{exactly(alnum, 14), {literal: ".", of: hex, least: 64, most: 64}}},
		// HubSpot Developers, "Private apps".
		{detector: "hubspot-token", maker: "HubSpot", what: "private app tokens", prefix: "pat-na1-", body: uuid},
		{detector: "hubspot-token", prefix: "pat-na2-", body: uuid},
		{detector: "hubspot-token", prefix: "pat-eu1-", body: uuid},
		// Telegram Bot API, "Authorizing your bot": an id, a colon, the secret. The find begins at the secret.
		{detector: "telegram-token", maker: "Telegram", what: "bot tokens", prefix: ":AA", body: []piece{exactly(dashed, 33)}},
		// Discord Developer Docs, "Webhook: Execute webhook" (the URL has the token).
		{detector: "discord-webhook", maker: "Discord", what: "webhook tokens", prefix: "/api/webhooks/", body: []piece{run(digit, 17, 20), {literal: "/", of: dashed, least: 60}}},
		// Meta for Developers, "Access tokens".
		{detector: "meta-token", maker: "Meta", what: "access tokens", prefix: "EAA", body: []piece{run(alnum, 57, 0)}},
		// LinkedIn, "Scannable client secrets".
		{detector: "linkedin-secret", maker: "LinkedIn", what: "client secrets", prefix: "WPL_AP1.", body: []piece{run(alnum, 12, 32), {literal: ".", of: base64Plain, least: 4}}},
		// Dropbox Developers, "OAuth guide: short-lived tokens".
		{detector: "dropbox-token", maker: "Dropbox", what: tokens, prefix: "sl.", body: []piece{run(dashed|dot, 130, 0)}},
		// Mailgun Docs, "API keys".
		{detector: "mailgun-key", maker: "Mailgun", what: "private API keys", prefix: "key-", body: []piece{exactly(hex, 32)}},
		// Brevo Docs, "API keys"; "SMTP keys".
		{detector: "brevo-key", maker: "Brevo", what: "API and SMTP keys", prefix: "xkeysib-", body: []piece{exactly(hex, 64), {literal: "-", of: alnum, least: 16, most: 16}}},
		{detector: "brevo-key", prefix: "xsmtpsib-", body: []piece{exactly(hex, 64), {literal: "-", of: alnum, least: 16, most: 16}}},
		// Resend Docs, "API keys".
		{detector: "resend-key", maker: "Resend", what: api, prefix: "re_", body: []piece{exactly(alnum, 8), {literal: "_", of: alnum, least: 24, most: 24}}},
		// Okta Developer, "Create an API token": the scheme is SSWS.
		{detector: "okta-token", maker: "Okta", what: "API tokens behind SSWS or the name", prefix: "SSWS 00", body: []piece{run(dashed, 38, 40)}},
		{detector: "okta-token", word: "okta_api", body: []piece{{literal: "00", of: dashed, least: 40, most: 40}}},
		{detector: "okta-token", word: "oktaapit", body: []piece{{literal: "00", of: dashed, least: 40, most: 40}}},
		{detector: "okta-token", word: "okta_tok", body: []piece{{literal: "00", of: dashed, least: 40, most: 40}}},
		// Intercom Developers, "Authentication" (base64 of tok:).
		{detector: "intercom-token", maker: "Intercom", what: tokens, prefix: "dG9rO", body: []piece{run(alnum, 50, 64)}},
		// Typeform Developers, "Personal access token".
		{detector: "typeform-token", maker: "Typeform", what: "personal access tokens", prefix: "tfp_", body: []piece{run(dashed|dot, 44, 0)}},
		// Contentful Docs, "Personal access tokens".
		{detector: "contentful-token", maker: "Contentful", what: "personal access tokens", prefix: "CFPAT-", body: []piece{run(dashed, 40, 0)}},
		// EasyPost Docs, "API keys".
		{detector: "easypost-key", maker: "EasyPost", what: api, prefix: "EZAK", body: []piece{exactly(alnum, 54)}},
		{detector: "easypost-key", prefix: "EZTK", body: []piece{exactly(alnum, 54)}},
		// Shippo Docs, "Authentication".
		{detector: "shippo-token", maker: "Shippo", what: "API tokens", prefix: "shippo_live_", body: []piece{exactly(hex, 40)}},
		{detector: "shippo-token", prefix: "shippo_test_", body: []piece{exactly(hex, 40)}},
		// Duffel Docs, "Getting started: access tokens".
		{detector: "duffel-token", maker: "Duffel", what: tokens, prefix: "duffel_live_", body: []piece{run(dashed, 40, 0)}},
		{detector: "duffel-token", prefix: "duffel_test_", body: []piece{run(dashed, 40, 0)}},
		// Flutterwave Docs, "Authentication: secret keys".
		{detector: "flutterwave-key", maker: "Flutterwave", what: "secret keys", prefix: "FLWSECK", body: []piece{run(dashed, 32, 0)}},
		// Braintree Docs, "Access tokens" (PayPal).
		{detector: "braintree-token", maker: "Braintree", what: tokens, prefix: "access_token$", body: []piece{run(small, 7, 10), {literal: "$", of: alnum, least: 16, most: 16}, {literal: "$", of: hex, least: 32, most: 32}}},
		// Plaid Docs, "API overview: tokens".
		{detector: "plaid-token", maker: "Plaid", what: tokens, prefix: "access-production-", body: uuid},
		{detector: "plaid-token", prefix: "access-sandbox-", body: uuid},
		// Mapbox Docs, "Access tokens": secret ones.
		{detector: "mapbox-token", maker: "Mapbox", what: "secret access tokens", prefix: "sk.eyJ", body: []piece{run(dashed, 40, 512), {literal: ".", of: dashed, least: 20, most: 24}}},
		// Adafruit IO, "API: Authentication".
		{detector: "adafruit-key", maker: "Adafruit", what: api, prefix: "aio_", body: []piece{exactly(alnum, 28)}},
		// Frame.io Developers, "Developer tokens".
		{detector: "frameio-token", maker: "Frame.io", what: "developer tokens", prefix: "fio-u-", body: []piece{run(dashed, 64, 0)}},
		// Algolia Docs, "API keys": hexadecimal digits, so only behind the name.
		{detector: "algolia-key", maker: "Algolia", what: "API keys behind the name", word: "algolia", body: []piece{exactly(hex, 32)}},
		// Deepgram Docs, "Create additional API keys": hexadecimal digits, so only behind the name.
		{detector: "deepgram-key", maker: "Deepgram", what: "API keys behind the name", word: "deepgram", body: []piece{exactly(hex, 40)}},
	}
}
