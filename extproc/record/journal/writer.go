package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"
)

// SegmentSize is when a new segment is begun, in bytes.
const SegmentSize = 64 << 20

// File is what a segment is written to.
type File interface {
	Write(b []byte) (int, error)
	// Datasync is fdatasync(2). It may meet a Close, and then fails.
	Datasync() error
	Close() error
}

// Options make a Writer.
type Options struct {
	// Root is the recorder's directory; it stays the caller's to close.
	Root *os.Root
	// LogSize is the size of the log now; asked at the birth of each segment.
	LogSize func() uint64
	// Signer signs the head of the journal after each sync; nil: none is kept.
	Signer note.Signer
	// SegmentSize in bytes; 0 is SegmentSize.
	SegmentSize int64
	// Create opens a new file for appending; nil is the real one. Tests let it fail.
	Create func(root *os.Root, name string) (File, error)
}

// Writer appends to the journal. It is safe for concurrent use. Its first failure is its last state: after it, nothing
// is written (a file after a failed write or fsync is in a state that nobody knows).
type Writer struct {
	opts Options

	mu      sync.Mutex // guards the fields to the next blank line
	cur     *segment
	old     []*segment // oldest first
	live    map[*Session]struct{}
	written uint64 // bytes, of all segments
	err     error

	heads  *heads
	commit sync.Mutex // held by who syncs: the rest wait and find themselves covered
	synced atomic.Uint64
}

// segment is one file.
type segment struct {
	number uint64
	file   File
	size   int64 // without the sessions at its beginning
	total  int64 // with them
	chain  *chain
	refs   int // chunks whose first byte is in it and that are not released
}

// Session is a session's place in the journal. Its fields are the Writer's.
type Session struct {
	ref         uint64
	description []byte
	chunk       uint64
	state       State
}

// NewSession is a session that was not written yet. Ref is unique within the journal; the description is what the next
// process needs to know of it.
func NewSession(ref uint64, description []byte) *Session {
	return &Session{ref: ref, description: description}
}

// Ref is the session's number within the journal.
func (s *Session) Ref() uint64 { return s.ref }

// Hold keeps the segments from the one with a chunk's first byte on.
type Hold struct{ seg *segment }

// Open begins a journal after the segment with number last. The caller has dealt with older ones.
func Open(o Options, last uint64) (*Writer, error) {
	if o.SegmentSize == 0 {
		o.SegmentSize = SegmentSize
	}
	if o.Create == nil {
		o.Create = createFile
	}
	if err := o.Root.Mkdir(Dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("journal: %w", err)
	}
	w := &Writer{opts: o, live: map[*Session]struct{}{}}
	var err error
	if w.heads, err = openHeads(o.Root, o.Signer); err != nil {
		return nil, err
	}
	if w.cur, err = w.begin(last+1, Chain{}); err != nil {
		return nil, errors.Join(err, w.heads.close())
	}
	if err := w.heads.put(w.cur.at(), true); err != nil {
		return nil, errors.Join(err, w.cur.file.Close(), w.heads.close())
	}
	return w, nil
}

// Append writes a session's records, whole, and remembers how far the session is. It returns when the bytes are the
// operating system's, with the place to Commit. Hold is that of the chunk which the records belong to. At the end the
// session is forgotten.
func (w *Writer) Append(s *Session, b []byte, chunk uint64, st State, h *Hold, end bool) (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	if w.cur.size >= w.opts.SegmentSize {
		if err := w.rotate(); err != nil {
			return 0, w.fail(err)
		}
	}
	if _, err := w.cur.file.Write(b); err != nil {
		return 0, w.fail(fmt.Errorf("journal: write: %w", err))
	}
	w.cur.size += int64(len(b))
	w.cur.total += int64(len(b))
	w.cur.chain.addAll(b)
	w.written += uint64(len(b))
	if h.seg == nil {
		h.seg = w.cur
		w.cur.refs++
	}
	s.chunk, s.state = chunk, st
	if end {
		delete(w.live, s)
	} else {
		w.live[s] = struct{}{}
	}
	return w.written, nil
}

// State is how far a session is in the journal.
func (w *Writer) State(s *Session) State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return s.state
}

func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return w.err
}

// Commit returns when all bytes up to place are on the disk. One fdatasync serves all who wait.
func (w *Writer) Commit(place uint64) error {
	if w.synced.Load() >= place {
		return nil
	}
	w.commit.Lock()
	defer w.commit.Unlock()
	if w.synced.Load() >= place {
		return nil
	}
	w.mu.Lock()
	file, written, err := w.cur.file, w.written, w.err
	w.mu.Unlock()
	if err != nil {
		return err
	}
	if err := file.Datasync(); err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		// A new segment may have been begun meanwhile and this file closed: rotate synced it before.
		if w.cur.file == file {
			return w.fail(fmt.Errorf("journal: fdatasync: %w", err))
		}
	}
	w.synced.Store(written)
	return nil
}

