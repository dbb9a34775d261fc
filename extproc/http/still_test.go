package http_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestAStreamEndsWithWhatLetItGoOn: between two events, before the first, and while the service says nothing.
func TestAStreamEndsWithWhatLetItGoOn(t *testing.T) {
	for name, begin := range map[string]func(e *envoy){
		"between two events": func(e *envoy) {
			e.respond(false, ":status= 200", "content-type= text/event-stream")
			e.chunk("data: {\"a\":1}\n\n", false)
		},
		"before the first": func(e *envoy) { e.respond(false, ":status= 200", "content-type= text/event-stream") },
		"before an answer": func(*envoy) {},
		"in a long string": func(e *envoy) {
			e.respond(false, ":status= 200", "content-type= application/json")
			e.chunk(`{"a":"`+strings.Repeat("x", 1000), false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var over atomic.Bool
			e := dial(t, options{still: func() error {
				if over.Load() {
					return errors.New("the token ended")
				}
				return nil
			}})
			e.ask("t-1")
			begin(e)
			over.Store(true)
			began := time.Now()
			for {
				if _, err := e.stream.Recv(); err != nil {
					break
				}
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("it went on for %v", took)
			}
			if o := e.tape.outcome(); o == nil || o.GetMessage() != "the token ended" {
				t.Errorf("recorded: %v", o)
			}
		})
	}
}
