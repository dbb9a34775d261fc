package guard_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/authz/guard"
)

// TestEachEndOfAHoldIsOneLine: however it ends, and whatever is said of it afterwards.
func TestEachEndOfAHoldIsOneLine(t *testing.T) {
	for want, end := range map[string]func(*testing.T, *door, *guard.Pending){
		"approved": func(t *testing.T, d *door, p *guard.Pending) {
			t.Helper()
			d.approve(t, p)
			if err := d.release(t, p); err != nil {
				t.Fatal(err)
			}
		},
		"rejected": func(t *testing.T, d *door, p *guard.Pending) {
			t.Helper()
			d.vote(t, p.Approval().GetId(), "alice", approvalv1.Vote_REJECT)
			_, err := p.Wait(patient(t))
			wantDenied(t, err, guard.Rejected, "alice")
		},
		"withdrawn": func(_ *testing.T, _ *door, p *guard.Pending) {
			p.Withdraw(context.Background(), "the client went away")
		},
		"forbidden": func(t *testing.T, d *door, p *guard.Pending) {
			t.Helper()
			d.approve(t, p)
			d.policies.policy.Store(compile(t, strings.Replace(bundle, "rules:", `rules:
- {name: never, on: {targets: [orders], sql: {effects: [DELETE]}}, deny: {message: Never.}}`, 1), "v2"))
			wantDenied(t, d.release(t, p), guard.Forbidden, "Never")
		},
		"session_ended": func(t *testing.T, d *door, p *guard.Pending) {
			t.Helper()
			d.ahead.Store(int64(2 * time.Hour))
			_, err := p.Wait(patient(t))
			if err == nil {
				t.Error("it goes on")
			}
		},
		"unavailable": func(t *testing.T, d *door, p *guard.Pending) {
			t.Helper()
			d.approve(t, p)
			d.redis.SetError("LOADING")
			wantDenied(t, d.release(t, p), guard.Unavailable, "does not answer")
		},
	} {
		t.Run(want, func(t *testing.T) {
			d := open(t)
			p := d.hold(t)
			held := d.told.One(t, "held")
			if held["approval"] != p.Approval().GetId() || held["principal"] != "corp:agent" || held["rule"] != "writes" || held["target"] != "orders" || held["session"] != "s1" {
				t.Error(held)
			}
			end(t, d, p)
			p.Withdraw(context.Background(), "once more")
			got := d.told.One(t, "hold ended")["end"]
			if got != want && (want != "session_ended" || got != "expired") { // whichever is seen first
				t.Errorf("it ended %v, want %s", got, want)
			}
			if strings.Contains(d.told.Text(), "delete from") || strings.Contains(d.told.Text(), "because") {
				t.Errorf("what was asked, or said, stands in the log: %s", d.told.Text())
			}
		})
	}
}

func TestVotesWithAKeyThatIsNotNamedAreSaidToBe(t *testing.T) {
	d := open(t)
	p := d.hold(t)
	forged(t, d, p.Approval(), signerOf('x'), "alice", "bob")
	d.redis.HSet("sluice:{approval}:a:"+p.Approval().GetId(), "state", "2")
	err := d.release(t, p)
	wantDenied(t, err, guard.Unavailable, "a vote is signed by a key that this processor's vote_keys does not name")
	var denied *guard.Denied
	if !errors.As(err, &denied) || !strings.Contains(denied.Hint, "process.vote_keys") {
		t.Errorf("%+v", denied)
	}
}
