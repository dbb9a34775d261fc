package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	envoy_service_auth_v3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/policies"
)

func TestAnAllowedRequestGoesOnWithTheRealCredential(t *testing.T) {
	f := open(t)
	for target, want := range map[string][2]string{
		"api":   {"authorization", "Bearer " + realToken},
		"keyed": {"x-api-key", realToken},
		"basic": {"authorization", "Basic YXBwOnRoZS1yZWFsLXRva2Vu"},
	} {
		r := f.check(t, ask(target, "GET", "/customers?q=1", good, "x-api-key: forged"))
		ok := r.GetOkResponse()
		if ok == nil {
			t.Fatalf("%s: %v", target, r)
		}
		if got := headerOf(ok.GetHeaders(), want[0]); got != want[1] {
			t.Errorf("%s: %s is %q", target, want[0], got)
		}
		if want[0] != "authorization" && !slices.Contains(ok.GetHeadersToRemove(), "authorization") {
			t.Errorf("%s: the agent's token goes on", target)
		}
		for _, name := range []string{"accept-encoding", "range", "x-http-method-override"} {
			if !slices.Contains(ok.GetHeadersToRemove(), name) {
				t.Errorf("%s: %s goes on", target, name)
			}
		}
	}
	if text := f.tape.text(); strings.Contains(text, realToken) || strings.Contains(text, "Bearer") {
		t.Errorf("the record has a credential: %s", text)
	}
}

func TestATicketIsOfUseOnceAndForItsRequestOnly(t *testing.T) {
	f := open(t)
	ticket := ticketOf(f.check(t, ask("api", "GET", "/", good)))
	e, ok := f.Take(ticket, "r-1")
	if !ok || e.Number != 1 || e.Method != "GET" {
		t.Fatalf("got %+v", e)
	}
	if _, ok := f.Take(ticket, "r-1"); ok {
		t.Error("it was taken twice")
	}
	if err := e.End(200, "", 7); err != nil {
		t.Fatal(err)
	}
	other := ticketOf(f.check(t, ask("api", "GET", "/", good)))
	if _, ok := f.Take(other, "r-2"); ok {
		t.Error("it is good for another request")
	}
	if _, ok := f.Take(other, "r-1"); ok {
		t.Error("it is good after it was shown with another request")
	}
	if _, ok := f.Take("", ""); ok {
		t.Error("no ticket is one")
	}
	if want := "SessionStart HttpRequest Decision:ALLOW Execution Outcome HttpRequest Decision:ALLOW Execution Outcome"; f.tape.kinds() != want {
		t.Errorf("got  %s\nwant %s", f.tape.kinds(), want)
	}
}

