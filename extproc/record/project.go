package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record/index"
)

const (
	// projectInterval is how long changes are gathered: a live session is in the list well within a second.
	projectInterval = 100 * time.Millisecond
	projectRetry    = time.Second
	// How much may wait for an index that does not answer. Past it the index is made again at the next start: it is a
	// projection, and stops nobody.
	maxDirty      = 65_536
	maxStatements = 16_384
	projectBatch  = 512

	lostFile = "index.rebuild"
)

// projector writes what changed to the index, in the background.
type projector struct {
	r *Recorder

	mu      sync.Mutex // guards the fields to the next blank line
	dirty   map[*Session]struct{}
	waiting []index.Statement
	lost    bool

	kick chan struct{}
}

func newProjector(r *Recorder) *projector {
	return &projector{r: r, dirty: map[*Session]struct{}{}, kick: make(chan struct{}, 1)}
}

// changed says that a session's row is old.
func (p *projector) changed(s *Session) {
	p.mu.Lock()
	_, known := p.dirty[s]
	over := !known && len(p.dirty) >= maxDirty
	if !over {
		p.dirty[s] = struct{}{}
	}
	p.mu.Unlock()
	p.added(over)
}

// statements adds rows.
func (p *projector) statements(rows []index.Statement) {
	p.mu.Lock()
	over := len(p.waiting)+len(rows) > maxStatements
	if !over {
		p.waiting = append(p.waiting, rows...)
	}
	p.mu.Unlock()
	p.added(over)
}

func (p *projector) added(over bool) {
	if over {
		if err := p.markLost(); err != nil {
			p.r.opts.Logger.Error("index falls behind and could not be marked for rebuild", slog.Any("error", err))
		}
		return
	}
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// markLost notes, for the next start, that the index has to be made again.
func (p *projector) markLost() error {
	p.mu.Lock()
	was := p.lost
	p.lost = true
	p.mu.Unlock()
	if was {
		return nil
	}
	f, err := p.r.root.OpenFile(lostFile, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// wasLost reports whether it was noted.
func (p *projector) wasLost() (bool, error) {
	lost, err := p.r.exists(lostFile)
	p.lost = lost
	return lost, err
}

// found takes the note back.
func (p *projector) found() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = false
	if err := p.r.root.Remove(lostFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

func (p *projector) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.kick:
		}
		wait := projectInterval
		if err := p.flush(ctx); err != nil && ctx.Err() == nil {
			p.r.opts.Logger.Warn("index could not be written, trying again", slog.Any("error", err))
			wait = projectRetry
			p.added(false)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// flush writes all that waits.
func (p *projector) flush(ctx context.Context) error {
	for {
		sessions, statements := p.take()
		if len(sessions) == 0 && len(statements) == 0 {
			return nil
		}
		rows := make([]*sessionv1.Session, len(sessions))
		for i, s := range sessions {
			rows[i] = s.row()
		}
		err := p.r.index.PutSessions(ctx, rows)
		if err == nil {
			sessions = nil
			err = p.r.index.PutStatements(ctx, statements)
		}
		if err != nil {
			p.putBack(sessions, statements)
			return err
		}
	}
}

func (p *projector) take() ([]*Session, []index.Statement) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var sessions []*Session
	for s := range p.dirty {
		if len(sessions) == projectBatch {
			break
		}
		sessions = append(sessions, s)
		delete(p.dirty, s)
	}
	n := min(len(p.waiting), projectBatch)
	statements := p.waiting[:n:n]
	p.waiting = p.waiting[n:]
	if len(p.waiting) == 0 {
		p.waiting = nil
	}
	return sessions, statements
}

func (p *projector) putBack(sessions []*Session, statements []index.Statement) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range sessions {
		p.dirty[s] = struct{}{}
	}
	p.waiting = append(statements, p.waiting...)
}
