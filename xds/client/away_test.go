package client_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/xds/client"
)

// spoken is a log that can be read while it is written.
type spoken struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *spoken) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *spoken) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.b.Bytes())
}

// TestWhenItIsTriedAgainIsSaidWithItsUnit: 912354793 is a number of nobody knows what.
func TestWhenItIsTriedAgainIsSaidWithItsUnit(t *testing.T) {
	log := &spoken{}
	c, err := client.New(t.Context(), client.Options{
		Socket: &configv1.Socket{Address: &configv1.Socket_Unix{Unix: filepath.Join(t.TempDir(), "none")}}, NodeID: "p1", Apply: policies.Compile,
		Logger: slog.New(slog.NewJSONHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	said := regexp.MustCompile(`"msg":"the control plane is away".*"retry_after":"[0-9.]+m?s"`)
	for end := time.Now().Add(10 * time.Second); !said.Match(log.bytes()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s", log.bytes())
		}
	}
}
