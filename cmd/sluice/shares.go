package main

import (
	"fmt"
	"net/http"
	"sync"

	"connectrpc.com/connect"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
)

// What one caller of an API may have at once, and all: whoever has a token could hold all memory and files otherwise. The
// bounds of all leave memory for the data path, which goes through the same process.
const (
	connectionsEach, connectionsAll = 64, 4096
	callsEach, callsAll             = 16, 1024
	explainsEach, explainsAll       = 4, 32 // of up to maxExplain bytes
)

// shares bound how much of something callers have at once. Once half of all is taken, who has much gets no more: an eighth of
// each one's share is left to everybody for longer.
type shares struct {
	what      string
	each, all int

	mu   sync.Mutex
	by   map[string]int
	used int
}

func newShares(what string, each, all int) *shares {
	return &shares{what: what, each: each, all: all, by: map[string]int{}}
}

// take gives a caller one more. Whoever got it gives it back.
func (s *shares) take(who string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch n := s.by[who]; {
	case n >= s.each:
		return fmt.Errorf("you have %d %s, which is the most that one caller may have: end some first", n, s.what)
	case s.used >= s.all, s.used >= s.all/2 && n >= max(1, s.each/8):
		return fmt.Errorf("all callers have %d %s, of at most %d: try again later", s.used, s.what, s.all)
	}
	s.by[who]++
	s.used++
	return nil
}

func (s *shares) give(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	if s.by[who]--; s.by[who] == 0 {
		delete(s.by, who)
	}
}

// middleware lets a call through while its caller has a share left.
func (s *shares) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := callerOf(r.Context())
		if err != nil {
			refuseCall(w, r, err)
			return
		}
		key := callerName(who)
		if err := s.take(key); err != nil {
			refuseCall(w, r, connect.NewError(connect.CodeResourceExhausted, err))
			return
		}
		defer s.give(key)
		next.ServeHTTP(w, r)
	})
}

// refuseCall answers a call without reading its body.
func refuseCall(w http.ResponseWriter, r *http.Request, err error) {
	if r.ProtoMajor < 2 { // else the stream ends alone
		unread(w)
	}
	if errs := connect.NewErrorWriter(); errs.IsSupported(r) {
		_ = errs.Write(w, r, err) // the caller may be gone
		return
	}
	status := http.StatusTooManyRequests
	if connect.CodeOf(err) != connect.CodeResourceExhausted {
		status = http.StatusUnauthorized
	}
	http.Error(w, err.Error(), status)
}

// callerName is who calls, for counts: nobody else has it.
func callerName(who *identityv1.Principal) string {
	return who.GetIssuerUrl() + "\n" + who.GetSubject()
}
