package detect

import (
	"encoding/base64"
	"maps"
	"strings"
	"testing"
)

// No secret here is one: all are put together while the test runs, from pieces that no scanner takes for a secret.

// body gives n letters and digits without an order that a reader would look for.
func body(n int) string {
	const s = "q7Zk2mXw9RtY4uPv6sLd3nBf8hGj1cKe"
	return strings.Repeat(s, n/len(s)+1)[:n]
}

func hexBody(n int) string { return strings.Repeat("3f9a0c7e51b8d264", n/16+1)[:n] }

func encoded(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func token(header string) string {
	return encoded(header) + "." + encoded(`{"sub":"a"}`) + "." + body(43)
}

func key(label string) string {
	return "-----BEGIN " + label + "-----\n" + body(64) + "\n" + body(20) + "==\n-----END " + label + "-----"
}

const id16 = "QWERTYUI2345ASDF"

var (
	secret40  = body(38) + "/+"
	base64of  = func(n int) string { return base64.StdEncoding.EncodeToString([]byte(body(n))) }
	signature = base64of(32)
	urlSig    = strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(signature)
)

// samples are texts with the finds between « and ».
var samples = map[string]struct{ found, not []string }{
	"aws-access-key": {
		found: []string{
			"«" + "AKIA" + id16 + "»",
			`{"id":"«` + "ASIA" + id16 + `»"}`,
			"x «" + "ABIA" + id16 + "», «" + "ACCA" + id16 + "».",
			`\n«` + "AKIA" + id16 + `»\n`,
			"id%3D«" + "AKIA" + id16 + "»%26",
			"aws_secret_access_key = «" + secret40 + "»\n",
			`"SecretAccessKey": "«` + secret40 + `»",`,
			"export AWS_SECRET_KEY='«" + secret40 + "»'",
			"secret_access_key" + strings.Repeat(" ", awsGap) + "«" + secret40 + "»",
			"Access key ID,Secret access key\n«" + "AKIA" + id16 + "»,«" + secret40 + "»\n",
		},
		not: []string{
			"AKIA" + id16[1:],
			"AKIA" + id16 + "A",
			"xAKIA" + id16,
			"AKIA" + id16 + "_old",
			"AKIA" + strings.ToLower(id16),
			"AROA" + id16,
			"secret_access_key = " + secret40[1:],
			"secret_access_key = " + secret40 + "A",
			"secret_access_key = " + strings.Repeat("0a", 20), // a commit
			"secret access to the key " + secret40,
			"secret_access_key" + secret40,
			"secret_access_key =" + strings.Repeat(" ", awsGap) + secret40,
			"secret_access_key = " + secret40[:20] + "-" + secret40[:19],
			"secret_access_key = " + strings.Repeat("aB", 20),
			"secret_access_key" + strings.Repeat(" ", awsGap+1) + secret40,
			`"` + secret40 + `" ` + "AKIA" + id16[1:],
			secret40,
		},
	},
	"gcp-key": {
		found: []string{
			"«" + "AIza" + body(35) + "»",
			"https://maps.example.com/?key=«" + "AIza" + body(33) + "_-»&v=3",
		},
		not: []string{"AIza" + body(34), "AIza" + body(36), "bAIza" + body(35), "AIza" + body(34) + "+", "aiza" + body(35)},
	},
	"azure-key": {
		found: []string{
			"DefaultEndpointsProtocol=https;AccountName=a;AccountKey=«" + base64of(64) + "»;EndpointSuffix=core.example.net",
			"Endpoint=sb://a.example.net/;SharedAccessKeyName=Root;SharedAccessKey=«" + base64of(32) + "»",
			"https://a.example.net/b?sv=2026-01-01&se=2027&sr=b&sig=«" + urlSig + "»",
			"SharedAccessSignature sr=a&sig=«" + urlSig + "»&se=1&skn=Root",
			"?sv=1&sig=«" + signature + "»",
			`?sv=1\u0026sig=«` + urlSig + `»`,
		},
		not: []string{
			"AccountKey=" + base64of(63),
			"AccountKey=" + base64of(64)[:87],
			"AccountKey=" + base64of(64) + "=",
			"AccountKey=" + base64of(64) + "a",
			"MyAccountKey=" + base64of(64),
			"sig=" + urlSig[1:],
			"sig=a" + urlSig,
			"AccountKey=" + base64of(64)[:86] + "-=",
			"?sv=1&sig=%21" + signature[1:],
			"zsig=" + urlSig,
			"sig=" + urlSig + "x",
			"sig=" + strings.TrimSuffix(urlSig, "%3D") + "%3",
		},
	},
	"github-token": {
		found: []string{
			"«" + "ghp_" + body(36) + "»",
			"https://«" + "gho_" + body(36) + "»@github.example.com",
			"(«" + "ghu_" + body(40) + "»)",
			"token-«" + "ghr_" + body(76) + "»-x",
			"«" + "ghs_" + body(36) + "».",
			"%3D«" + "ghp_" + body(36) + "»", `\u003d«` + "ghp_" + body(36) + "»", `id\u003D«` + "ghp_" + body(36) + "»",
			"in some words «" + "ghp_" + body(251) + "»", "in some words «" + "github_pat_" + body(244) + "»",
			"«" + "ghs_" + body(36) + "»." + body(11), "«" + "ghs_" + body(36) + "." + body(12) + "»",
			"«" + "ghs_" + "1234_" + token(`{"alg":"RS256"}`) + "» end",
			"«" + "github_pat_" + body(22) + "_" + body(59) + "»",
		},
		not: []string{
			"ghp_" + body(35), "aghp_" + body(36), "ghx_" + body(36), "ghp_" + body(252), "ghp-" + body(36),
			"github_pat_" + body(22) + "_" + body(58), "github_pat_" + body(245), `id\u03d` + "ghp_" + body(36), `id\u0g3d` + "ghp_" + body(36), "id%3ghp_" + body(36), "my_github_pat_" + body(82),
		},
	},
	"gitlab-token": {
		found: []string{
			"«" + "glpat-" + body(20) + "»",
			"«" + "glpat-" + body(27) + ".01.0w1abcdef" + "»",
			"«" + "glpat-" + body(27) + ".0w1abcdef" + "»!",
			"«" + "glpat-" + body(20) + "». Then",
			"SIE-«" + "glrt-" + body(20) + "»",
			"«" + "gldt-" + body(20) + "»,«" + "glptt-" + hexBody(40) + "»,«" + "glcbt-" + "64_" + body(20) + "»",
			"«" + "glagent-" + body(50) + "»",
			"«" + "GR1348941" + body(20) + "»",
		},
		not: []string{"glpat-" + body(19), "aglpat-" + body(20), "glpat_" + body(20), "glxyz-" + body(20), "GLPAT-" + body(20)},
	},
	"slack-token": {
		found: []string{
			"«" + "xoxb-" + "123456789012-123456789012-" + body(24) + "»",
			"«" + "xoxp-" + "12345678901-" + body(32) + "»",
			"«" + "xoxe." + "xoxp-1-" + body(40) + "»",
			"«" + "xoxd-" + body(20) + "%2B" + body(8) + "%3D»",
			"«" + "xapp-" + "1-A0123456789-1234567890123-" + hexBody(64) + "»",
			"«" + "xoxb-" + body(slackLeast) + "»", "hooks.slack.com/services/«T0/B0/" + body(14) + "»",
			"https://hooks.slack.com/services/«" + "T01234567/B01234567/" + body(24) + "»",
			"https://hooks.slack.com/workflows/«" + "T01234567/A01234567/12345/" + body(24) + "»/ .",
		},
		not: []string{
			"xoxb-" + body(slackLeast-1), "hooks.slack.com/services/T0/B0/" + body(13), "xoxb-" + "1%zz" + body(20), "xoxb-" + "12345678901234", "axoxb-" + body(30), "xoxz-" + body(30), "xoxb-" + strings.Repeat("word-", 8),
			"hooks.slack.com/services/" + "T01234567", "hooks.slack.com/help/T01234567/B01234567/" + body(24),
			"hooks.slack.com/services/" + body(30),
		},
	},
	"stripe-key": {
		found: []string{
			"«" + "sk_live_" + body(24) + "»",
			"«" + "rk_live_" + body(99) + "»",
			`"«` + "sk_test_" + body(24) + `»"`,
			"«" + "rk_test_" + body(24) + "»;«" + "whsec_" + body(32) + "»",
			"«" + "whsec_" + base64of(25) + "»",
			"«" + "sk_live_" + body(stripeLeast) + "»", "«" + "whsec_" + body(stripeHookLeast) + "»",
		},
		not: []string{
			"sk_live_" + body(15), "ask_live_" + body(24), "sk_live_" + body(24) + "_x", "pk_live_" + body(24),
			"SK_LIVE_" + body(24), "whsec_" + body(23), "task_sk_live_" + body(24),
		},
	},
	"jwt": {
		found: []string{
			"«" + token(`{"alg":"HS256","typ":"JWT"}`) + "»",
			"id_token=«" + token(`{"typ":"JWT","alg":"RS256"}`) + "»&state=a",
			"«" + token("{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}") + "»",
			"«" + token("{\n  \"kid\":\"a\", \"alg\" : \"ES256\"}") + "»",
			"«" + token("{\r\n\"alg\":\"ES256\"}") + "».",
			"«" + token(`{ "jwk":{"n":["alg"]},"alg":"ES256"}`) + "»",
			"«" + token(`{"x5c":["`+body(9000)+`"],"alg":"ES256"}`) + "»",
			"«" + encoded(`{"alg":"dir","enc":"A128GCM"}`) + ".." + body(16) + "." + body(40) + "." + body(22) + "»",
			"«" + encoded(`{"alg":"RSA-OAEP","enc":"A128GCM"}`) + "." + body(342) + "." + body(16) + "." + body(40) + "." + body(22) + "»",
			`\"«` + token(`{"alg":"HS256"}`) + `»\"`,
			"«" + token(`{"kid":"\"a\\","alg":"HS256"} `) + "»",
			"t%3D«" + token(`{"alg":"HS256"}`) + "»",
			"«" + token(`{"alg":"HS256"}`) + "»..x", "«" + token(`{"alg":"HS256"}`) + "».x.", "«" + token(`{"kid":"a b","n":1,"alg":"HS256"}`) + "»",
		},
		not: []string{
			token(`{"typ":"JWT"}`), token(`{"a":{"alg":"HS256"}}`), token(`{"a":"alg"}`), token(`{"algo":"HS256"}`),
			token(`{"alg":"HS256"`), token(`{"alg":"HS256"} x`), token(`{"alg":"HS256"]`) + "=",
			encoded(`{"alg":"HS256"}`) + "." + encoded(`{"sub":"a"}`),
			encoded(`{"alg":"HS256"}`) + ".." + body(43),
			encoded(`{"alg":"none"}`) + "." + encoded(`{"sub":"a"}`) + ".",
			"a" + token(`{"alg":"HS256"}`),
			"a-" + token(`{"alg":"HS256"}`),
			token(`{"alg\u0067":"ES256"}`), token(`{"\al":"ES256"}`), token(`{"a":1}]`), "e" + token(`["alg"]`),
			token("{\"alg\":\"HS256\x01\"}"), token("{\x01\"alg\":\"HS256\"}"), token(`{"alg`), token("{\n {\"alg\":\"HS256\"}}"), token(`{"alg":é}`),
		},
	},
	"pem": {
		found: []string{
			"«" + key("PRIVATE KEY") + "»",
			"a\n«" + key("RSA PRIVATE KEY") + "»\nb",
			"«" + key("EC PRIVATE KEY") + "»\n«" + key("OPENSSH PRIVATE KEY") + "»",
			"«" + key("ENCRYPTED PRIVATE KEY") + "»" + key("CERTIFICATE"),
			"«" + key("PGP PRIVATE KEY BLOCK") + "»",
			`"private_key":"«` + strings.ReplaceAll(key("PRIVATE KEY"), "\n", `\n`) + `»\n"`,
			"«" + "-----BEGIN " + "PRIVATE KEY-----\nMII»",
			"«" + "-----BEGIN " + "PRIVATE KEY-----" + "-----END PRIVATE KEY-----» x", "«" + key(strings.Repeat("A", pemLabel-11)+" PRIVATE KEY") + "» x",
			"«" + "-----BEGIN " + "PRIVATE KEY-----\nMII-----END CERTIFICATE-----\n-----END PRIVATE KE»",
		},
		not: []string{
			key("PUBLIC KEY"), key("CERTIFICATE"), "-----BEGIN " + "PRIVATE KEY", "-----BEGIN " + "PRIVATE KEYS-----",
			"-----BEGIN " + strings.Repeat("A", 80) + " PRIVATE KEY-----", key(strings.Repeat("A", pemLabel-10) + " PRIVATE KEY"), "-----END " + "PRIVATE KEY-----", "BEGIN PRIVATE KEY",
		},
	},
	"connection-string": {
		found: []string{
			"postgres://app:«s3cret»@db.internal:5432/orders", "a://:«p»@h", "pwd=«p» host=h",
			"redis://:«s3cret»@localhost:6379/0",
			"jdbc:mysql://root:«a%40b»@h/db",
			"mongodb+srv://u:«p@ss:w?rd#»@a.example.net,b.example.net/x",
			`"amqp://u:«it's»@h","x@y"`,
			"https://u:«p»@h?mail=a", "https://u:«p@h?mail=a»@b",
			"https://u:«8080x»@h",
			"Server=db;Database=x;User Id=sa;Password=«my p=ss word»;Encrypt=true",
			"Password = «s3cret» ; Data Source = db",
			"Password=«my secret»;Server=db",
			"password=«a» host=b; c",
			"Server=db;Uid=u;Pwd='«a;b»'",
			"host=h user=u password=«s3;cret» dbname=d",
			"host=h user=u password='«it\\'s a secret»' dbname=d",
			"Server=db;Pwd=\"«say \"\"it\"\" now»\";",
			"host=h password=«'open» and on",
			`"Server=db;Password=«my secret» ","x"`, "Password=«my» secret\",Server=db",
			"https://u:«123456»@h", "https://u:«123456?a»@h", "https://u:«ab?c»@h",
			"psql \"host=h password=«s3cret»\" -c x",
			"cache:6379,password=«s3cret»,ssl=True",
			"jdbc:postgresql://h/db?user=u&password=«s3cret»&ssl=true",
			"username=\"u\" password=\"«s3cret»\";",
			"user=u\npassword=«s3cret»\nhost=h",
			"host=h sslpassword=«s3cret»",
			"host=h\npassword=«a» b",
			"Driver=x;Server=h;Pwd=«{a b}»", "postgres://ro@db.example/app?password=«hunter2x»", "/login?user=a&pwd=«x»&next=/", "?sslpassword=«s3cret»#x", "grant_type=password&password=«a%26b»&x=1",
			"https://h/?passwd=«s3cret»", "?db_password=«$ecret!»", "mysql://u:«p»@h/db?passphrase=«open»",
			"postgres://user:«a/b»@host/db", "amqp://u:«p/w/x»@h:5672/v", "redis://:«a/b»@h", "https://user:«a<b>c»@h", "https://user:«a\\zb»@h", "postgres://u:«a?b/c»@h",
			"https://u:«x/abc»@h",
			"https://u:«a/" + body(126) + "»@h", "postgres://app:«${}»@db", "postgres://app:«{{}}»@db", "postgres://app:«{{a»@db", "postgres://app:«x{a}»@db",
			"postgres://app:«" + strings.Repeat("*", 65) + "»@db", "host=h password=«<>»", "host=h password=«<a»", "host=h password=«a>»",
			"postgres://app:«${a»@db", "postgres://app:«$a}»@db", "postgres://app:«{a}»@db",
			"host=h password=" + strings.Repeat(" ", pairBlanks) + "«p»", "password=«=x» host=h", "password=«a» x=1 y=2 z=3 host=h", "host =h password=«x»",
			"host" + strings.Repeat(" ", pairBlanks) + "=h password=«x»", "host=h password='«" + body(pairLongest-1) + "»'", "host=h password=«'" + body(pairLongest) + "»'",
			"Server=db; Password=«my secret»;Encrypt=true", "host=h password='«" + strings.Repeat("word ", 48) + "end»' x",
			"Server=db;Password=«" + strings.Repeat("word ", 48) + "end»;x", "Server=db\nPassword=«" + strings.Repeat("word ", 48) + "end»;x", "cache:6379,ssl=True,password=«a=b»", "cache:6379,ssl=True,password=«a,b»",
			"Server=db\nPassword=«my " + body(pairLongest-3) + "»;x", "Server=db\nPassword=«my» " + body(pairLongest-2) + ";x", "host=h\npassword=«" + body(pairLongest+50) + "»",
			"port=1,password=«a»," + body(32) + "=1", "port=1,password=«a," + body(33) + "=1»", "port=1,password=«a,=b»", "?password=«{}»",
			"Server=db;Password=«" + strings.Repeat("a", 100) + "» " + strings.Repeat("b ", 200),
		},
		not: []string{
			"postgres://app@db.internal/orders", "http://localhost:8080/?mail=a@b", "http://localhost:8080?mail=a@b",
			"https://example.com", "git+ssh://git@github.example.com:org/repo", "http://[::1]:80/", "https://h:/a@b",
			"postgres://app:@db", "://u:p@h", " ://u:p@h", "http://h:80, bob@example.com", `{"a":"http://h:80","b":"x@y"}`,
			"postgres://app:[masked]@db", "postgres://app:${PASSWORD}@db", "postgres://app:{{ .Password }}@db",
			"postgres://app:<password>@db", "postgres://app:*****@db", "postgres://app:xxxxx@db",
			"password=s3cret", "the field password=required", "host=h password=", "host=h password= ", "host=h password=''",
			"host=h mypassword=s3cret", "host=h passwords=s3cret", "ahost=h password=s3cret", "host: h password=s3cret",
			"host=h password=[masked] dbname=d", "host=h password=**** dbname=d", "=password=a",
			"http://h:8080/?mail=a@b", "https://npm.example:4873/@scope/pkg@1.0", "https://example.com/a:b@c", "http://[::1]:80/@a", "http://h:x/redirect?to=https://a@b",
			"ssh://git@h:org/repo@v1", "see http://a:b\nand x@y", "https://h:443/" + body(20) + "/@user", "http://a:b c@d", "https://h:x/" + strings.Repeat("y", 200) + "@z", "?password={password}", "?password=", "?passwordless=true",
			"host=h" + strings.Repeat(" ", 300) + "password=s3cret", "https://u@h:p@x",
			"host=h password=" + strings.Repeat(" ", pairBlanks+1) + "p", "host" + strings.Repeat(" ", pairBlanks+1) + "=h password=x",
			"https://u:a/" + body(127) + "@h", "https://u:xy\\nb@c", "https://u:xy<-b@h", `["https://h:xy","a@b"]`, `"https://h:xy"@b`, "http://h:65535/?mail=a@b",
			"postgres://app:" + strings.Repeat("*", 64) + "@db", "postgres://app:{{.Password}}@db", "host=h password=<password>",
		},
	},
	"card-number": {
		found: []string{
			"«4111111111111111»", "card: «4111 1111 1111 1111», exp 12/29", "«4111-1111-1111-1111»",
			`{"card_number":«5555555555554444»}`, "«2223003122003222»", "«378282246310005»", "«3782 822463 10005»",
			"«6011111111111117»", "«3530111333300000»", "«30569309025904»", "«6200000000000005»", "«4222222222222»",
			"«4000000000000000006»", "«4111111111111111» 12 29", "29 «4111111111111111»", "n=«4111111111111111».",
			`\n«4111111111111111»\n`, "card%3D«4111111111111111»", "card%20«4111111111111111»%20",
			"«4111111111111111» «5555555555554444»", "ünï«4111111111111111»ä",
			"order-«4111111111111111»", "«6759649826438453»",
			"«4111  1111  1111  1111»", "«4111.1111.1111.1111»", "«4111\u20111111\u20111111\u20111111»", "«4111\u00a01111\u00a01111\u00a01111».", "«4111\u20131111\u20131111\u20131111»",
			"«3782\u2009822463\u200910005»", "«4111 - 1111 - 1111 - 1111»", "x\u3000«4111\t1111\t1111\t1111»", "«4111\u00a0\u00a01111\u00a0\u00a01111\u00a0\u00a01111»", "«3782..822463..10005»",
			"«4111111111111111»\xc2", "«4111111111111111»\xe2", "«4111111111111111»\xe2\x80", "«4111 1111 1111 1111»\xe2\x80",
			"«41 11 11 11 11 11 11 11»", "«4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1»", "«41111111-1111-1111»", "«41111111-1111-1111» and on and on and on", "a «41111111-1111-1111»-1111-11111111111",
		},
		not: []string{
			"4111111111111112", "411111111111111", "41111111111111111", "84111111111111111", "4111111111111111a", "a4111111111111111",
			"4111111111111111_1", "4111 1111-1111 1111", "4111  1111 1111  1111", "4111    1111    1111    1111", "41111111 1111 111",
			"41.11.11.11.11.11.11.11", "4  1  1  1  1  1  1  1  1  1  1  1  1  1  1  1", "4111,1111,1111,1111", "4111\n1111\n1111\n1111", "4111.1111.1111.11.11", "4111/1111/1111/1111",
			"1111111111111117", "0.4111111111111111", "4111111111111111.5", "+4222222222222", "0000000000000000",
			"41111111-1111-1111-a716-446655440000", "446655aa-aaaa-4aaa-4111-111111111111", "378282246310006", "3782 8224 6310",
			strings.Repeat("4111111111111111", 2), "2026-11-02 10:11:12", "1762041600000", "4111111111111111e5",
		},
	},
	"openai-key": {
		found: []string{
			"«" + "sk-" + body(20) + "T3Blbk" + "FJ" + body(20) + "»", "key:«" + "sk-" + hexBody(32) + "»",
			"«" + "sk-proj-" + body(openaiNamedLeast) + "»",
			"«" + "sk-proj-" + body(74) + "-" + body(80) + "»", "«" + "sk-svcacct-" + body(48) + "_»", "--«" + "sk-admin-" + body(60) + "»",
		},
		not: []string{
			"sk-" + body(31), "task-" + body(48), "sk-" + strings.Repeat("abcd", 12), "sk-proj-" + body(39), "sk-" + body(40) + "-x",
			"sk-proj-" + strings.Repeat("word-", 10), "sk-ant-" + "api03-" + body(93) + "AA", "SK-" + body(48),
		},
	},
	"anthropic-key": {
		found: []string{
			"«" + "sk-ant-" + "api03-" + body(50) + "_-" + body(41) + "AA»", "x-api-key: «" + "sk-ant-" + "admin01-" + body(95) + "»",
			"«" + "sk-ant-" + body(anthropicLeast) + "»", "CLAUDE='«" + "sk-ant-" + "oat01-" + body(95) + "»'",
		},
		not: []string{"sk-ant-" + body(31), "task-ant-" + body(95), "sk-ant-" + strings.Repeat("word-", 20), "sk_ant_" + body(95)},
	},
	"google-oauth": {
		found: []string{
			"«" + "ya29." + body(120) + "».", "«" + "ya29." + "c.b0" + body(200) + "»", "«" + "GOCSPX-" + body(28) + "»",
			"\"«" + "1//" + "0g" + body(60) + "»\"",
		},
		not: []string{"ya29." + body(19), "ya29." + strings.Repeat(".", 40), "aya29." + body(40), "GOCSPX-" + body(27), "GOCSPX-" + body(29), "1//" + body(39), "11//" + body(60)},
	},
	"npm-token": {
		found: []string{"//registry.example.com/:_authToken=«" + "npm_" + body(36) + "»"},
		not:   []string{"npm_" + body(35), "npm_" + body(37), "xnpm_" + body(36), "npm_config_registry"},
	},
	"sendgrid-key": {
		found: []string{"«" + "SG." + body(22) + "." + body(43) + "»", "k=«" + "SG." + body(20) + "_-." + body(41) + "_-»;"},
		not: []string{
			"SG." + body(21) + "." + body(43), "SG." + body(22) + "." + body(42), "SG." + body(22) + "." + body(44), "MSG." + body(22) + "." + body(43),
			"SG." + body(22) + "-" + body(43), "SG." + body(21) + "+." + body(43), "SG." + body(22),
		},
	},
	"twilio-key": {
		found: []string{
			"TWILIO_API_KEY=«" + "SK" + hexBody(32) + "»", "«" + "SK" + hexBody(32) + "» is for twilio",
			"AC" + hexBody(32) + " «" + "SK" + hexBody(32) + "»",
		},
		not: []string{
			"SK" + hexBody(32), "twilio SK" + hexBody(31), "twilio SK" + hexBody(33), "twilio TASK" + hexBody(32), "AC SK" + hexBody(32),
			"twilio" + strings.Repeat(" ", 128) + "SK" + hexBody(32), "twilio SK" + strings.ToUpper(hexBody(32)),
		},
	},
	"url-token": {
		found: []string{
			"https://a.example/x?token=«abcdef1»&y=1", "/cb#access_token=«" + body(24) + "»", "?api_key=«" + body(20) + "»", "?a=1&apikey=«" + body(20) + "» HTTP/1.1",
			"https://h/?X-Amz-Signature=«" + hexBody(64) + "»\n", "a&amp;client_secret=«s3cr!t$x»\" b", `?x=1\u0026refresh_token=«` + body(20) + `»\u0026y=2`,
			"?token=«abcde1»", "?" + strings.Repeat("x", queryNameMost) + "token=«abcdef1»", "%26token=«abcdef1»", "%3Ftoken=«abcdef1»", `\u003ftoken=«abcdef1»`,
			"(/x?auth_key=«abcdef1»)", "?secret=«%41bcdef»", "/a%3Fx%3D1%26token=«abcdef1»",
		},
		not: []string{
			"?page_token=" + body(20), "?nextPageToken=" + body(20), "?continuation-token=" + body(20), "?token=short", "token=" + body(20), "?token={token}",
			"?token=abcd1", "?" + strings.Repeat("x", queryNameMost+1) + "token=abcdef1", "%27token=abcdef1", "%3Etoken=abcdef1", `\u0027token=abcdef1`,
			"?token=", "?token=${TOKEN}", "; token=" + body(20), "?tokens=" + body(20), "?token=[masked]", "?csrftokenx=abcdefgh",
		},
	},
	"authorization": {
		found: []string{
			"Authorization: Bearer «" + body(24) + "»", "authorization: bearer «a1b2c3d4»\r\n", `-H 'Authorization: Bearer «` + body(20) + `~+/==»'`,
			`{"Authorization":["Bearer «` + body(24) + `»"]}`, "HTTP_AUTHORIZATION=Basic «" + base64.StdEncoding.EncodeToString([]byte("user:pass")) + "»",
			"Authorization: Bearer" + strings.Repeat("\t", authorizationGap) + "«" + body(24) + "»", "Authorization" + strings.Repeat(" ", authorizationGap) + "Bearer «" + body(24) + "»",
			"Authorization: Bearer «" + strings.Repeat("a", bearerWord) + "»", "Authorization: Bearer «" + body(bearerLeast) + "»",
			"Authorization: Basic «" + base64.StdEncoding.EncodeToString([]byte(body(150)+":p")) + "»",
			"authorization: basic «" + base64.StdEncoding.EncodeToString([]byte("\xfb\xff\xbf\xfb:p")) + "»",
			"Proxy-Authorization: BASIC «" + base64.StdEncoding.EncodeToString([]byte("u:p")) + "»",
		},
		not: []string{
			"Authorization: Bearer token", "Authorization: Bearer <token>", "Authorization: Bearer authentication", "Authorization: Bearer [masked]",
			"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("no colon")), "Authorization: Bearer", "Authorization Bearer: " + body(24),
			"Authorization: Digest " + body(24), "Bearer " + body(24), "Authorization: Bearer" + body(24), "Authorization" + "Bearer " + body(24),
			"Authorization: Basic authentication is off",
			"Authorization: Bearer" + strings.Repeat(" ", authorizationGap+1) + body(24), "Authorization" + strings.Repeat(" ", authorizationGap+1) + "Bearer " + body(24),
			"Authorization: Bearer " + strings.Repeat("a", bearerWord-1), "Authorization: Bearer " + body(bearerLeast-1),
		},
	},
}

// allSamples are those, and those of the table.
func allSamples() map[string]struct{ found, not []string } {
	all := maps.Clone(samples)
	maps.Copy(all, formSamples)
	return all
}

// unmark takes « and » out of a sample and gives the spans between them.
func unmark(t *testing.T, name, sample string) (string, []Span) {
	t.Helper()
	var (
		text  strings.Builder
		spans []Span
	)
	for {
		before, rest, more := strings.Cut(sample, "«")
		text.WriteString(before)
		if !more {
			return text.String(), spans
		}
		find, behind, closed := strings.Cut(rest, "»")
		if !closed {
			t.Fatalf("» is missing in a sample of %s", name)
		}
		spans = append(spans, Span{Start: text.Len(), End: text.Len() + len(find), Name: name})
		text.WriteString(find)
		sample = behind
	}
}
