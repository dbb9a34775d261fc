package jsonmask

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// customers is a document of about size bytes, with secrets.
func customers(size int) []byte {
	b := []byte(`{"data":[`)
	for i := 0; len(b) < size; i++ {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"id":%d,"name":"Customer Number %d","email":"customer%d@example.com","phone":"+49 30 %07d","password":"s3cret-%d-correct-horse","api_key":"tok_%016x","created_at":"2026-11-24T09:30:00Z","active":true,"balance":%d.25,"tags":["alpha","beta","gamma"],"address":{"street":"Long Street %d","city":"Berlin","zip":"10115","country":"DE"},"note":null}`,
			i, i, i, i, i, i, i*37, i)
	}
	return append(b, "]}\n"...)
}

func twentyRules(t testing.TB) []Field {
	paths := []string{"$..password", "$..api_key", "$.data[*].token", "$.data[*].address.secret", "$..keys[0]", "$.config.*.password"}
	for i := len(paths); i < 20; i++ {
		paths = append(paths, []string{fmt.Sprintf("$..secret_%d", i), fmt.Sprintf("$.data[*].token_%d", i), fmt.Sprintf("$.users[*].value_%d", i)}[i%3])
	}
	return fields(t, paths...)
}

// cheap looks at the bytes once, and finds nothing in ordinary text.
type cheap struct{}

func (cheap) Find(dst []Span, text []byte) []Span {
	if i := bytes.Index(text, []byte("sk_live_")); i >= 0 {
		dst = append(dst, Span{i, len(text)})
	}
	return dst
}

func BenchmarkJSON(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10, 10 << 20} {
		doc := customers(size)
		discard := func([]byte) error { return nil }
		run := func(name string, f func() error) {
			b.Run(fmt.Sprintf("%s/%dKB", name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(len(doc)))
				b.ReportAllocs()
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		view := func(fields []Field, f Finder) func() error {
			v := NewView(fields, f, nil)
			return func() error { return Copy(JSON, bytes.NewReader(doc), Output{v, discard}) }
		}
		run("jsontext", func() error {
			d := jsontext.NewDecoder(struct{ io.Reader }{bytes.NewReader(doc)}, jsontext.AllowDuplicateNames(true))
			for {
				if _, err := d.ReadToken(); errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return err
				}
			}
		})
		run("dead", view(fields(b, "$.other.token"), nil))
		run("rules=1", view(fields(b, "$..password"), nil))
		run("rules=20", view(twentyRules(b), nil))
		run("rules=20,finder", view(twentyRules(b), cheap{}))
	}
}

func BenchmarkFormats(b *testing.B) {
	view := NewView(twentyRules(b), cheap{}, nil)
	record := bytes.TrimSuffix(customers(20), []byte("\n"))
	for _, c := range []struct {
		name   string
		format Format
		part   string
	}{
		{"lines", Lines, string(record) + "\n"},
		{"events", Events, "event: customer\ndata: " + string(record) + "\n\n"},
		{"small_events", Events, "data: {\"choices\":[{\"delta\":{\"content\":\" word\"}}]}\n\n"},
		{"text", Text, "2026-11-24T09:30:00Z INFO some words of a log line, as they are written everywhere\n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			body := bytes.Repeat([]byte(c.part), (1<<20)/len(c.part))
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := Copy(c.format, bytes.NewReader(body), Output{view, func([]byte) error { return nil }}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
