package detect

import (
	"slices"
	"strings"
	"testing"
)

// upperBody gives n digits and capitals.
func upperBody(n int) string { return strings.ToUpper(body(n)) }

// id is a UUID.
const id = "3f9a0c7e-51b8-4264-9f3a-0c7e51b8d264"

// formSamples are the table's, as samples are those of the detectors with readers of their own. Each text of "not" is near
// one that is found.
var formSamples = map[string]struct{ found, not []string }{
	"groq-key": {[]string{"«" + "gsk_" + body(52) + "»", `{"k":"«` + "gsk_" + body(52) + `»"}`}, []string{"gsk_" + body(39), "agsk_" + body(52), "GSK_" + body(52), "gsk_" + body(52) + "_x"}},
	"xai-key":  {[]string{"«" + "xai-" + body(80) + "»", "key=«" + "xai-" + body(80) + "»&x"}, []string{"xai-" + body(60), "xxai-" + body(80), "xai_" + body(80)}},
	"huggingface-token": {
		[]string{"«" + "hf_" + body(34) + "»", "https://u:«" + "hf_" + body(34) + "»@huggingface.co", "«" + "api_org_" + body(34) + "»"},
		[]string{"hf_" + body(29), "hf_" + body(41), "hf_transformers_cache_directory_of_models", "shf_" + body(34)},
	},
	"openrouter-key":  {[]string{"«" + "sk-or-v1-" + hexBody(64) + "»"}, []string{"sk-or-v1-" + hexBody(63), "sk-or-v1-" + hexBody(65), "sk-or-v2-" + hexBody(64), "task-or-v1-" + hexBody(64)}},
	"perplexity-key":  {[]string{"Bearer «" + "pplx-" + body(48) + "»", "«" + "pplx-" + strings.Repeat("a", openMost-1) + "1»"}, []string{"pplx-" + strings.Repeat("a", openMost) + "1", "pplx-" + body(39), "applx-" + body(48), "pplx-70b-online-is-a-model-of-theirs-with-a-long-name"}},
	"replicate-token": {[]string{"«" + "r8_" + body(37) + "»"}, []string{"r8_" + body(36), "r8_" + body(41), "ar8_" + body(37)}},
	"mistral-key": {
		[]string{"MISTRAL_API_KEY=«" + body(32) + "»", `"mistralApiKey": "«` + body(32) + `»"`, "mistral" + strings.Repeat("_", wordGap) + "=«" + body(32) + "»", "mistral" + strings.Repeat("=", awsGap) + "«" + body(32) + "»", "mistral" + strings.Repeat(" ", wordGap) + "«" + body(32) + "»", "mistral key: «" + body(32) + "»."},
		[]string{body(32), "MISTRAL_API_KEY=" + body(31), "MISTRAL_API_KEY=" + body(33), "mistral" + body(32), "mistral-" + body(32), "mistral" + strings.Repeat("_", wordGap+1) + "=" + body(32), "mistral" + strings.Repeat("=", awsGap+1) + body(32), "mistral" + strings.Repeat("-", wordGap) + body(32), "MISTRAL=" + strings.Repeat("word", 8), "amistral=" + body(32)},
	},
	"cohere-key":     {[]string{"COHERE_API_KEY: «" + body(40) + "»", "cohere='«" + body(40) + "»'", "cohere" + strings.Repeat(" ", wordGap) + strings.Repeat("=", awsGap) + "«" + body(40) + "»"}, []string{"COHERE_API_KEY: " + body(39), "coherent: " + body(41), body(40)}},
	"fireworks-key":  {[]string{"«" + "fw_" + body(24) + "»"}, []string{"fw_" + body(20), "fw_" + strings.Repeat("ab", 12), "xfw_" + body(24)}},
	"together-key":   {[]string{"«" + "tgp_v1_" + body(43) + "»"}, []string{"tgp_v1_" + body(39), "tgp_v2_" + body(43), "atgp_v1_" + body(43)}},
	"cerebras-key":   {[]string{"«" + "csk-" + body(48) + "»"}, []string{"csk-" + body(39), "acsk-" + body(48)}},
	"nvidia-key":     {[]string{"«" + "nvapi-" + body(60) + "_-a4»"}, []string{"nvapi-" + body(59), "anvapi-" + body(64), "nvapi_" + body(64)}},
	"elevenlabs-key": {[]string{"xi-api-key: «" + "sk_" + hexBody(48) + "»"}, []string{"sk_" + hexBody(47), "sk_" + hexBody(49), "task_" + hexBody(48)}},
	"langsmith-key":  {[]string{"«" + "lsv2_pt_" + hexBody(32) + "_" + hexBody(10) + "»", "«" + "lsv2_sk_" + hexBody(32) + "_" + hexBody(10) + "»"}, []string{"lsv2_pt_" + hexBody(32), "lsv2_pt_" + hexBody(31) + "_" + hexBody(10), "lsv2_xx_" + hexBody(32) + "_" + hexBody(10)}},
	"langfuse-key":   {[]string{"«" + "sk-lf-" + id + "»"}, []string{"pk-lf-" + id, "sk-lf-" + id[1:], "sk-lf-" + id + "0"}},
	"pinecone-key":   {[]string{"«" + "pcsk_" + body(6) + "_" + body(63) + "»"}, []string{"pcsk_" + body(49), "apcsk_" + body(70)}},
	"tavily-key":     {[]string{"«" + "tvly-" + body(32) + "»", "«" + "tvly-" + "dev-" + body(32) + "»"}, []string{"tvly-" + body(31), "tvly-" + strings.Repeat("ab-", 14)}},
	"jina-key":       {[]string{"«" + "jina_" + body(60) + "»"}, []string{"jina_" + body(47), "ajina_" + body(60)}},
	"apify-token":    {[]string{"?t=«" + "apify_api_" + body(36) + "»"}, []string{"apify_api_" + body(33), "apify_api-" + body(36)}},
	"kaggle-token":   {[]string{"«" + "KGAT_" + hexBody(32) + "»"}, []string{"KGAT_" + hexBody(31), "kgat_" + hexBody(32)}},
	"vault-token": {
		[]string{"X-Vault-Token: «" + "hvs." + body(90) + "»", "«" + "hvb." + body(140) + "»", "«" + "hvr." + body(90) + "»", "«" + "hvs." + body(24) + "»."},
		[]string{"hvs." + body(23), "ahvs." + body(90), "hvx." + body(90), "hvs_" + body(90)},
	},
	"terraform-token":    {[]string{"q7Zk2mXw9RtY4u«" + ".atlasv1." + body(67) + "»"}, []string{"x.atlasv1." + body(59), "x.atlasv2." + body(67)}},
	"databricks-token":   {[]string{"«" + "dapi" + hexBody(32) + "»", "«" + "dapi" + hexBody(32) + "»-2", "«" + "dose" + hexBody(32) + "»"}, []string{"dapi" + hexBody(31), "dapi" + hexBody(33), "adapi" + hexBody(32), "dapi" + strings.ToUpper(hexBody(32))}},
	"digitalocean-token": {[]string{"«" + "dop_v1_" + hexBody(64) + "»", "«" + "doo_v1_" + hexBody(64) + "»", "«" + "dor_v1_" + hexBody(64) + "»"}, []string{"dop_v1_" + hexBody(63), "dop_v1_" + hexBody(65), "dox_v1_" + hexBody(64), "adop_v1_" + hexBody(64)}},
	"supabase-key":       {[]string{"«" + "sbp_" + hexBody(40) + "»", "«" + "sb_secret_" + body(22) + "_" + body(8) + "»", "«" + "sbp_" + "v0_" + hexBody(40) + "»"}, []string{"sbp_" + hexBody(39), "sb_publishable_" + body(31), "asbp_" + hexBody(40)}},
	"planetscale-token":  {[]string{"«" + "pscale_tkn_" + body(43) + "»", "«" + "pscale_pw_" + body(43) + "»", "«" + "pscale_oauth_" + body(32) + "»"}, []string{"pscale_tkn_" + body(31), "pscale_id_" + body(43), "apscale_pw_" + body(43)}},
	"cloudflare-token": {
		[]string{"«" + "cfut_" + body(48) + "»", "«" + "cfat_" + body(48) + "»", "«" + "cfk_" + body(48) + "»", "«" + "v1.0-" + hexBody(24) + "-" + hexBody(146) + "»", "CLOUDFLARE_API_TOKEN=«" + body(40) + "»", "cloudflare_api_key: «" + hexBody(37) + "»"},
		[]string{"cfut_" + body(39), "cfx_" + body(48), "CLOUDFLARE_API_TOKEN=" + body(39), "CLOUDFLARE_API_TOKEN=" + body(41), "v1.0-" + hexBody(24) + "-" + hexBody(145)},
	},
	"neon-key":       {[]string{"«" + "napi_" + body(64) + "»"}, []string{"napi_" + body(47), "anapi_" + body(64)}},
	"aiven-password": {[]string{"postgres://u:«" + "AVNS_" + body(19) + "»@h"}, []string{"AVNS_" + body(14), "avns_" + body(19)}},
	"alibaba-key":    {[]string{"«" + "LTAI" + body(20) + "»"}, []string{"LTAI" + body(11), "LTAI" + body(21), "ltai" + body(20)}},
	"tencent-key":    {[]string{"«" + "AKID" + body(32) + "»"}, []string{"AKID" + body(31), "AKID" + body(37)}},
	"scaleway-key":   {[]string{"«" + "SCW" + upperBody(17) + "»"}, []string{"SCW" + upperBody(16), "SCW" + upperBody(18), "SCW" + body(17)}},
	"yandex-key":     {[]string{"«" + "AQVN" + body(36) + "»", "«" + "t1.9" + body(60) + "." + body(80) + "»."}, []string{"AQVN" + body(33), "t1.9" + body(59), "at1.9" + body(100)}},
	"heroku-key":     {[]string{"«" + "HRKU-" + "AA" + body(58) + "»", "«" + "HRKU-" + id + "»"}, []string{"HRKU-" + body(35), "hrku-" + body(60)}},
	"vercel-token": {
		[]string{"«" + "vcp_" + body(56) + "»", "«" + "vci_" + body(24) + "»", "«" + "vca_" + body(24) + "»", "«" + "vcr_" + body(24) + "»", "«" + "vck_" + body(24) + "»", "«" + "vercel_blob_rw_" + body(16) + "_" + body(30) + "»"},
		[]string{"vcp_" + body(23), "vcz_" + body(56), "vercel_blob_rw_" + body(39), "avcp_" + body(56)},
	},
	"netlify-token": {[]string{"«" + "nfp_" + body(36) + "»"}, []string{"nfp_" + body(31), "anfp_" + body(36)}},
	"render-key":    {[]string{"«" + "rnd_" + body(28) + "»"}, []string{"rnd_" + body(27), "brnd_" + body(28)}},
	"fly-token":     {[]string{"FlyV1 «" + "fm2_" + body(120) + "»,«" + "fo1_" + body(43) + "»", "«" + "fm1r_" + base64of(80) + "»", "«" + "fm1a_" + base64of(80) + "»"}, []string{"fo1_" + body(39), "fm2_" + body(79), "fm1x_" + body(120)}},
	"pulumi-token":  {[]string{"«" + "pul-" + hexBody(40) + "»"}, []string{"pul-" + hexBody(39), "pul-" + hexBody(41), "apul-" + hexBody(40)}},
	"tailscale-key": {[]string{"«" + "tskey-" + "auth-" + body(16) + "-" + body(32) + "»", "«" + "tskey-" + "api-" + body(28) + "»"}, []string{"tskey-" + body(19), "tskey-" + strings.Repeat("word-", 8)}},
	"doppler-token": {
		[]string{"«" + "dp.pt." + body(43) + "»", "«" + "dp.st." + "prd." + body(43) + "».", "«" + "dp.ct." + body(43) + "»", "«" + "dp.sa." + body(43) + "»", "«" + "dp.scim." + body(43) + "»", "«" + "dp.audit." + body(43) + "»"},
		[]string{"dp.pt." + body(39), "dp.xt." + body(43), "adp.pt." + body(43), "dp.pt." + body(45)},
	},
	"onepassword-token": {[]string{"OP_SERVICE_ACCOUNT_TOKEN=«" + "ops_eyJ" + body(300) + "»", "«" + "ops_eyJ" + body(900) + "»."}, []string{"ops_eyJ" + body(199), "aops_eyJ" + body(300)}},
	"age-key":           {[]string{"«" + "AGE-SECRET-KEY-1" + upperBody(58) + "»"}, []string{"AGE-SECRET-KEY-1" + upperBody(57), "AGE-SECRET-KEY-2" + upperBody(58), "age1" + body(58)}},
	"grafana-token":     {[]string{"«" + "glsa_" + body(32) + "_" + hexBody(8) + "»", "«" + "glc_" + base64of(60) + "»"}, []string{"glsa_" + body(31) + "_" + hexBody(8), "glsa_" + body(32), "glc_" + body(31), "aglc_" + body(80)}},
	"newrelic-key":      {[]string{"«" + "NRAK-" + upperBody(27) + "»", "«" + "NRII-" + body(32) + "»", "«" + "NRIQ-" + body(32) + "»", "«" + "NRRA-" + hexBody(42) + "»", "«" + "NRJS-" + hexBody(19) + "»"}, []string{"NRAK-" + upperBody(26), "NRAK-" + body(27), "NRXX-" + body(40), "aNRAK-" + upperBody(27)}},
	"sentry-token":      {[]string{"«" + "sntrys_" + encoded(`{"iat":1762041600.1,"url":"https://sentry.example"}`) + "_" + body(43) + "»", "«" + "sntryu_" + hexBody(64) + "»", "«" + "sntryi_" + hexBody(64) + "»"}, []string{"sntrys_" + body(59), "sntryu_" + hexBody(63), "asntryu_" + hexBody(64)}},
	"datadog-key": {
		[]string{"DATADOG_API_KEY=«" + hexBody(32) + "»", "datadog.app.key: «" + hexBody(40) + "»", "DD_API_KEY=«" + hexBody(32) + "»", "DD-API-KEY: «" + hexBody(32) + "»", "dd_app_key='«" + hexBody(40) + "»'", "DD-APPLICATION-KEY: «" + hexBody(40) + "»"},
		[]string{"DATADOG_API_KEY=" + hexBody(31), "datadog " + hexBody(32), "add_api_key=" + hexBody(32), hexBody(32)},
	},
	"dynatrace-token":   {[]string{"Api-Token «" + "dt0c01." + upperBody(24) + "." + upperBody(64) + "»", "«" + "dt0s16." + upperBody(24) + "." + upperBody(64) + "»"}, []string{"dt0c01." + upperBody(24), "dt0c01." + upperBody(23) + "." + upperBody(64), "dt0c1." + upperBody(24) + "." + upperBody(64)}},
	"launchdarkly-key":  {[]string{"«" + "api-" + id + "»", "«" + "sdk-" + id + "»"}, []string{"mob-" + id, "api-" + id[1:], "api-" + id + "a", "xapi-" + id}},
	"posthog-key":       {[]string{"«" + "phx_" + body(43) + "»"}, []string{"phc_" + body(43), "phx_" + body(39)}},
	"honeycomb-key":     {[]string{"«" + "hcaik_" + hexBody(58) + "»", "«" + "hcamk_" + hexBody(58) + "»"}, []string{"hcaik_" + hexBody(49), "hcxxk_" + hexBody(58)}},
	"sourcegraph-token": {[]string{"«" + "sgp_" + hexBody(40) + "»", "«" + "sgp_" + hexBody(16) + "_" + hexBody(40) + "»"}, []string{"sgp_" + hexBody(39), "asgp_" + hexBody(40)}},
	"sonar-token":       {[]string{"«" + "sqp_" + hexBody(40) + "»", "«" + "squ_" + hexBody(40) + "»", "«" + "sqa_" + hexBody(40) + "»"}, []string{"sqp_" + hexBody(39), "sqx_" + hexBody(40), "asqp_" + hexBody(40)}},
	"circleci-token":    {[]string{"«" + "CCIPAT_" + body(22) + "_" + hexBody(40) + "»", "«" + "CCIPRJ_" + body(22) + "_" + hexBody(40) + "»"}, []string{"CCIPAT_" + body(22), "CCIPAT_" + body(21) + "_" + hexBody(40), "ccipat_" + body(22) + "_" + hexBody(40)}},
	"buildkite-token":   {[]string{"«" + "bkua_" + hexBody(40) + "»", "«" + "bkct_" + body(60) + "»"}, []string{"bkua_" + hexBody(39), "abkua_" + hexBody(40)}},
	"docker-token":      {[]string{"«" + "dckr_pat_" + body(27) + "»", "«" + "dckr_oat_" + body(32) + "»"}, []string{"dckr_pat_" + body(26), "dckr_xat_" + body(27), "adckr_pat_" + body(27)}},
	"jfrog-token":       {[]string{"«" + "AKCp" + body(69) + "»", "«" + "cmVmdGtuO" + body(55) + "»"}, []string{"AKCp" + body(59), "AKCp" + body(81), "cmVmdGtuO" + body(49)}},
	"pypi-token":        {[]string{"password = «" + "pypi-AgE" + "IcHlwaS5vcmc" + body(150) + "»"}, []string{"pypi-AgE" + body(49), "pypi-server-" + body(100)}},
	"rubygems-key":      {[]string{"«" + "rubygems_" + hexBody(48) + "»"}, []string{"rubygems_" + hexBody(47), "rubygems_" + hexBody(49)}},
	"crates-token":      {[]string{"token = \"«" + "cio" + body(32) + "»\""}, []string{"cio" + body(31), "cio" + body(33), "acio" + body(32)}},
	"nuget-key":         {[]string{"«" + "oy2" + strings.ToLower(body(43)) + "»"}, []string{"oy2" + strings.ToLower(body(42)), "oy2" + body(43), "boy2" + strings.ToLower(body(43))}},
	"clojars-token":     {[]string{"«" + "CLOJARS_" + hexBody(60) + "»"}, []string{"CLOJARS_" + hexBody(59), "clojars_" + hexBody(60)}},
	"prefect-key":       {[]string{"«" + "pnu_" + body(36) + "»", "«" + "pnb_" + body(36) + "»"}, []string{"pnu_" + body(35), "pnx_" + body(36)}},
	"infracost-key":     {[]string{"«" + "ico-" + body(32) + "»"}, []string{"ico-" + body(31), "ico-" + body(33), "pico-" + body(32)}},
	"atlassian-token":   {[]string{"«" + "ATATT3" + "xFfGF0" + body(170) + "»=7E3F1A2B", "«" + "ATCTT3" + body(170) + "»", "«" + "ATBB" + body(32) + "»"}, []string{"ATATT3" + body(99), "ATBB" + body(31), "aATBB" + body(32)}},
	"postman-key":       {[]string{"«" + "PMAK-" + hexBody(24) + "-" + hexBody(34) + "»", "«" + "PMAT-" + upperBody(26) + "»"}, []string{"PMAK-" + hexBody(24), "PMAK-" + hexBody(23) + "-" + hexBody(34), "pmak-" + hexBody(24) + "-" + hexBody(34)}},
	"readme-key":        {[]string{"«" + "rdme_" + body(70) + "»"}, []string{"rdme_" + body(69), "readme_" + body(70)}},
	"linear-key":        {[]string{"«" + "lin_api_" + body(40) + "»", "«" + "lin_oauth_" + hexBody(64) + "»"}, []string{"lin_api_" + body(39), "lin_xyz_" + body(40), "alin_api_" + body(40)}},
	"notion-token":      {[]string{"«" + "ntn_" + body(46) + "»", "«" + "secret_" + body(43) + "»"}, []string{"ntn_" + body(39), "secret_" + body(42), "secret_" + body(44), "my_secret_" + body(43)}},
	"shopify-token":     {[]string{"«" + "shpat_" + hexBody(32) + "»", "«" + "shpca_" + hexBody(32) + "»", "«" + "shppa_" + hexBody(32) + "»", "«" + "shpss_" + hexBody(32) + "»", "«" + "shpat_" + "ABCDEF09" + hexBody(24) + "»"}, []string{"shpat_" + hexBody(31), "shpat_" + hexBody(33), "shpxx_" + hexBody(32), "ashpat_" + hexBody(32)}},
	"square-token":      {[]string{"«" + "sq0atp-" + body(22) + "»", "«" + "sq0csp-" + body(43) + "»"}, []string{"sq0atp-" + body(21), "sq0idp-" + body(22), "asq0atp-" + body(22)}},
	"figma-token":       {[]string{"X-Figma-Token: «" + "figd_" + body(40) + "»"}, []string{"figd_" + body(37), "afigd_" + body(40)}},
	"airtable-token":    {[]string{"«" + "pat" + body(14) + "." + hexBody(64) + "»"}, []string{"pat" + body(14), "pat" + body(13) + "." + hexBody(64), "spat" + body(14) + "." + hexBody(64)}},
	"hubspot-token":     {[]string{"«" + "pat-na1-" + id + "»", "«" + "pat-na2-" + id + "»", "«" + "pat-eu1-" + id + "»"}, []string{"pat-na1-" + id[1:], "pat-xx1-" + id}},
	"telegram-token":    {[]string{"https://api.telegram.org/bot110201543«" + ":AA" + body(31) + "_-»/getMe"}, []string{"110201543:AA" + body(32), "110201543:AA" + body(34), "a:AB" + body(33)}},
	"discord-webhook":   {[]string{"https://discord.com«" + "/api/webhooks/" + "123456789012345678/" + body(68) + "»"}, []string{"/api/webhooks/" + "123456789012345678", "/api/webhooks/" + "123/" + body(68)}},
	"meta-token":        {[]string{"«" + "EAA" + body(120) + "»"}, []string{"EAA" + body(56), "aEAA" + body(120), "eaa" + body(120)}},
	"linkedin-secret":   {[]string{"«" + "WPL_AP1." + body(16) + ".5uA1xA==»"}, []string{"WPL_AP1." + body(11) + ".5uA1xA", "WPL_AP2." + body(24)}},
	"dropbox-token":     {[]string{"«" + "sl." + "u." + body(140) + "»"}, []string{"sl." + body(129), "asl." + body(140)}},
	"mailgun-key":       {[]string{"api:«" + "key-" + hexBody(32) + "»"}, []string{"key-" + hexBody(31), "key-" + hexBody(33), "mykey-" + hexBody(32)}},
	"brevo-key":         {[]string{"«" + "xkeysib-" + hexBody(64) + "-" + body(16) + "»", "«" + "xsmtpsib-" + hexBody(64) + "-" + body(16) + "»"}, []string{"xkeysib-" + hexBody(64), "xkeysib-" + hexBody(63) + "-" + body(16)}},
	"resend-key":        {[]string{"«" + "re_" + body(8) + "_" + body(24) + "»"}, []string{"re_" + body(8), "re_" + body(7) + "_" + body(24), "are_" + body(8) + "_" + body(24)}},
	"okta-token":        {[]string{"Authorization: «" + "SSWS 00" + body(40) + "»", "OKTA_API_TOKEN=«" + "00" + body(40) + "»", `"oktaApiToken":"«` + "00" + body(40) + `»"`, "okta_token: «" + "00" + body(40) + "»"}, []string{"SSWS 00" + body(37), "OKTA_API_TOKEN=" + body(42), "okta: 00" + body(39)}},
	"intercom-token":    {[]string{"«" + "dG9rO" + body(54) + "»="}, []string{"dG9rO" + body(49), "adG9rO" + body(54)}},
	"typeform-token":    {[]string{"«" + "tfp_" + body(44) + "_" + body(14) + "»"}, []string{"tfp_" + body(43), "atfp_" + body(59)}},
	"contentful-token":  {[]string{"«" + "CFPAT-" + body(43) + "»"}, []string{"CFPAT-" + body(39), "cfpat-" + body(43)}},
	"easypost-key":      {[]string{"«" + "EZAK" + body(54) + "»", "«" + "EZTK" + body(54) + "»"}, []string{"EZAK" + body(53), "EZAK" + body(55), "aEZAK" + body(54)}},
	"shippo-token":      {[]string{"ShippoToken «" + "shippo_live_" + hexBody(40) + "»", "«" + "shippo_test_" + hexBody(40) + "»"}, []string{"shippo_live_" + hexBody(39), "shippo_dead_" + hexBody(40)}},
	"duffel-token":      {[]string{"«" + "duffel_live_" + body(43) + "»", "«" + "duffel_test_" + body(43) + "»"}, []string{"duffel_live_" + body(39), "duffel_dead_" + body(43)}},
	"flutterwave-key":   {[]string{"«" + "FLWSECK" + "_TEST-" + hexBody(32) + "-X»", "«" + "FLWSECK" + "-" + hexBody(32) + "-X»"}, []string{"FLWSECK" + body(31), "FLWPUBK-" + hexBody(32) + "-X"}},
	"braintree-token":   {[]string{"«" + "access_token$" + "production$" + body(16) + "$" + hexBody(32) + "»"}, []string{"access_token$" + "production$" + body(15) + "$" + hexBody(32), "access_token$" + "production$" + body(16)}},
	"plaid-token":       {[]string{"«" + "access-production-" + id + "»", "«" + "access-sandbox-" + id + "»"}, []string{"access-production-" + id[1:], "public-sandbox-" + id}},
	"mapbox-token":      {[]string{"«" + "sk.eyJ" + body(60) + "." + body(22) + "»"}, []string{"sk.eyJ" + body(60), "pk.eyJ" + body(60) + "." + body(22), "ask.eyJ" + body(60) + "." + body(22)}},
	"adafruit-key":      {[]string{"«" + "aio_" + body(28) + "»"}, []string{"aio_" + body(27), "aio_" + body(29)}},
	"frameio-token":     {[]string{"«" + "fio-u-" + body(64) + "»"}, []string{"fio-u-" + body(63), "fio-x-" + body(64)}},
	"algolia-key":       {[]string{"ALGOLIA_ADMIN_KEY=«" + hexBody(32) + "»"}, []string{"ALGOLIA_ADMIN_KEY=" + hexBody(31), "algolia" + hexBody(32)}},
	"deepgram-key":      {[]string{"DEEPGRAM_API_KEY=«" + hexBody(40) + "»"}, []string{"DEEPGRAM_API_KEY=" + hexBody(39), "deepgram " + hexBody(40)}},
}

