package record

import (
	"context"
	"errors"
	"log/slog"
	"os"
)

// Close ends all sessions, seals everything and waits until it is in the log under a signed checkpoint. If the context
// ends before, the journal keeps the rest for the next Open.
func (r *Recorder) Close(ctx context.Context) error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	live := make([]*Session, 0, len(r.sessions))
	for _, s := range r.sessions {
		live = append(live, s)
	}
	r.mu.Unlock()
	for _, s := range live {
		if err := s.stop("recorder closed"); err != nil {
			r.opts.Logger.Warn("session has no recorded end", slog.String("session", s.ID()), slog.Any("error", err))
		}
	}
	return r.release(ctx)
}

// release stops the work and gives up what is open, as far as Open came.
func (r *Recorder) release(ctx context.Context) error {
	var errs []error
	if r.stop != nil {
		r.sealing.Wait() // bounded by MaxMemory; after a failure workers only drop
		close(r.queue)
		r.workers.Wait()
		close(r.placing)
		r.placer.Wait()
	}
	if r.log != nil {
		errs = append(errs, r.log.Close(ctx))
	}
	if r.stop != nil {
		r.stop()
		r.tickers.Wait()
	}
	if r.project != nil {
		errs = append(errs, r.project.flush(ctx))
	}
	if r.index != nil && r.opts.Index == nil {
		errs = append(errs, r.index.Close())
	}
	if r.journal != nil {
		if err := r.journal.Close(); err != nil && r.failure.Load() == nil {
			errs = append(errs, err)
		}
	}
	if f := r.failure.Load(); f != nil {
		errs = append(errs, f)
	}
	for _, f := range []*os.File{r.dir, r.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	if r.root != nil {
		errs = append(errs, r.root.Close())
	}
	return errors.Join(errs...)
}
