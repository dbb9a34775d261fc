package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	// secret begins each value that a path names; detectable is one that no path names.
	secret     = "s3cret-"
	detectable = "ghp_a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2"
)

// sizes are the bodies of the service, in bytes, by name.
var sizes = []struct {
	name  string
	bytes int
}{{"1k", 1 << 10}, {"100k", 100 << 10}, {"10m", 10 << 20}}

// document is JSON of about a size: customers with secrets, and one secret in a note.
func document(size int) []byte {
	b := fmt.Appendf(make([]byte, 0, size+1024), `{"note":"rotated, see %s","data":[`, detectable)
	for i := 0; i == 0 || len(b)+350 < size; i++ {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, customer(i)...)
	}
	return append(b, "]}\n"...)
}

func customer(i int) []byte {
	return fmt.Appendf(nil, `{"id":%d,"name":"Customer Number %d","email":"customer%d@example.com","phone":"+49 30 %07d",`+
		`"password":"%s%d-correct-horse","api_key":"tok_%016x","created_at":"2026-11-24T09:30:00Z","active":true,`+
		`"balance":%d.25,"tags":["alpha","beta","gamma"],"address":{"street":"Long Street %d","city":"Berlin","zip":"10115",`+
		`"country":"DE"},"note":null}`, i, i, i, i, secret, i, i*37, i, i)
}

// serveService is an API with fixed answers, as fast as net/http can be.
func serveService(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	for _, s := range sizes {
		body := document(s.bytes)
		mux.HandleFunc("GET /body/"+s.name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body) // who does not hear it has gone
		})
	}
	mux.HandleFunc("GET /large", large)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := context.AfterFunc(ctx, func() { _ = server.Close() }) // its error is of no use: the process ends
	defer ended()
	if err := server.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

// large is one document of as many megabytes as are asked for.
func large(w http.ResponseWriter, r *http.Request) {
	megabytes, err := strconv.Atoi(r.URL.Query().Get("mb"))
	if err != nil {
		http.Error(w, "mb is needed", http.StatusBadRequest)
		return
	}
	var block []byte
	for i := 0; len(block) < 256<<10; i++ {
		block = append(append(block, customer(i)...), ',')
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write([]byte(`{"data":[`)); err != nil {
		return
	}
	for sent := 0; sent < megabytes*1_000_000; sent += len(block) {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
	_, _ = w.Write([]byte("null]}\n")) // who does not hear it has gone
}
