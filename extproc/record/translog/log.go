package translog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

const (
	// interval is tessera's batch age and how often a checkpoint is signed.
	interval = time.Second
	// window is how many leaves may be on their way; after that Add waits.
	window = 4096
)

// Log takes leaves. It is safe for concurrent use.
type Log struct {
	appender *tessera.Appender
	shutdown func(context.Context) error
	stop     context.CancelFunc
	size     atomic.Uint64

	order    sync.Mutex // Add: the order of leaves is that of pending
	closed   bool
	pending  chan onItsWay
	resolved chan struct{} // closed when all that were pending are done
}

type onItsWay struct {
	future tessera.IndexFuture
	done   func(error)
}

// Options make a Log.
type Options struct {
	// Root is the recorder's directory, locked by the caller.
	Root *os.Root
	// Signer signs checkpoints; its name is the log's origin. Verifier is its other half.
	Signer   note.Signer
	Verifier note.Verifier
}

// Open opens the log of a directory, or makes it. One that is not what its own last checkpoint says is a *DamagedError.
func Open(ctx context.Context, o Options) (*Log, error) {
	if err := o.Root.Mkdir(Dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("translog: %w", err)
	}
	size, err := checkState(ctx, o.Root, o.Verifier)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		// Whatever was cut off before the first checkpoint is begun again.
		if err := o.Root.Remove(path.Join(Dir, ".state", "treeState")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("translog: %w", err)
		}
	}
	if err := prune(o.Root, size); err != nil {
		return nil, fmt.Errorf("translog: %w", err)
	}
	driver, err := posix.New(ctx, posix.Config{Path: filepath.Join(o.Root.Name(), Dir)})
	if err != nil {
		return nil, fmt.Errorf("translog: %w", err)
	}
	l := &Log{pending: make(chan onItsWay, window), resolved: make(chan struct{})}
	l.size.Store(size)
	// Tessera works on until it is told to stop: the caller's context is for opening only.
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	opts := tessera.NewAppendOptions().WithCheckpointSigner(o.Signer).
		WithBatching(tessera.DefaultBatchMaxSize, interval).WithCheckpointInterval(interval)
	l.appender, l.shutdown, _, err = tessera.NewAppender(run, driver, opts)
	if err != nil {
		stop()
		return nil, fmt.Errorf("translog: %w", err)
	}
	l.stop = stop
	go l.resolve()
	return l, nil
}

// Size is at most the number of leaves in the log: those that are known to be in it.
func (l *Log) Size() uint64 { return l.size.Load() }

// Add puts a leaf on its way, after all that were added before. It waits only while too many are on their way. Done is
// called once, in order, when the leaf is in the log for good, or with the error; it must not block.
func (l *Log) Add(ctx context.Context, leaf Leaf, done func(error)) {
	l.order.Lock()
	defer l.order.Unlock()
	if l.closed {
		done(fs.ErrClosed)
		return
	}
	l.pending <- onItsWay{l.appender.Add(context.WithoutCancel(ctx), tessera.NewEntry(leaf.Marshal())), done}
}

// resolve tells the adders. One goroutine does for all: futures come true in the order of their batches.
func (l *Log) resolve() {
	defer close(l.resolved)
	for p := range l.pending {
		index, err := p.future()
		if err != nil {
			err = fmt.Errorf("translog: add: %w", err)
		} else if n := index.Index + 1; n > l.size.Load() {
			l.size.Store(n)
		}
		p.done(err)
	}
}

// Close waits until all leaves are in the log and a checkpoint over them is signed, then stops. If the context ends
// before, the rest stays undone, and what is on its way goes on until the process ends.
func (l *Log) Close(ctx context.Context) error {
	l.order.Lock()
	first := !l.closed
	l.closed = true
	l.order.Unlock()
	if !first {
		return nil
	}
	close(l.pending)
	select {
	case <-l.resolved:
	case <-ctx.Done():
		return fmt.Errorf("translog: close: %w", context.Cause(ctx))
	}
	defer l.stop()
	if err := l.shutdown(ctx); err != nil {
		return fmt.Errorf("translog: close: %w", err)
	}
	return nil
}
