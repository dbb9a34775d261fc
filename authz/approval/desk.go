package approval

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
)

const (
	// readTimeout bounds one read of the progress of holds.
	readTimeout = 5 * time.Second
	// readBatch is how many holds one read is about.
	readBatch = 500
)

// Desk is the holder's side: it holds actions for one process and tells each hold what became of it. One goroutine
// serves all holds.
type Desk struct {
	store  Store
	keys   *Keyring
	holder string
	now    func() time.Time
	log    *slog.Logger

	sub    *Subscription
	fresh  chan struct{} // a new hold is to be read
	cancel context.CancelFunc
	done   chan struct{}

	mu    sync.Mutex
	holds map[string]*Hold
	stale map[string]struct{} // ids whose progress is to be read
}

// NewDesk opens a desk for the processor named holder. Votes count if a key of keys has signed them. Close ends it.
func NewDesk(store Store, feed *Feed, keys *Keyring, holder string, now func() time.Time, log *slog.Logger) *Desk {
	ctx, cancel := context.WithCancel(context.Background())
	d := &Desk{
		store: store, keys: keys, holder: holder, now: now, log: log,
		sub: feed.Subscribe(), fresh: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{}),
		holds: map[string]*Hold{}, stale: map[string]struct{}{},
	}
	go d.run(ctx)
	return d
}

// Close ends the desk. Holds that still wait get ErrUnavailable; whoever holds them withdraws them before.
func (d *Desk) Close() {
	d.cancel()
	<-d.done
	d.sub.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range d.holds {
		h.settle(Progress{}, fmt.Errorf("%w: the desk is closed", ErrUnavailable))
	}
	clear(d.holds)
}

// Hold stores an approval and begins to wait for people. The caller sets id, requester, target, session, action, rules,
// requirements, expires_at, digest, recorded_digest, warnings; state, times, holder, key ids and votes are the desk's. The
// approval is the desk's from then on. ErrInvalid, ErrExists, ErrUnavailable.
//
// Whoever gets a Hold ends it by Consume or Withdraw.
func (d *Desk) Hold(ctx context.Context, own *approvalv1.Approval) (*Hold, error) {
	own.State, own.Votes, own.DecidedAt, own.CreatedAt, own.Reason = 0, nil, nil, nil, ""
	own.Holder, own.KeyIds = d.holder, d.keys.IDs()
	if err := complete(own, d.now()); err != nil {
		return nil, err
	}
	created, err := d.store.Create(ctx, own)
	if err != nil {
		return nil, fmt.Errorf("approval: hold: %w", err)
	}
	own.State, own.CreatedAt = approvalv1.State_PENDING, timestamppb.New(created)
	h := &Hold{desk: d, own: own, ended: make(chan struct{})}
	d.mu.Lock()
	d.holds[own.GetId()] = h
	// What changed between Create and now was told to nobody.
	d.stale[own.GetId()] = struct{}{}
	d.mu.Unlock()
	select {
	case d.fresh <- struct{}{}:
	default:
	}
	return h, nil
}

// complete checks that an approval has all that makes it safe to decide on.
func complete(a *approvalv1.Approval, now time.Time) error {
	r := a.GetRequester()
	switch {
	case a.GetId() == "":
		return fmt.Errorf("%w: no id", ErrInvalid)
	case r.GetSubject() == "" || r.GetIssuerUrl() == "":
		return fmt.Errorf("%w: no requester", ErrInvalid)
	case len(a.GetRequirements()) == 0:
		return fmt.Errorf("%w: no requirements", ErrInvalid)
	case slices.ContainsFunc(a.GetRequirements(), func(r *approvalv1.Requirement) bool { return len(r.GetGroups()) == 0 }):
		return fmt.Errorf("%w: a requirement without groups", ErrInvalid)
	case a.GetExpiresAt() == nil || !now.Before(a.GetExpiresAt().AsTime()):
		return fmt.Errorf("%w: its deadline has passed", ErrInvalid)
	case len(a.GetDigest()) != DigestSize:
		return fmt.Errorf("%w: no digest", ErrInvalid)
	case !bytes.Equal(a.GetRecordedDigest(), RecordedDigest(a.GetAction())):
		return fmt.Errorf("%w: recorded_digest is not that of the action", ErrInvalid)
	}
	return nil
}

// run reads the progress of what changed, and again later of what could not be read.
func (d *Desk) run(ctx context.Context) {
	defer close(d.done)
	retry := time.NewTicker(PollEvery)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.sub.C():
			d.mark(d.sub.Take())
		case <-d.fresh:
		case <-retry.C:
		}
		d.read(ctx)
	}
}

// mark notes which holds are to be read.
func (d *Desk) mark(ids []string, reset bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if reset {
		for id := range d.holds {
			d.stale[id] = struct{}{}
		}
		return
	}
	for _, id := range ids {
		if d.holds[id] != nil {
			d.stale[id] = struct{}{}
		}
	}
}

// read reads the progress of the holds that were marked and tells them.
func (d *Desk) read(ctx context.Context) {
	d.mu.Lock()
	ids := make([]string, 0, len(d.stale))
	for id := range d.stale {
		ids = append(ids, id)
	}
	d.mu.Unlock()
	for chunk := range slices.Chunk(ids, readBatch) {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		all, err := d.store.Progress(ctx, chunk)
		cancel()
		if err != nil {
			return // they stay marked; the feed logs that the store is away
		}
		for _, p := range all {
			d.tell(p)
		}
	}
}

// tell gives a hold its progress.
func (d *Desk) tell(p Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.stale, p.ID)
	h := d.holds[p.ID]
	if h == nil || p.State == approvalv1.State_PENDING {
		return
	}
	delete(d.holds, p.ID)
	if p.State == approvalv1.State_STATE_UNSPECIFIED {
		h.settle(p, fmt.Errorf("approval: %s: the store lost it: %w", p.ID, ErrNotFound))
		return
	}
	h.settle(p, nil)
}

// forget stops telling a hold.
func (d *Desk) forget(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.holds, id)
	delete(d.stale, id)
}
