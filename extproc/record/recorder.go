package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record/chunk"
	"github.com/sluicegate/sluice/extproc/record/index"
	"github.com/sluicegate/sluice/extproc/record/index/sqlite"
	"github.com/sluicegate/sluice/extproc/record/journal"
	"github.com/sluicegate/sluice/extproc/record/translog"
)

// maxQueue is how many sessions may wait for a sealing worker; more wait in Append.
const maxQueue = 256

// Recorder records the sessions of one process into one directory. It is safe for concurrent use.
type Recorder struct {
	Hider

	opts    Options
	root    *os.Root
	dir     *os.File // of root, to ask for free space
	lock    *os.File
	store   *chunk.Store
	journal *journal.Writer
	log     *translog.Log
	key     note.Verifier
	index   index.Store
	project *projector

	failure atomic.Pointer[Error] // the first failure to write: nothing is recorded after it
	low     atomic.Bool           // less than StopFree is free
	warned  atomic.Bool           // less than WarnFree is free, and somebody was told

	mu       sync.Mutex // guards the fields to the next blank line
	sessions map[string]*Session
	nextRef  uint64
	closed   bool

	memory  *budget
	buffers buffers
	ages    ages
	queue   chan *Session
	placing chan sealed
	sealing sync.WaitGroup // chunks that are cut and not yet in place

	stop    context.CancelFunc
	tickers sync.WaitGroup
	workers sync.WaitGroup
	placer  sync.WaitGroup
}

// Open opens a directory of recordings, or makes it, and brings to an end what a process before left open: its chunks
// are sealed and its sessions end with "recorder restarted". If another process records into it, that is a
// *LockedError. The context is for opening only.
func Open(ctx context.Context, o Options) (*Recorder, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	r := &Recorder{
		opts: o, sessions: map[string]*Session{}, nextRef: 1,
		memory: newBudget(o.MaxMemory), queue: make(chan *Session, maxQueue),
		placing: make(chan sealed, maxPlacing),
	}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(err, r.release(ctx))
	}
	return r, nil
}

func (r *Recorder) open(ctx context.Context) error {
	if err := os.MkdirAll(r.opts.Dir, 0o700); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	dir, err := filepath.Abs(r.opts.Dir)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if r.root, err = os.OpenRoot(dir); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if err := r.root.Chmod(".", 0o700); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if r.dir, err = r.root.Open("."); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if r.lock, err = lockDir(r.root); err != nil {
		return err
	}
	signer, err := r.openKeys(dir)
	if err != nil {
		return err
	}
	r.store = chunk.NewStore(r.root)
	if r.log, err = translog.Open(ctx, translog.Options{Root: r.root, Signer: signer, Verifier: r.key}); err != nil {
		return err
	}
	if err := r.checkSpace(); err != nil {
		return err
	}
	fresh, err := r.openIndex(ctx, dir)
	if err != nil {
		return err
	}
	last, err := r.recoverJournal(ctx, signer)
	if err != nil {
		return err
	}
	r.journal, err = journal.Open(journal.Options{
		Root: r.root, LogSize: r.log.Size, Signer: signer, Create: r.opts.createSegment, SegmentSize: r.opts.segmentSize,
	}, last)
	if err != nil {
		return err
	}
	return r.start(ctx, fresh)
}

func (r *Recorder) openKeys(dir string) (note.Signer, error) {
	path := r.opts.KeyDir
	if path == "" {
		path = filepath.Join(dir, "keys")
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	keys, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	defer keys.Close()
	signer, verifier, err := translog.LoadKey(keys, "sluice/"+r.opts.Processor, r.opts.Rand)
	if err != nil {
		return nil, err
	}
	r.key = verifier
	key := r.opts.HMACKey
	if key == nil {
		if key, err = loadHMACKey(keys, r.opts.Rand); err != nil {
			return nil, err
		}
	}
	r.Hider, err = NewHider(key)
	return signer, err
}

// openIndex opens the index and reports whether it has to be made again from the chunks.
func (r *Recorder) openIndex(ctx context.Context, dir string) (fresh bool, err error) {
	if r.index = r.opts.Index; r.index == nil {
		s, made, err := sqlite.Open(ctx, filepath.Join(dir, "index.sqlite"))
		if err != nil {
			return false, err
		}
		r.index, fresh = s, made
	}
	r.project = newProjector(r)
	if fresh {
		return true, r.project.markLost()
	}
	return r.project.wasLost()
}

// start begins the work in the background.
func (r *Recorder) start(ctx context.Context, fresh bool) error {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	for range r.opts.Sealers {
		enc, err := chunk.NewEncoder()
		if err != nil {
			return err
		}
		r.workers.Go(func() { r.seal(enc) })
	}
	r.placer.Go(func() { r.place(run) })
	if fresh {
		known, err := r.known()
		if err != nil {
			return err
		}
		if err := r.index.Clear(ctx, r.opts.Processor); err != nil {
			return err
		}
		r.tickers.Go(func() { r.reindex(run, known) })
	}
	r.tickers.Go(func() { r.every(run, syncInterval, r.sync) })
	r.tickers.Go(func() { r.every(run, ageInterval, r.cutAged) })
	r.tickers.Go(func() { r.every(run, time.Second, r.watchSpace) })
	r.tickers.Go(func() { r.project.run(run) })
	return nil
}

const (
	// syncInterval keeps what a loss of power can take away under 50 ms.
	syncInterval = 25 * time.Millisecond
	ageInterval  = 25 * time.Millisecond
)

func (r *Recorder) every(ctx context.Context, d time.Duration, do func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			do()
		}
	}
}

