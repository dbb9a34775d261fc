package record_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/extproc/record"
	"github.com/sluicegate/sluice/extproc/record/journal"
	"github.com/sluicegate/sluice/extproc/record/translog"
)

// badDisk is a segment that fails when told to.
type badDisk struct {
	*os.File
	write, sync *atomic.Pointer[error]
}

func (d badDisk) Write(b []byte) (int, error) {
	if err := d.write.Load(); err != nil {
		n, _ := d.File.Write(b[:len(b)/2]) // a torn write
		return n, *err
	}
	return d.File.Write(b)
}

func (d badDisk) Datasync() error {
	if err := d.sync.Load(); err != nil {
		return *err
	}
	return d.Sync()
}

func TestAFailedWriteStopsAllSessionsForGood(t *testing.T) {
	for name, c := range map[string]struct {
		write, sync error
	}{
		"write: the disk is full": {write: syscall.ENOSPC},
		"write: the disk is bad":  {write: syscall.EIO},
		"fdatasync fails":         {sync: syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var write, sync atomic.Pointer[error]
			r := open(t, dir, func(o *record.Options) {
				o.FailWith(func(root *os.Root, name string) (journal.File, error) {
					f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
					return badDisk{f, &write, &sync}, err
				})
			})
			a, b := begin(t, r, "p1-A"), begin(t, r, "p1-B")
			must(t, a.Append(true, outcome(1, 1, 1)))
			cause := c.write
			if c.write != nil {
				write.Store(&c.write)
			} else {
				cause = c.sync
				sync.Store(&c.sync)
			}
			err := a.Append(true, outcome(2, 1, 1))
			if _, ok := errors.AsType[*record.Error](err); !ok || !errors.Is(err, cause) {
				t.Fatalf("append: %v", err)
			}
			write.Store(nil)
			sync.Store(nil) // the disk is well again; nobody knows what it has
			for what, err := range map[string]error{
				"append": b.Append(false, outcome(1, 1, 1)), "data": b.Data(recordv1.Data_TO_AGENT, 1, []byte("x")),
				"end": b.End(t.Context(), "bye"), "err": r.Err(),
			} {
				if !errors.Is(err, cause) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if _, err := r.Begin(t.Context(), "p1-C", start()); !errors.Is(err, cause) {
				t.Errorf("begin: %v", err)
			}
			if err := r.Close(context.Background()); !errors.Is(err, cause) {
				t.Errorf("close: %v", err)
			}
			// The next process finds what was acknowledged.
			again := open(t, dir)
			if events := collect(t, again.Events(t.Context(), "p1-A")); lastOutcome(events) < 1 || countEnds(events) != 1 {
				t.Errorf("recovered: %v", events)
			}
			closeRecorder(t, again)
			verifyClean(t, dir)
		})
	}
}

