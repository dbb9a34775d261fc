package main

import (
	"io"
	"net/http"
	"time"
)

const (
	// bodyPause is how long a caller may send nothing while it sends a body, bodyTime how long a body may take in all.
	bodyPause = 10 * time.Second
	bodyTime  = time.Minute
)

// pacedBody ends a body that does not arrive: it would hold what was read of it for as long as the caller likes.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
	pause   time.Duration
	until   time.Time
}

// paced bounds how long the body of a request may take. The request is a copy of the server's, which keeps its own body.
func paced(w http.ResponseWriter, r *http.Request, pause, whole time.Duration) *http.Request {
	if r.Body == nil || r.Body == http.NoBody {
		return r
	}
	r.Body = &pacedBody{ReadCloser: r.Body, control: http.NewResponseController(w), pause: pause, until: time.Now().Add(whole)}
	return r
}

// Read implements io.Reader.
func (b *pacedBody) Read(p []byte) (int, error) {
	deadline := time.Now().Add(b.pause)
	if b.until.Before(deadline) {
		deadline = b.until
	}
	_ = b.control.SetReadDeadline(deadline) // where there is none to set, nothing is slow: tests
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		// What is behind the body is not of the body: a stream of answers may go on for long.
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