func (r *Recorder) sync() {
	if r.failure.Load() != nil {
		return
	}
	err := r.journal.Sync()
	if err == nil {
		err = r.journal.Collect()
	}
	if err != nil {
		r.fail("sync", err)
	}
}

// fail makes the recorder record nothing any more.
func (r *Recorder) fail(op string, err error) {
	if r.failure.CompareAndSwap(nil, &Error{Op: op, Err: err}) {
		r.opts.Logger.Error("recorder failed, sessions stop", slog.String("op", op), slog.Any("error", err))
		r.memory.close()
	}
}

// failed is fail, and the failure that counts: the first.
func (r *Recorder) failed(op string, err error) error {
	r.fail(op, err)
	return r.failure.Load()
}

// ready reports why nothing can be recorded now. A session's end may use the last space.
func (r *Recorder) ready(ending bool) error {
	if f := r.failure.Load(); f != nil {
		return f
	}
	if r.low.Load() && !ending {
		return &Error{Op: "append", Err: ErrNoSpace}
	}
	return nil
}

// Begin begins a session's recording with who connected to what. The id is NewSessionID's.
func (r *Recorder) Begin(ctx context.Context, id string, start *recordv1.SessionStart) (*Session, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, &Error{Op: "begin", Err: err}
	}
	if err := r.ready(false); err != nil {
		return nil, err
	}
	if err := chunk.CheckSessionID(id); err != nil {
		return nil, &Error{Op: "begin", Err: err}
	}
	if start.GetProcessor() == "" {
		start.Processor = r.opts.Processor
	}
	start = valid(start)
	info := describe(id, start, r.opts.Now())
	description, err := proto.Marshal(info)
	if err != nil {
		return nil, &Error{Op: "begin", Err: err}
	}
	s := &Session{r: r, info: info, sealed: make(chan struct{})}
	r.mu.Lock()
	_, exists := r.sessions[id]
	if !exists && !r.closed {
		exists, err = r.store.HasSession(id)
	}
	switch {
	case err != nil:
	case r.closed:
		err = ErrClosed
	case exists:
		err = ErrExists
	default:
		s.place = journal.NewSession(r.nextRef, description)
		r.nextRef++
		r.sessions[id] = s
	}
	r.mu.Unlock()
	if err != nil {
		return nil, &Error{Op: "begin", Err: err}
	}
	if err := s.begin(start, description); err != nil {
		return nil, err
	}
	r.project.changed(s)
	return s, nil
}

// describe is a session's row in the index as it begins.
func describe(id string, start *recordv1.SessionStart, at time.Time) *sessionv1.Session {
	return &sessionv1.Session{
		Id: id, State: sessionv1.State_LIVE, Principal: start.GetPrincipal(), ClientAddress: start.GetClientAddress(),
		Target: start.GetTarget(), Database: start.GetDatabase(), Role: start.GetRole(),
		Application: start.GetApplication(), EnvoyNode: start.GetEnvoyNode(), Processor: start.GetProcessor(),
		StartedAt: timestamppb.New(at),
	}
}

func (r *Recorder) forget(s *Session) {
	r.mu.Lock()
	delete(r.sessions, s.info.GetId())
	r.mu.Unlock()
}

// session is a live one.
func (r *Recorder) session(id string) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[id]
}

// LogKey is the public key of the log, as auditors keep it.
func (r *Recorder) LogKey() note.Verifier { return r.key }

// Index is where sessions are listed. Closing the recorder closes it if the recorder opened it.
func (r *Recorder) Index() index.Store { return r.index }

// Err is why the recorder records nothing any more, nil while it does.
func (r *Recorder) Err() error { return r.ready(false) }

// checkSpace asks once how much is free.
func (r *Recorder) checkSpace() error {
	free, err := r.opts.free(r.dir)
	if err != nil {
		return err
	}
	r.low.Store(free < r.opts.StopFree)
	return nil
}

// known lists the sessions that have chunks.
func (r *Recorder) known() ([]string, error) {
	var ids []string
	err := r.store.Sessions(func(id string) { ids = append(ids, id) }, func(string) {})
	return ids, err
}

// exists reports whether a name exists in the recorder's directory.
func (r *Recorder) exists(name string) (bool, error) {
	switch _, err := r.root.Lstat(name); {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, fmt.Errorf("record: %w", err)
	}
}
