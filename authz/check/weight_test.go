package check

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/sluicegate/sluice/authz/identity"
)

const typed = "content-type: application/json"

func TestLargeBodiesAreReadInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeights(2)
		var now, most, done atomic.Int32
		step := func() {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Second)
			now.Add(-1)
			done.Add(1)
		}
		for range 5 {
			go w.read(t.Context(), "a", smallBody+1, step)
		}
		synctest.Wait()
		if w.read(t.Context(), "a", smallBody, func() {}); done.Load() != 0 {
			t.Error("a small body waited for a large one")
		}
		if !w.pose(t.Context(), "a", smallBody+1, func() {}) || done.Load() != 0 {
			t.Error("what is put before people waited for what is read")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if w.read(ctx, "a", smallBody+1, func() { t.Error("read") }) {
			t.Error("it was read when nobody waited any more")
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if most.Load() != 1 || done.Load() != 5 {
			t.Errorf("%d at once, %d in all", most.Load(), done.Load())
		}
	})
}

// A few bytes may come to megabytes.
func TestACompressedBodyIsReadInTurnHoweverSmallItIs(t *testing.T) {
	f := open(t)
	for f.weights.reading.free > 0 {
		f.weights.reading.take(t.Context(), "another")
	}
	for encoding, waits := range map[string]bool{"": false, " identity": false, "gzip": true, "X-GZIP": true, "br": true} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		body := zipped(strings.Repeat("a%&", maxUnpacked/8))
		if len(body) > smallBody {
			t.Fatalf("%d bytes", len(body))
		}
		_, err := f.Check(ctx, withBody(ask("api", "GET", "/customers/7", good, "content-type: text/csv", "content-encoding: "+encoding), body))
		if waited := err != nil; waited != waits {
			t.Errorf("%q: %v", encoding, err)
		}
		cancel()
	}
}

func TestWhoSendsManyLargeBodiesDelaysOthersByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeights(2)
		step := func() { time.Sleep(time.Second) }
		for range 30 {
			go w.read(t.Context(), "greedy", smallBody+1, step)
		}
		synctest.Wait()
		gone, cancel := context.WithCancel(t.Context())
		go w.read(gone, "gone", smallBody+1, func() { t.Error("read for somebody who went away") })
		synctest.Wait()
		cancel()
		synctest.Wait()
		began := time.Now()
		for _, who := range []string{"one", "two"} {
			if !w.read(t.Context(), who, smallBody+1, step) {
				t.Error("not read")
			}
		}
		if took := time.Since(began); took > 6*time.Second { // the one under way, the next in turn, and their own
			t.Errorf("two others' took %v", took)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		w.reading.mu.Lock()
		defer w.reading.mu.Unlock()
		if w.reading.free != 1 || len(w.reading.order)+len(w.reading.waiting) != 0 {
			t.Errorf("left: %d free, %v", w.reading.free, w.reading.order)
		}
	})
}

func TestOnePrincipalLeavesSessionsToOthers(t *testing.T) {
	f := open(t)
	f.check(t, ask("api", "GET", "/", good))
	one := f.sessions.ids["p1-1"]
	f.sessions.mu.Lock()
	for i := range maxSessions/2 - 1 {
		f.sessions.by[key{target: "api", token: identity.Key{byte(i), byte(i >> 8), 1}}] = one
	}
	f.sessions.mu.Unlock()
	if p := problemOf(t, f.check(t, ask("api", "GET", "/", "authorization: Bearer good2"))); p.Status != 503 || !strings.Contains(p.Detail, "You") {
		t.Errorf("got %+v", p)
	}
	if r := f.check(t, ask("api", "GET", "/", good)); r.GetOkResponse() == nil {
		t.Errorf("a session that is open: %v", r)
	}
	if _, _, _, p := f.sessions.find(key{target: "api", token: identity.Key{9}}, "another"); p != nil {
		t.Errorf("another principal: %v", p)
	}
	f.sessions.mu.Lock()
	defer f.sessions.mu.Unlock()
	for k, s := range f.sessions.by {
		if k != s.key {
			delete(f.sessions.by, k)
		}
	}
	clear(f.sessions.opening)
}

