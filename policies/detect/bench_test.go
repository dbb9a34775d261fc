package detect

import (
	"fmt"
	"strings"
	"testing"
)

// ordinaryJSON is an answer of an API without secrets: names, URLs, UUIDs, times, numbers, prose.
func ordinaryJSON(size int) []byte {
	var b strings.Builder
	b.WriteByte('[')
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"uuid":"7d44%04x-9dc0-4ad1-b245-5f%010x","name":"Customer Number %d","email":"c%d@example.com",`+
			`"created_at":"2026-11-%02dT12:%02d:07.123456Z","total":%d.%02d,"balance":0.4532%012d,"active":true,`+
			`"avatar_url":"https://cdn.example.com/avatars/%d/large.png?size=200&v=%d","phone":"+49 30 %07d",`+
			`"organization":{"id":%d,"slug":"works-marked-task-%d","site_admin":false,"type":"Organization"},`+
			`"note":"The parcel was sent back, since nobody answered; asked again on Monday. Risk is low."}`,
			100000+i, i&0xffff, i, i, i, i%28+1, i%60, i*7%9999, i%100, i*31, i, i%9, i*13, 7000000+i, i)
	}
	b.WriteByte(']')
	return []byte(b.String())
}

func BenchmarkFind(b *testing.B) {
	const size = 1 << 20
	fill := func(s string) []byte { return []byte(strings.Repeat(s, size/len(s))) }
	all, err := New([]string{"*"})
	if err != nil {
		b.Fatal(err)
	}
	for _, text := range []struct {
		name string
		text []byte
	}{
		{"ordinary/json", ordinaryJSON(size)},
		{"ordinary/value", []byte("The parcel was sent back, since")},
		{"ordinary/digits", fill("8")},
		{"ordinary/base64", fill("q7Zk2mXw9RtY4uPv6sLd3nBf8hGj1cKe")},
		{"hostile/stripe", fill("sk_live_")},
		{"hostile/openai", fill("sk-")},
		{"hostile/named", fill("sk-proj-")},
		{"hostile/jwt", fill("eyJhbGciOiJ9.")},
		{"hostile/slack", fill("xoxb-%AB")},
		{"hostile/pem", fill("-----BEGIN PRIVATE KEY-----")},
		{"hostile/pairs", fill("password=a ")},
		{"hostile/placeholder", fill("host=a password=<")},
		{"hostile/url", fill("a://b:")},
		{"hostile/single-digits", fill("4 0 ")},
		{"hostile/card-prefixes", fill("4111 ")},
		{"hostile/twilio", fill("SK0123456789abcdef0123456789abcdefAtAt")},
		{"hostile/authorization", fill("authorization: bearer ")},
	} {
		b.Run(text.name, func(b *testing.B) {
			b.SetBytes(int64(len(text.text)))
			b.ReportAllocs()
			dst := make([]Span, 0, size/8)
			for b.Loop() {
				dst = all.Find(dst[:0], text.text)
			}
		})
	}
}