func TestRefusalsAreProblemDetails(t *testing.T) {
	f := open(t)
	for name, c := range map[string]struct {
		in     *envoy_service_auth_v3.CheckRequest
		status int
		kind   string
		words  string
	}{
		"no token":                {ask("api", "GET", "/"), 401, "unidentified", "Bearer"},
		"a bad token":             {ask("api", "GET", "/", "authorization: Bearer bad"), 401, "unidentified", ""},
		"another scheme":          {ask("api", "GET", "/", "authorization: Basic good"), 401, "unidentified", ""},
		"two tokens":              {ask("api", "GET", "/", good, "authorization: Bearer bad"), 400, "malformed", "twice"},
		"no target":               {ask("", "GET", "/", good), 404, "", "nothing"},
		"an unknown target":       {ask("nope", "GET", "/", good), 503, "unavailable", "nope"},
		"a rule that denies":      {ask("api", "GET", "/admin/x", good), 403, "denied", "admin"},
		"no rule":                 {ask("api", "PUT", "/x", good), 403, "denied", "no rule allows"},
		"an encoded slash":        {ask("api", "GET", "/a%2fb", good), 400, "malformed", "encoded slash"},
		"a dot segment":           {ask("api", "GET", "/a/../b", good), 400, "malformed", "dot segment"},
		"TRACE":                   {ask("api", "TRACE", "/", good), 400, "malformed", "method"},
		"a lower-case method":     {ask("api", "get", "/", good), 400, "malformed", "method"},
		"a line break":            {ask("api", "GET", "/", good, "x: a\nb"), 400, "malformed", "line break"},
		"two content types":       {ask("api", "POST", "/pay", good, "content-type: a/b", "content-type: c/d"), 400, "malformed", "twice"},
		"a body that is too much": {withBody(ask("api", "POST", "/pay", good, "content-type: application/json"), `{"amount": 100}`), 403, "denied", "no rule allows"},
		"a name twice":            {withBody(ask("api", "POST", "/pay", good, "content-type: application/json"), `{"amount": 1, "amount": 1}`), 403, "denied", ""},
		"a name twice by case":    {withBody(ask("api", "POST", "/pay", good, "content-type: application/json"), `{"amount": 1, "AMOUNT": 500}`), 403, "denied", ""},
		"a number of 16 digits":   {withBody(ask("api", "POST", "/pay", good, "content-type: application/json"), `{"amount": 1, "id": 9007199254740993}`), 403, "denied", ""},
		"a token in the query":    {ask("api", "GET", "/x?t=good", good), 400, "malformed", "another place"},
		"a body that is cut":      {withBody(ask("api", "POST", "/pay", good, "content-type: application/json"), `{"amount": 1`), 403, "denied", ""},
		"another type":            {withBody(ask("api", "POST", "/pay", good, "content-type: text/plain"), `{"amount": 1}`), 403, "denied", ""},
		"a body that is zipped":   {withBody(ask("api", "POST", "/pay", good, "content-type: application/json", "content-encoding: gzip"), `{"amount": 1}`), 400, "method-override", ""},
		"a body of an encoding":   {withBody(ask("api", "POST", "/pay", good, "content-type: application/json", "content-encoding: identity"), `{"amount": 1}`), 403, "denied", ""},
		"a body that is too long": {withBody(ask("api", "POST", "/pay", good), strings.Repeat("x", 1<<20+1)), 413, "too-long", "1048576"},
		"a query":                 {withBody(ask("api", "POST", "/pay?a=1", good, "content-type: application/json"), `{"amount": 1}`), 403, "denied", ""},
	} {
		p := problemOf(t, f.check(t, c.in))
		kind := typePrefix + c.kind
		if c.kind == "" {
			kind = "about:blank"
		}
		if p.Status != c.status || p.Type != kind || !strings.Contains(p.Title+p.Detail+p.Hint+p.Rule, c.words) {
			t.Errorf("%s: %+v, want %d %s %q", name, p, c.status, kind, c.words)
		}
		if p.Title == "" || p.Detail == "" {
			t.Errorf("%s: a refusal without words: %+v", name, p)
		}
		if c.status == 401 {
			challenge := headerOf(f.check(t, c.in).GetDeniedResponse().GetHeaders(), "www-authenticate")
			if strings.Contains(challenge, `error="invalid_token"`) != (name == "a bad token") {
				t.Errorf("%s: the challenge is %s", name, challenge)
			}
		}
	}
	if r := f.check(t, withBody(ask("api", "POST", "/pay", good, "content-type: application/json; charset=UTF-8"), `{"amount": 99.5}`)); r.GetOkResponse() == nil {
		t.Errorf("a body that is right: %v", r)
	}
	if text := f.tape.text(); strings.Contains(text, "good") || strings.Contains(text, "bad") {
		t.Error("the record has a token")
	}
}

func TestAProblemHasNoCharactersThatTerminalsObey(t *testing.T) {
	body := (&problem{Status: 403, Title: "a\u202eb\x1b[31m\u0085\U000e0041c", Detail: "é\n"}).response(false).GetDeniedResponse().GetBody()
	if want := `"title":"a\u202eb\u001b[31m\u0085\udb40\udc41c","status":403,"detail":"é\n"`; !strings.Contains(body, want) {
		t.Errorf("got %s", body)
	}
}

