package rotate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// LookEvery is how often Run looks at the files. Daily certificates overlap by far more.
const LookEvery = time.Second

// Loaded is what files were read as, and what of it may stand in a log.
type Loaded[T any] struct {
	Value T
	// Attrs describe it, such as when it expires; never content.
	Attrs []any
}

// Files is a value made of files that may be replaced at any time. Its methods may be called at the same time.
type Files[T any] struct {
	name   string
	paths  []string
	load   func() (Loaded[T], error)
	logger *slog.Logger

	current atomic.Pointer[T]

	mu    sync.Mutex
	stamp string // of the files that current was read from
	fault string // of the files as they stand now; empty while they are in use
}

// Open reads the files for the first time. name stands in the log, such as "control.xds". The error is that of load.
func Open[T any](name string, logger *slog.Logger, load func() (Loaded[T], error), paths ...string) (*Files[T], error) {
	f := &Files[T]{name: name, paths: paths, load: load, logger: logger}
	// The stamp comes first: what changes while it is read is then seen as changed.
	stamp := f.look()
	l, err := load()
	if err != nil {
		return nil, err
	}
	f.stamp = stamp
	f.current.Store(&l.Value)
	return f, nil
}

// Get is the last good value.
func (f *Files[T]) Get() T { return *f.current.Load() }

// Err says why the files as they stand cannot be used; nil while they are.
func (f *Files[T]) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault == "" {
		return nil
	}
	return fmt.Errorf("%s: %s; the last good ones stay", f.name, f.fault)
}

// Look reads the files again if they changed. What cannot be used is tried at each call, and told once.
func (f *Files[T]) Look(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stamp := f.look()
	if stamp == f.stamp && f.fault == "" {
		return
	}
	l, err := f.load()
	if err != nil {
		if text := err.Error(); text != f.fault {
			f.fault = text
			f.logger.ErrorContext(ctx, "rotation failed: the last good files stay in use", slog.String("part", f.name),
				slog.Any("files", f.paths), slog.Any("error", err))
		}
		return
	}
	back := stamp == f.stamp
	f.stamp, f.fault = stamp, ""
	f.current.Store(&l.Value)
	if back {
		f.logger.InfoContext(ctx, "rotation taken back: the files are those in use", slog.String("part", f.name), slog.Any("files", f.paths))
		return
	}
	f.logger.InfoContext(ctx, "rotation done", append([]any{slog.String("part", f.name), slog.Any("files", f.paths)}, l.Attrs...)...)
}

// Run looks every LookEvery until ctx ends.
func (f *Files[T]) Run(ctx context.Context) error {
	tick := time.NewTicker(LookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.Look(ctx)
		}
	}
}

// look is the same while nothing was written to or put in place of any file, links followed.
func (f *Files[T]) look() string {
	var b strings.Builder
	for _, path := range f.paths {
		info, err := os.Stat(path)
		if err != nil {
			var errno syscall.Errno
			errors.As(err, &errno)
			fmt.Fprintf(&b, "%q %d\n", path, int(errno))
			continue
		}
		inode := uint64(0)
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			inode = s.Ino
		}
		fmt.Fprintf(&b, "%q %d %d %d\n", path, inode, info.Size(), info.ModTime().UnixNano())
	}
	return b.String()
}