func TestAtLeastSixtyMakersFormsAreKnown(t *testing.T) {
	makers := map[string]bool{}
	for _, d := range Detectors() {
		if d.What == "" {
			t.Errorf("%s does not say what it finds", d.Name)
		}
		if d.Maker != "" {
			makers[d.Maker] = true
		}
	}
	if len(makers) < 60 {
		t.Errorf("%d makers", len(makers))
	}
	for _, maker := range []string{
		"Groq", "xAI", "Hugging Face", "HashiCorp Vault", "Databricks", "DigitalOcean", "Linear", "Notion", "Postman", "Doppler", "Supabase",
		"PlanetScale", "Grafana", "New Relic", "Sentry", "Cloudflare", "OpenRouter", "Perplexity", "Replicate", "Mistral AI",
	} {
		if !makers[maker] {
			t.Errorf("nothing of %s is known", maker)
		}
	}
}

func TestTheTableIsInOrder(t *testing.T) {
	forms := table()
	if len(forms) > formsMost {
		t.Fatalf("%d forms, and room for %d", len(forms), formsMost)
	}
	var names []string
	for _, d := range detectors() {
		if slices.Contains(names, d.name) {
			t.Errorf("the forms of %s do not stand together", d.name)
		}
		names = append(names, d.name)
	}
	for _, f := range forms {
		for i, p := range f.body {
			if p.most == 0 && i < len(f.body)-1 || p.most > 0 && p.most < p.least || p.least == 0 || p.of == 0 {
				t.Errorf("%s %s%s: piece %d", f.detector, f.prefix, f.word, i)
			}
		}
	}
}