func TestAHeldRequestWaitsForPeople(t *testing.T) {
	for name, c := range map[string]struct {
		choice approvalv1.Vote_Choice
		kinds  string
	}{
		"approved": {approvalv1.Vote_APPROVE, "SessionStart HttpRequest Data Decision:HOLD HoldStart HoldEnd:CONSUMED Execution"},
		"rejected": {approvalv1.Vote_REJECT, "SessionStart HttpRequest Data Decision:HOLD HoldStart HoldEnd:REJECTED Decision:DENY"},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			done := make(chan *envoy_service_auth_v3.CheckResponse, 1)
			go func() {
				r, _ := f.Check(t.Context(), withBody(ask("api", "POST", "/customers/7?x=secret", good, "content-type: text/plain", "x-tenant: secret other", "cookie: a=b", "range: bytes=0-1"), "a secret"))
				done <- r
			}()
			a := f.held(t)
			if a.GetAction().GetSummary() != "POST /customers/7" || a.GetAction().GetText() != "POST https://127.0.0.1:8080/customers/7?x=[masked]" ||
				a.GetAction().GetParameters()[0].GetValue() != "a [masked]" {
				t.Errorf("people see %v", a.GetAction())
			}
			if details := fmt.Sprint(a.GetAction().GetDetails()); !strings.Contains(details, "x-tenant: [masked] other") ||
				strings.Contains(details, "cookie") || strings.Contains(details, "range") {
				t.Errorf("of the headers people see %s", details)
			}
			f.vote(t, a.GetId(), c.choice)
			r := <-done
			if c.choice == approvalv1.Vote_APPROVE {
				if r.GetOkResponse() == nil {
					t.Errorf("got %v", r)
				}
			} else if p := problemOf(t, r); p.Status != 403 || p.Rule != "writes" || p.Approval != a.GetId() || !strings.Contains(p.Title, "because") {
				t.Errorf("got %+v", p)
			}
			if got := f.tape.kinds(); got != c.kinds {
				t.Errorf("got  %s\nwant %s", got, c.kinds)
			}
		})
	}
}

func TestWhatEndsAHold(t *testing.T) {
	for name, end := range map[string]func(*fixture, context.CancelFunc){
		"the client goes":  func(_ *fixture, gone context.CancelFunc) { gone() },
		"the session ends": func(f *fixture, _ context.CancelFunc) { f.EndSession("p1-1", "enough") },
		"the processor ends": func(f *fixture, _ context.CancelFunc) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			f.Drain(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			type answer struct {
				r   *envoy_service_auth_v3.CheckResponse
				err error
			}
			done := make(chan answer, 1)
			go func() {
				r, err := f.Check(ctx, ask("api", "DELETE", "/customers/7", good))
				done <- answer{r, err}
			}()
			id := f.held(t).GetId()
			end(f, cancel)
			got := <-done
			if got.err == nil && problemOf(t, got.r).Status < 400 || got.r.GetOkResponse() != nil {
				t.Errorf("got %+v", got)
			}
			all, err := f.store.Get(t.Context(), id)
			if err != nil || len(all) != 1 || all[0].GetState() != approvalv1.State_WITHDRAWN {
				t.Errorf("the approval is %v, %v", all, err)
			}
			if !strings.Contains(f.tape.kinds(), "HoldEnd:WITHDRAWN Decision:DENY") || strings.Contains(f.tape.kinds(), "Execution") {
				t.Errorf("recorded: %s", f.tape.kinds())
			}
		})
	}
}

// panicking shows nothing: it panics when it is asked for the time that it counts down to.
type panicking struct {
	plain
	left atomic.Int64
}

func (p *panicking) Value(policy *policies.Policy, target, v string) string {
	if p.left.Add(-1) == 0 {
		panic("a fault of ours")
	}
	return p.plain.Value(policy, target, v)
}

