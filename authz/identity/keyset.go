package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// How fresh keys are kept.
const (
	// RefreshEvery is how often an issuer's keys are read again; a key that was withdrawn is dropped then.
	RefreshEvery = 5 * time.Minute
	// UnknownKeyEvery is how often at most a token with an unknown kid makes the keys be read again.
	UnknownKeyEvery = 10 * time.Second
	// MaxStaleness is how old keys may become when the issuer cannot be reached. Past it no token is good.
	MaxStaleness = time.Hour

	// retryEvery paces the tries of requests while there are no usable keys at all.
	retryEvery = time.Second
	// failedRefreshEvery paces the refresher after a failure.
	failedRefreshEvery = 30 * time.Second
)

var (
	errUnknownKey = errors.New("no published key with this kid")
	errSignature  = errors.New("the signature does not verify")
	errClosed     = errors.New("the issuer was removed")
)

// fetcher reads an issuer's published keys once.
type fetcher interface {
	fetch(ctx context.Context) ([]jose.JSONWebKey, error)
}

// snapshot is the keys of one fetch.
type snapshot struct {
	keys []jose.JSONWebKey
	at   time.Time
}

// flight is a fetch under way that all who need it wait for.
type flight struct {
	done chan struct{}
	err  error // set before done is closed
}

// keySet keeps an issuer's keys. The first token makes it read them and starts its refresher; close stops both.
type keySet struct {
	source fetcher
	now    func() time.Time
	log    *slog.Logger

	ctx    context.Context //nolint:containedctx // the life of the set, longer than any request's
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu          sync.Mutex
	closed      bool
	started     bool
	current     *snapshot
	lastErr     error
	lastTry     time.Time // of any fetch
	lastUnknown time.Time // of a fetch for an unknown kid
	flight      *flight
}

func newKeySet(source fetcher, now func() time.Time, log *slog.Logger) *keySet {
	ctx, cancel := context.WithCancel(context.Background())
	return &keySet{source: source, now: now, log: log, ctx: ctx, cancel: cancel}
}

// close stops the refresher and fails what waits. It returns when every goroutine has ended.
func (k *keySet) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.cancel()
	k.wg.Wait()
}

// verify checks the signature of a compact JWS and returns its payload, with the keys that it is good by.
func (k *keySet) verify(ctx context.Context, raw string, algorithms []string) ([]byte, *snapshot, error) {
	allowed := make([]jose.SignatureAlgorithm, len(algorithms))
	for i, a := range algorithms {
		allowed[i] = jose.SignatureAlgorithm(a)
	}
	jws, err := jose.ParseSignedCompact(raw, allowed)
	if err != nil || len(jws.Signatures) != 1 {
		return nil, nil, errSignature
	}
	snap, err := k.fresh(ctx)
	if err != nil {
		return nil, nil, err
	}
	payload, err := check(jws, snap.keys)
	if err == nil {
		return payload, snap, nil
	}
	header := jws.Signatures[0].Protected
	if header.KeyID != "" && errors.Is(err, errSignature) {
		return nil, nil, err // the key is known: new keys would not make the signature good
	}
	newer, fetchErr := k.newer(ctx, snap)
	if fetchErr != nil {
		return nil, nil, fetchErr // whether the key is known now cannot be told
	}
	if newer == snap {
		return nil, nil, err
	}
	payload, err = check(jws, newer.keys)
	return payload, newer, err
}

// check tries the keys that the header names. A token without kid may be from any of them (RFC 7515 section 4.1.4).
func check(jws *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, error) {
	header := jws.Signatures[0].Protected
	result := errUnknownKey
	for i := range keys {
		key := &keys[i]
		if header.KeyID != "" && key.KeyID != header.KeyID {
			continue
		}
		result = errSignature
		if key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := jws.Verify(key.Key); err == nil {
			return payload, nil
		}
	}
	return nil, result
}

// fresh returns keys that are not too stale; it reads them where there are none.
func (k *keySet) fresh(ctx context.Context) (*snapshot, error) {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return nil, errClosed
	}
	k.start()
	if snap := k.usable(); snap != nil {
		k.mu.Unlock()
		return snap, nil
	}
	if k.flight == nil && k.now().Sub(k.lastTry) < retryEvery {
		err := fmt.Errorf("no usable keys: %w", k.lastErr)
		k.mu.Unlock()
		return nil, err
	}
	f := k.join()
	k.mu.Unlock()

	if err := f.wait(ctx); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if snap := k.usable(); snap != nil {
		return snap, nil
	}
	return nil, errors.New("no usable keys")
}

// newer reads the keys again because a token names one that old does not have, unless that was done just now.
func (k *keySet) newer(ctx context.Context, old *snapshot) (*snapshot, error) {
	k.mu.Lock()
	if k.current != old && k.current != nil {
		defer k.mu.Unlock()
		return k.current, nil // somebody else has read them meanwhile
	}
	if k.flight == nil {
		if k.closed || k.now().Sub(k.lastUnknown) < UnknownKeyEvery {
			k.mu.Unlock()
			return old, nil
		}
		k.lastUnknown = k.now()
	}
	f := k.join()
	k.mu.Unlock()

	if err := f.wait(ctx); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current, nil
}

// usable is the current keys unless they are too stale. The caller holds mu.
func (k *keySet) usable() *snapshot {
	if k.current == nil || k.now().Sub(k.current.at) > MaxStaleness {
		return nil
	}
	return k.current
}

// uses reports whether these keys are the ones in use.
func (k *keySet) uses(snap *snapshot) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return snap != nil && !k.closed && k.usable() == snap
}

// join returns the fetch under way, or begins one. The caller holds mu and has seen that the set is not closed.
func (k *keySet) join() *flight {
	if k.flight != nil {
		return k.flight
	}
	f := &flight{done: make(chan struct{})}
	k.flight = f
	k.lastTry = k.now()
	k.wg.Add(1)
	go func() {
		defer k.wg.Done()
		keys, err := k.source.fetch(k.ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.flight, k.lastErr = nil, err
		if err == nil {
			k.current = &snapshot{keys: keys, at: k.now()}
		} else if k.ctx.Err() == nil {
			k.log.Warn("identity: keys of an issuer could not be read", slog.Any("error", err))
		}
		f.err = err
		close(f.done)
	}()
	return f
}

// wait waits for the fetch, or for the request's own end: a request that goes away does not end the fetch of others.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// start begins the refresher. The caller holds mu.
func (k *keySet) start() {
	if k.started {
		return
	}
	k.started = true
	k.wg.Add(1)
	go func() {
		defer k.wg.Done()
		k.refresh()
	}()
}

// refresh reads the keys again for as long as the set lives, so that no request waits for it.
func (k *keySet) refresh() {
	wait := RefreshEvery
	for {
		timer := time.NewTimer(wait)
		select {
		case <-k.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		k.mu.Lock()
		if k.closed {
			k.mu.Unlock()
			return
		}
		f := k.join()
		k.mu.Unlock()
		wait = RefreshEvery
		if f.wait(k.ctx) != nil {
			wait = failedRefreshEvery
		}
	}
}
