package record

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicegate/sluice/extproc/record/index"
	"github.com/sluicegate/sluice/extproc/record/journal"
)

// Options make a Recorder.
type Options struct {
	// Dir is the directory of recordings, on a local file system; made with mode 0700.
	Dir string
	// KeyDir is where the log's key and the HMAC key are, and are made; default Dir/keys. Whoever can read it can forge.
	KeyDir string
	// Processor is the processor's id.
	Processor string
	// HMACKey hides values, at least 32 bytes; default: a file in KeyDir.
	HMACKey []byte
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Rand makes keys; default crypto/rand.
	Rand io.Reader
	// Logger hears what nobody waits for; default: nobody.
	Logger *slog.Logger
	// WarnFree and StopFree are bytes: while less is free, a warning is logged, or nothing is recorded (ErrNoSpace).
	// Defaults 1 GiB and 64 MiB.
	WarnFree, StopFree uint64
	// Index is kept by the caller; nil is SQLite in Dir.
	Index index.Store
	// MaxMemory bounds the chunks in memory, in bytes; default 32 MiB. Append waits when they are more.
	MaxMemory int64
	// Sealers is how many workers seal chunks; default: as many as cores, at most 4.
	Sealers int

	// For tests: what a full disk does.
	createSegment func(root *os.Root, name string) (journal.File, error)
	free          func(dir *os.File) (uint64, error)
	segmentSize   int64
}

const (
	defaultWarnFree  = 1 << 30
	defaultStopFree  = 64 << 20
	defaultMaxMemory = 32 << 20
	maxSealers       = 4
)

func (o *Options) fill() error {
	if o.Dir == "" {
		return errors.New("record: no directory")
	}
	if o.Processor == "" {
		return errors.New("record: no processor id")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.WarnFree == 0 {
		o.WarnFree = defaultWarnFree
	}
	if o.StopFree == 0 {
		o.StopFree = defaultStopFree
	}
	if o.MaxMemory == 0 {
		o.MaxMemory = defaultMaxMemory
	}
	if o.Sealers <= 0 {
		o.Sealers = min(maxSealers, runtime.GOMAXPROCS(0))
	}
	if o.free == nil {
		o.free = freeBytes
	}
	return nil
}

// freeBytes is what is free for those who are not root, on the file system of a directory.
func freeBytes(dir *os.File) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return 0, fmt.Errorf("record: statfs: %w", err)
	}
	return st.Bavail * uint64(st.Bsize), nil //nolint:gosec // G115: a block's size is positive
}