func TestAStepThatPanicsIsADenialAndLetsGoOfTheSession(t *testing.T) {
	for name, calls := range map[string]int64{"while it is recorded": 1, "while it is put before people": 2} {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			shown := &panicking{}
			f.o.Shown = shown
			f.check(t, ask("api", "GET", "/", good))
			open := f.sessions.ids["p1-1"].open
			shown.left.Store(calls)
			if p := problemOf(t, f.check(t, ask("api", "DELETE", "/customers/7", good))); p.Status != 500 || strings.Contains(p.Title+p.Detail+p.Hint, "ours") {
				t.Errorf("got %+v", p)
			}
			if now := f.sessions.ids["p1-1"].open; now != open || shown.left.Load() > 0 {
				t.Errorf("%d requests hold the session, not %d; %d calls left", now, open, shown.left.Load())
			}
		})
	}
}

func TestAWaitThatPanicsIsADenialAndLetsGoOfAll(t *testing.T) {
	f := open(t)
	f.o.Metrics.holding = nil
	if p := problemOf(t, f.check(t, withBody(ask("api", "DELETE", "/customers/7", good), "x"))); p.Status != 500 || p.Type != typePrefix+"internal" {
		t.Errorf("got %+v", p)
	}
	if open := f.sessions.ids["p1-1"].open; open > 0 || f.weights.waiting > 0 {
		t.Errorf("%d requests hold the session, %d bytes wait", open, f.weights.waiting)
	}
}

