package httpmask

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/policies/jsonmask"
)

// BenchmarkMasking is what a body of 1 MB of JSON costs with 20 paths, and with all detectors on top.
func BenchmarkMasking(b *testing.B) {
	body := []byte(`{"data":[`)
	for i := 0; len(body) < 1<<20; i++ {
		if i > 0 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `{"id":%d,"name":"Customer Number %d","email":"customer%d@example.com","phone":"+49 30 %07d","password":"s3cret-%d-correct-horse","api_key":"tok_%016x","created_at":"2026-11-24T09:30:00Z","active":true,"balance":%d.25,"tags":["alpha","beta","gamma"],"address":{"street":"Long Street %d","city":"Berlin","zip":"10115","country":"DE"},"note":null}`,
			i, i, i, i, i, i, i*37, i)
	}
	body = append(body, "]}"...)
	paths := `paths: ["$..password", "$..api_key"`
	for i := range 18 {
		paths += fmt.Sprintf(`, "$.data[*].secret_%d"`, i)
	}
	for name, mask := range map[string]string{"paths": "", "paths+detect": `, detect: ["*"]`} {
		p, err := compile(b, strings.Replace(bundle, "- name: orders", "- name: bench\n  listener: {address: 127.0.0.1, port: 9, allow_plaintext: true}\n  http: {endpoints: [{host: 127.0.0.1, port: 8080}]}\n  credential: {bearer: {token: {env: T}}}\n- name: orders", 1)+"- {name: bench, on: {targets: [bench]}, "+paths+"]"+mask+", redact: {}}\n")
		if err != nil {
			b.Fatal(err)
		}
		v, err := NewView(p.Masks(nil, "bench"))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := jsonmask.Copy(jsonmask.JSON, bytes.NewReader(body), jsonmask.Output{View: v.Body(), Write: func([]byte) error { return nil }}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