// Sync commits what is written.
func (w *Writer) Sync() error {
	w.mu.Lock()
	written, at := w.written, w.cur.at()
	w.mu.Unlock()
	if err := w.Commit(written); err != nil {
		return err
	}
	return w.heads.put(at, false)
}

// at is how far a segment is.
func (s *segment) at() Head { return Head{Segment: s.number, Bytes: s.total, Chain: s.chain.sum()} }

// Release says that a chunk is sealed and logged: the journal no longer needs to keep it.
func (w *Writer) Release(h *Hold) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h.seg != nil {
		h.seg.refs--
		h.seg = nil
	}
}

// Collect removes the segments that nobody needs. A segment goes only when all before it have gone.
func (w *Writer) Collect() error {
	w.mu.Lock()
	var done []uint64
	for len(w.old) > 0 && w.old[0].refs == 0 {
		done = append(done, w.old[0].number)
		w.old = w.old[1:]
	}
	newest := w.cur.at()
	w.mu.Unlock()
	if len(done) == 0 {
		return nil
	}
	// Whoever comes after a power cut must not look for what is removed here: all up to the newest segment's beginning is
	// on the disk, and its head goes there first.
	if err := w.Sync(); err != nil {
		return err
	}
	if err := w.heads.put(newest, true); err != nil {
		return err
	}
	return Remove(w.opts.Root, done)
}

// Close closes the journal. If every session has ended and every chunk is released, nothing is left on the disk.
func (w *Writer) Close() error {
	err := w.Sync()
	if cerr := w.Collect(); err == nil {
		err = cerr
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	err = errors.Join(err, w.cur.file.Close())
	if err == nil && w.err == nil && len(w.live) == 0 && len(w.old) == 0 && w.cur.refs == 0 {
		if err = w.heads.end(w.cur.number); err == nil {
			err = Remove(w.opts.Root, []uint64{w.cur.number})
		}
	}
	err = errors.Join(err, w.heads.close())
	if w.err == nil {
		w.err = fs.ErrClosed
	}
	return err
}

// rotate begins a new segment. The old one is on the disk before the new one has its first byte, so the journal is
// always a whole beginning of what was written.
func (w *Writer) rotate() error {
	if err := w.cur.file.Datasync(); err != nil {
		return fmt.Errorf("journal: fdatasync: %w", err)
	}
	next, err := w.begin(w.cur.number+1, w.cur.chain.sum())
	if err != nil {
		return err
	}
	old := w.cur
	w.old = append(w.old, old)
	w.cur = next
	if err := old.file.Close(); err != nil {
		return fmt.Errorf("journal: close: %w", err)
	}
	return nil
}

// begin makes a segment with all live sessions at its beginning, durably.
func (w *Writer) begin(number uint64, previous Chain) (*segment, error) {
	f, err := w.opts.Create(w.opts.Root, path.Join(Dir, segmentName(number)))
	if err != nil {
		return nil, fmt.Errorf("journal: begin segment: %w", err)
	}
	b := appendSegment(nil, w.opts.LogSize(), previous)
	sessions := make([]*Session, 0, len(w.live))
	for s := range w.live {
		sessions = append(sessions, s)
	}
	slices.SortFunc(sessions, func(a, b *Session) int { return cmp.Compare(a.ref, b.ref) })
	for _, s := range sessions {
		b = AppendSession(b, s.ref, s.chunk, s.state, s.description)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Datasync()
	}
	if err == nil {
		err = syncDir(w.opts.Root)
	}
	if err != nil {
		return nil, fmt.Errorf("journal: begin segment: %w", errors.Join(err, f.Close()))
	}
	s := &segment{number: number, file: f, total: int64(len(b)), chain: newChain(previous)}
	s.chain.addAll(b)
	return s, nil
}

func syncDir(root *os.Root) error {
	d, err := root.Open(Dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// osFile is a File of the operating system.
type osFile struct{ *os.File }

// createFile makes a mapped segment, where the file system can.
func createFile(root *os.Root, name string) (File, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	m, err := newMapped(f)
	switch {
	case err == nil:
		return m, nil
	case errors.Is(err, errors.ErrUnsupported) || errors.Is(err, unix.ENODEV):
		return osFile{f}, nil // nothing was written yet: it appends from the beginning
	}
	return nil, errors.Join(err, f.Close(), root.Remove(name))
}

// Datasync is fdatasync(2): unlike Sync it does not write the file's times.
func (f osFile) Datasync() error {
	return f.control(func(fd int) error {
		return again(func() error { return unix.Fdatasync(fd) })
	})
}

// again repeats a system call that a signal interrupts.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// control calls use with the descriptor, which stays open meanwhile.
func (f osFile) control(use func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var uerr error
	err = conn.Control(func(fd uintptr) { uerr = use(int(fd)) })
	return errors.Join(err, uerr)
}