// Others may wait for the session by then, and their turn comes.
func TestASessionWhoseBeginningPanicsCanBeginAgain(t *testing.T) {
	f := open(t)
	shown := &panicking{}
	f.o.Shown = shown
	shown.left.Store(1)
	if p := problemOf(t, f.check(t, ask("api", "GET", "/", good))); p.Status != 500 || len(f.tape.order) > 0 {
		t.Errorf("got %+v, %d sessions", p, len(f.tape.order))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if r, err := f.Check(ctx, ask("api", "GET", "/", good)); r.GetOkResponse() == nil {
		t.Errorf("the next request: %v, %v", r, err)
	}
}

// slow shows the path when it is told to.
type slow struct {
	plain
	asked, answer chan struct{}
}

func (s slow) Value(policy *policies.Policy, target, v string) string {
	if v == "/customers/7" {
		s.asked <- struct{}{}
		<-s.answer
	}
	return s.plain.Value(policy, target, v)
}

func TestARequestThatIsDecidedWhileTheProcessorEndsIsNotHeld(t *testing.T) {
	f := open(t)
	shown := slow{asked: make(chan struct{}, 8), answer: make(chan struct{})} // people are shown the path too
	f.o.Shown = shown
	done := make(chan *envoy_service_auth_v3.CheckResponse, 1)
	go func() {
		r, _ := f.Check(t.Context(), ask("api", "DELETE", "/customers/7", good))
		done <- r
	}()
	<-shown.asked
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		f.Drain(ctx)
	}()
	for !f.sessions.isDraining() {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // what is held by now is withdrawn
	close(shown.answer)
	<-drained
	if ctx.Err() != nil {
		t.Fatal("it was held, and nothing ended that")
	}
	if p := problemOf(t, <-done); p.Status != 503 || p.Type != typePrefix+"unavailable" {
		t.Errorf("got %+v", p)
	}
}

func TestAnAgentThatGoesBeforeItsTurnIsPutBeforeNobody(t *testing.T) {
	f := open(t)
	for range maxTurns {
		f.turns <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if r, err := f.Check(ctx, ask("api", "DELETE", "/customers/7", good)); err == nil {
		t.Errorf("got %v", r)
	}
	if got := f.tape.kinds(); got != "SessionStart HttpRequest Decision:DENY" {
		t.Errorf("recorded: %s", got)
	}
	if open := f.sessions.ids["p1-1"].open; open != 0 {
		t.Errorf("%d requests hold the session", open)
	}
}

func TestWithoutARecordNothingGoesOn(t *testing.T) {
	f := open(t)
	f.check(t, ask("api", "GET", "/", good)) // the session is open
	f.tape.mu.Lock()
	f.tape.fail = errors.New("the disk is full")
	f.tape.mu.Unlock()
	for _, token := range []string{good, "authorization: Bearer good2"} {
		if p := problemOf(t, f.check(t, ask("api", "GET", "/", token))); p.Status != 503 || p.Type != typePrefix+"no-record" {
			t.Errorf("got %+v", p)
		}
	}
}

func TestRequestsOfOneTokenAreOneSession(t *testing.T) {
	f := open(t)
	for range 3 {
		f.check(t, ask("api", "GET", "/admin", good)) // refused: nothing stays open
	}
	f.check(t, ask("api", "GET", "/admin", good+"~2")) // the same token, signed anew
	f.check(t, ask("api", "GET", "/admin", "authorization: Bearer good2"))
	f.check(t, ask("keyed", "GET", "/admin", good))
	if len(f.tape.order) != 3 {
		t.Fatalf("%d sessions", len(f.tape.order))
	}
	f.ahead.Add(int64(idleAfter))
	f.sweep(t.Context())
	if got := f.tape.kinds(); !strings.HasSuffix(got, "HttpRequest Decision:DENY HttpRequest Decision:DENY HttpRequest Decision:DENY HttpRequest Decision:DENY SessionEnd") {
		t.Errorf("recorded: %s", got)
	}
	f.check(t, ask("api", "GET", "/admin", good))
	if len(f.tape.order) != 4 {
		t.Errorf("%d sessions, want a new one", len(f.tape.order))
	}
}

func TestASessionThatSomebodyEndedStaysEnded(t *testing.T) {
	f := open(t)
	f.check(t, ask("api", "GET", "/admin", good))
	if f.EndSession("p1-9", "x") || !f.EndSession("p1-1", "enough") {
		t.Fatal("the wrong one is known")
	}
	f.sweep(t.Context())
	f.ahead.Add(int64(2 * idleAfter))
	f.sweep(t.Context())
	if p := problemOf(t, f.check(t, ask("api", "GET", "/", good))); p.Status != 401 || !strings.Contains(p.Title, "enough") {
		t.Errorf("got %+v", p)
	}
	for name, in := range map[string]*envoy_service_auth_v3.CheckRequest{
		"signed anew": ask("api", "GET", "/", good+"~2"), "at another target": ask("keyed", "GET", "/", good), "both": ask("keyed", "GET", "/", good+"~3"),
	} {
		if p := problemOf(t, f.check(t, in)); p.Status != 401 || !strings.Contains(p.Title, "enough") {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if p := f.check(t, ask("api", "GET", "/", "authorization: Bearer good2")); p.GetOkResponse() == nil {
		t.Errorf("another token: %v", p)
	}
}

func TestAnExchangeThatNobodyAsksAboutEnds(t *testing.T) {
	f := open(t)
	ticket := ticketOf(f.check(t, ask("api", "GET", "/", good)))
	f.ahead.Add(int64(untaken))
	f.endOverdue(f.tickets.overdue(f.now(), untaken))
	if _, ok := f.Take(ticket, "r-1"); ok {
		t.Error("it can still be taken")
	}
	f.ahead.Add(int64(idleAfter))
	f.sweep(t.Context())
	if got := f.tape.kinds(); !strings.HasSuffix(got, "Outcome SessionEnd") {
		t.Errorf("recorded: %s", got)
	}
}

func TestATokenInAnotherPlaceIsRefused(t *testing.T) {
	f := open(t)
	for name, in := range map[string]*envoy_service_auth_v3.CheckRequest{
		"a header that does not go on":  ask("api", "GET", "/", good, "x-original-url: /?t=good"),
		"the query, encoded":            ask("api", "GET", "/?t=%67oo%64", good),
		"the path, encoded":             ask("api", "GET", "/a/%67ood", good),
		"a body":                        withBody(ask("api", "POST", "/pay", good), `{"t":"good"}`),
		"a body, the signature of it":   withBody(ask("api", "POST", "/pay", "authorization: Bearer good.claims.signature"), `{"t":"signature"}`),
		"a header, the signature of it": ask("api", "GET", "/", "authorization: Bearer good.claims.signature", "x-a: signature"),
	} {
		if p := problemOf(t, f.check(t, in)); p.Status != 400 || strings.Contains(p.Detail+p.Title+p.Hint, "good") {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if len(f.tape.order) > 0 {
		t.Errorf("recorded: %s", f.tape.text())
	}
}
