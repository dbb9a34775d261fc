package source

import (
	"context"
	"crypto/sha256"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// pace is how patient a watcher is.
type pace struct {
	// settle is how long a directory must be still before it is read.
	settle time.Duration
	// patience is how much longer faults must stand before they are told: an editor that truncates and writes leaves
	// half a file for a moment.
	patience time.Duration
	// poll is how often it is read without being told to: some file systems tell nothing.
	poll time.Duration
}

func defaultPace() pace {
	return pace{settle: 100 * time.Millisecond, patience: time.Second, poll: 3 * time.Second}
}

// Watch calls tell with what the directory holds, at once and after each change of the bundle's version or of its
// faults, until ctx ends. Calls come one after the other, from the goroutine that called Watch. Saves by writing, by
// renaming, by swapping links (Kubernetes) and by replacing the directory are all seen. A file that is replaced in
// one step is never seen half; one that is written in place may be, if its writer pauses for longer than 100 ms and
// what it has written so far is a whole policy.
func Watch(ctx context.Context, dir string, logger *slog.Logger, tell func(Result)) {
	watch(ctx, dir, logger, defaultPace(), tell)
}

// watcher is one Watch.
type watcher struct {
	dir    string
	logger *slog.Logger
	pace   pace
	tell   func(Result)
	notify *fsnotify.Watcher // nil: polling only
	inode  fs.FileInfo       // the directory that notify looks at

	told      string
	toldFrom  [sha256.Size]byte
	candidate [sha256.Size]byte
	since     time.Time
}

func watch(ctx context.Context, dir string, logger *slog.Logger, p pace, tell func(Result)) {
	w := &watcher{dir: filepath.Clean(dir), logger: logger, pace: p, tell: tell}
	var events chan fsnotify.Event
	var faults chan error
	if n, err := fsnotify.NewWatcher(); err != nil {
		logger.WarnContext(ctx, "policy directory is polled only", slog.Any("error", err))
	} else {
		defer n.Close()
		w.notify, events, faults = n, n.Events, n.Errors
		// The parent tells of the directory itself being replaced.
		if err := n.Add(filepath.Dir(w.dir)); err != nil {
			logger.DebugContext(ctx, "the policy directory's parent is not watched", slog.Any("error", err))
		}
	}
	w.attach(ctx)
	r := read(w.dir)
	w.report(r.digest(), evaluate(r))

	next := time.NewTimer(p.poll)
	defer next.Stop()
	poll := time.NewTicker(p.poll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events:
			if filepath.Dir(e.Name) == w.dir || filepath.Clean(e.Name) == w.dir {
				next.Reset(p.settle)
			}
		case err := <-faults:
			logger.WarnContext(ctx, "watching the policy directory", slog.Any("error", err))
			next.Reset(p.settle)
		case <-next.C:
			w.check(ctx, next)
		case <-poll.C:
			w.check(ctx, next)
		}
	}
}

// attach looks at the directory that stands at the path now.
func (w *watcher) attach(ctx context.Context) {
	info, err := os.Stat(w.dir)
	if w.notify == nil || (err == nil && w.inode != nil && os.SameFile(info, w.inode)) {
		return
	}
	// That of a directory which is gone has ended by itself.
	_ = w.notify.Remove(w.dir)
	w.inode = nil
	if err == nil {
		if err = w.notify.Add(w.dir); err == nil {
			w.inode = info
		}
	}
	if err != nil {
		w.logger.DebugContext(ctx, "the policy directory is not watched", slog.Any("error", err))
	}
}

// check tells of a change once two readings, settle apart, agree on it.
func (w *watcher) check(ctx context.Context, next *time.Timer) {
	w.attach(ctx)
	r := read(w.dir)
	digest := r.digest()
	if digest == w.toldFrom {
		w.candidate = digest
		return
	}
	if digest != w.candidate {
		w.candidate, w.since = digest, time.Now()
		next.Reset(w.pace.settle)
		return
	}
	if time.Since(w.since) < w.pace.settle {
		return // the timer is on its way
	}
	res := evaluate(r)
	if wait := w.pace.patience - time.Since(w.since); res.Faults != nil && wait > 0 {
		next.Reset(wait)
		return
	}
	w.report(digest, res)
}

func (w *watcher) report(digest [sha256.Size]byte, res Result) {
	w.toldFrom, w.candidate = digest, digest
	if key := res.key(); key != w.told {
		w.told = key
		w.tell(res)
	}
}