func TestBodiesThatWaitForPeopleHaveALimitInAll(t *testing.T) {
	w := newWeights(1)
	if !w.wait("a", maxShare) || w.wait("a", 1) || !w.wait("a", 0) {
		t.Error("what waits of one has no limit, or those without a body have one")
	}
	if !w.wait("b", maxShare) || w.wait("c", 1) || !w.wait("c", 0) {
		t.Error("what waits in all has no limit, or one takes what is left for others")
	}
	w.back("a", maxShare)
	if !w.wait("c", 1) {
		t.Error("what does not wait any more counts")
	}

	f := open(t)
	f.weights.waiting = maxWaiting
	p := problemOf(t, f.check(t, withBody(ask("api", "POST", "/customers/7", good), "x")))
	if p.Status != 503 || p.Type != typePrefix+"too-many" {
		t.Errorf("got %+v", p)
	}
	if want := "SessionStart HttpRequest Data Decision:DENY"; f.tape.kinds() != want {
		t.Errorf("got  %s\nwant %s", f.tape.kinds(), want)
	}
}

// Headers wait as bodies do; the usual ones count for nothing.
func TestLongHeadersWaitInTheSameRoom(t *testing.T) {
	for length, status := range map[int]int{3 << 10: 0, 5 << 10: 503} {
		f := open(t)
		f.weights.waiting = maxWaiting
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		r, err := f.Check(ctx, ask("api", "DELETE", "/customers/7", good, "x-long: "+strings.Repeat("x", length)))
		cancel()
		if held := err != nil; held != (status == 0) || !held && problemOf(t, r).Status != status {
			t.Errorf("%d bytes: %v, %v", length, r, err)
		}
		if f.weights.waiting != maxWaiting {
			t.Errorf("%d bytes: %d are left", length, f.weights.waiting-maxWaiting)
		}
	}
}

// A response may take for ever; the body of its request must not stay for as long.
func TestAnExchangeDoesNotKeepTheBody(t *testing.T) {
	f := open(t)
	ticket, body := func() (string, weak.Pointer[byte]) {
		in := withBody(ask("api", "POST", "/pay", good, typed), `{"amount": 1, "x": "`+strings.Repeat("x", 1<<19)+`"}`)
		return ticketOf(f.check(t, in)), weak.Make(&in.GetAttributes().GetRequest().GetHttp().GetRawBody()[0])
	}()
	if ticket == "" {
		t.Fatal("it was not let through")
	}
	for range 100 {
		runtime.GC()
		if body.Value() == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if body.Value() != nil {
		t.Error("the body is kept")
	}
	e, ok := f.Take(ticket, "r-1")
	if !ok {
		t.Fatal("no exchange")
	}
	if err := e.End(200, "", 0); err != nil {
		t.Error(err)
	}
}

func TestDigitsThatMatter(t *testing.T) {
	for mantissa, want := range map[string]int{
		"0": 0, "-0.000": 0, "1": 1, "-1": 1, "100": 1, "101": 3, "0.00120": 2, "1000.0001": 8, "9007199254740993": 16, "00": 0,
	} {
		if n, some := significant(mantissa); n != want || some != (want > 0) {
			t.Errorf("%s: %d %v, want %d", mantissa, n, some, want)
		}
	}
}

// A body of numbers costs in proportion to its length.
func TestNumbersAreReadWithoutGarbage(t *testing.T) {
	body := []byte("[" + strings.Repeat("0,", 1<<15) + "0]")
	if !exact(body) {
		t.Fatal("zeros are exact")
	}
	if n := testing.AllocsPerRun(3, func() { exact(body) }); n > 1<<15+1000 {
		t.Errorf("%.0f allocations for %d numbers", n, 1<<15)
	}
}

func TestDrainingDoesNotWaitForRequestsThatWereReset(t *testing.T) {
	f := open(t)
	if ticketOf(f.check(t, ask("api", "GET", "/", good))) == "" {
		t.Fatal("it was not let through")
	}
	f.ahead.Store(int64(untakenAtEnd))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if f.Drain(ctx); ctx.Err() != nil {
		t.Error("it waits for a response that nobody asks about")
	}
}
