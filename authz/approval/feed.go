package approval

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// PollEvery is how often changes are read without any hint.
	PollEvery = time.Second
	// pollTimeout bounds one read of changes.
	pollTimeout = 5 * time.Second
	// maxPendingIDs bounds what a slow subscriber is told one by one; past it it is told to read everything again.
	maxPendingIDs = 10_000
)

// Feed tells a process which approvals have changed: one watch and one poller, whatever the number of those who wait.
// After the store was away, and at first, it tells everybody to read everything again.
type Feed struct {
	store  Store
	log    *slog.Logger
	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex
	subs map[*Subscription]struct{}
}

// NewFeed starts a feed. Close ends it.
func NewFeed(store Store, log *slog.Logger) *Feed {
	ctx, cancel := context.WithCancel(context.Background())
	f := &Feed{store: store, log: log, cancel: cancel, done: make(chan struct{}), subs: map[*Subscription]struct{}{}}
	go f.run(ctx)
	return f
}

// Close ends the feed and waits for its end.
func (f *Feed) Close() {
	f.cancel()
	<-f.done
}

// Subscribe begins a subscription. Its first news is that everything is to be read.
func (f *Feed) Subscribe() *Subscription {
	s := &Subscription{feed: f, signal: make(chan struct{}, 1)}
	s.tell(nil, true)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs[s] = struct{}{}
	return s
}

func (f *Feed) run(ctx context.Context) {
	defer close(f.done)
	hints := f.store.Watch(ctx)
	tick := time.NewTicker(PollEvery)
	defer tick.Stop()
	p := position{lost: true}
	for {
		f.poll(ctx, &p)
		select {
		case <-ctx.Done():
			if hints != nil {
				for range hints { // until the watch has ended
				}
			}
			return
		case _, ok := <-hints:
			if !ok {
				hints = nil // the ticker remains
			}
		case <-tick.C:
		}
	}
}

// position is how far the feed has read.
type position struct {
	after int64
	lost  bool // changes may have been missed
}

// poll reads what changed since the position and tells it.
func (f *Feed) poll(ctx context.Context, p *position) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	for {
		after := p.after
		if p.lost {
			after = FromNow
		}
		c, err := f.store.Changes(ctx, after)
		if err != nil {
			if !p.lost && ctx.Err() == nil {
				f.log.WarnContext(ctx, "approval: changes cannot be read; holds wait on", slog.Any("error", err))
			}
			p.lost = true
			return
		}
		reset := p.lost || c.Reset
		p.after, p.lost = c.Seq, false
		if reset || len(c.IDs) > 0 {
			f.tell(c.IDs, reset)
		}
		if !c.More {
			return
		}
	}
}

func (f *Feed) tell(ids []string, reset bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subs {
		s.tell(ids, reset)
	}
}

// Subscription collects what changed until somebody takes it.
type Subscription struct {
	feed   *Feed
	signal chan struct{}

	mu    sync.Mutex
	ids   map[string]struct{}
	reset bool
}

// C gets something when there is something to take.
func (s *Subscription) C() <-chan struct{} { return s.signal }

// Take returns the ids that have changed since the last Take; reset says to read everything again instead.
func (s *Subscription) Take() (ids []string, reset bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.ids {
		ids = append(ids, id)
	}
	reset = s.reset
	s.ids, s.reset = nil, false
	return ids, reset
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	delete(s.feed.subs, s)
}

func (s *Subscription) tell(ids []string, reset bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reset = s.reset || reset || len(s.ids)+len(ids) > maxPendingIDs; s.reset {
		s.ids = nil
	} else {
		if s.ids == nil {
			s.ids = make(map[string]struct{}, len(ids))
		}
		for _, id := range ids {
			s.ids[id] = struct{}{}
		}
	}
	select {
	case s.signal <- struct{}{}:
	default: // told already
	}
}