func TestLittleSpaceStopsSessionsUntilThereIsMore(t *testing.T) {
	dir := t.TempDir()
	var free atomic.Uint64
	free.Store(1000)
	var log syncBuffer
	r := open(t, dir, func(o *record.Options) {
		o.WarnFree, o.StopFree = 500, 100
		o.FreeIs(free.Load)
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	s := begin(t, r, "p1-A")
	free.Store(499)
	waitFor(t, 3*time.Second, func() bool { return strings.Contains(log.String(), "runs out") })
	must(t, s.Append(true, outcome(1, 1, 1)))
	free.Store(99)
	waitFor(t, 3*time.Second, func() bool { return errors.Is(r.Err(), record.ErrNoSpace) })
	for what, err := range map[string]error{
		"append": s.Append(false, outcome(2, 1, 1)), "data": s.Data(recordv1.Data_TO_AGENT, 1, []byte("x")),
	} {
		if _, ok := errors.AsType[*record.Error](err); !ok || !errors.Is(err, record.ErrNoSpace) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := r.Begin(t.Context(), "p1-B", start()); !errors.Is(err, record.ErrNoSpace) {
		t.Errorf("begin: %v", err)
	}
	must(t, s.End(t.Context(), "no space")) // the last space is for ends
	free.Store(1000)
	waitFor(t, 3*time.Second, func() bool { return r.Err() == nil })
	must(t, begin(t, r, "p1-B").Append(true, outcome(1, 1, 1)))
	closeRecorder(t, r)
	verifyClean(t, dir)
}

// syncBuffer is a buffer that a logger and a test share.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestARealFullDiskStopsSessions records onto a file system of a few megabytes until it is full, with a watermark that
// comes too late.
func TestARealFullDiskStopsSessions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "small")
	must(t, os.Mkdir(dir, 0o700))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=12m"); err != nil {
		t.Skipf("a file system of its own needs root: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, 0)) })
	r, err := record.Open(t.Context(), record.Options{Dir: dir, Processor: "p1", WarnFree: 1, StopFree: 1})
	must(t, err)
	s, err := r.Begin(t.Context(), "p1-A", start())
	must(t, err)
	told := uint64(0)
	for n := uint64(1); ; n++ {
		if err = s.Data(recordv1.Data_TO_AGENT, n, make([]byte, 100_000)); err == nil {
			err = s.Append(true, outcome(n, 1, 1))
		}
		if err != nil {
			break
		}
		told = n
	}
	if _, ok := errors.AsType[*record.Error](err); !ok || !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, record.ErrNoSpace) {
		t.Fatalf("full disk: %v", err)
	}
	if r.Close(context.Background()) == nil && r.Err() != nil {
		t.Error("close of a failed recorder says nothing")
	}
	// Somebody makes room: the next process has all that was acknowledged.
	must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=64m"))
	again, err := record.Open(t.Context(), record.Options{Dir: dir, Processor: "p1", WarnFree: 1, StopFree: 1})
	must(t, err)
	events := collect(t, again.Events(t.Context(), "p1-A"))
	if got := lastOutcome(events); got < told {
		t.Errorf("recovered to %d, told %d", got, told)
	}
	must(t, again.Close(context.Background()))
	verifyClean(t, dir)
}

func TestADamagedLogIsNotContinued(t *testing.T) {
	good := t.TempDir()
	r := open(t, good)
	for i := range 3 {
		must(t, begin(t, r, fmt.Sprintf("p1-%d", i)).End(t.Context(), "done"))
	}
	closeRecorder(t, r)
	for name, damage := range map[string]func(dir string) error{
		"the log is removed":        func(dir string) error { return os.RemoveAll(filepath.Join(dir, "log")) },
		"its checkpoint is removed": func(dir string) error { return os.Remove(filepath.Join(dir, "log", "checkpoint")) },
		"its state is removed":      func(dir string) error { return os.Remove(filepath.Join(dir, "log", ".state", "treeState")) },
		"its state is set back": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "log", ".state", "treeState"), []byte(`{"size":0,"root":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}`), 0o600)
		},
		"a tile is changed": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "log", "tile", "0", "000.p", "3"), make([]byte, 96), 0o600)
		},
		"the key is another": func(dir string) error { return os.RemoveAll(filepath.Join(dir, "keys")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "copy")
			must(t, os.CopyFS(dir, os.DirFS(good)))
			must(t, damage(dir))
			r, err := record.Open(t.Context(), record.Options{Dir: dir, Processor: "p1", StopFree: 1})
			if err == nil {
				_ = r.Close(context.Background())
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), "damaged") {
				t.Fatal(err)
			}
		})
	}
}

func TestALogThatIsShorterThanTheJournalKnowsIsNotContinued(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	must(t, begin(t, r, "p1-A").End(t.Context(), "done"))
	closeRecorder(t, r)
	r = open(t, dir)
	begin(t, r, "p1-B")
	dead := filepath.Join(t.TempDir(), "copy") // as after a kill
	must(t, os.CopyFS(dead, os.DirFS(dir)))
	must(t, os.RemoveAll(filepath.Join(dead, "log")))
	_, err := record.Open(t.Context(), record.Options{Dir: dead, Processor: "p1", StopFree: 1})
	if _, ok := errors.AsType[*translog.DamagedError](err); !ok {
		t.Fatalf("opened: %v", err)
	}
}
