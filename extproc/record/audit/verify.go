package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/sluicegate/sluice/extproc/record/chunk"
	"github.com/sluicegate/sluice/extproc/record/translog"
)

// Verify checks a directory. Damage is in the report; an error means that it could not be checked.
func Verify(ctx context.Context, o Options) (*Report, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	key, err := translog.ParseKey(o.LogKey)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer root.Close()
	dec, err := chunk.NewDecoder()
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer dec.Close()
	a := &audit{
		ctx: ctx, opts: o, root: root, key: key, store: chunk.NewStore(root), dec: dec,
		report:   &Report{Dir: o.Dir, At: o.Now().UTC(), Findings: []Finding{}, Tail: []Tail{}, Notes: []string{}},
		sessions: map[string]*session{}, suspects: map[[32]byte]uint64{}, used: map[string]usedBy{},
	}
	if err := a.run(); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	a.report.OK = len(a.report.Findings) == 0
	return a.report, nil
}

// audit is one check on its way.
type audit struct {
	ctx    context.Context
	opts   Options
	root   *os.Root
	key    note.Verifier
	store  *chunk.Store
	dec    *chunk.Decoder
	report *Report

	checkpoint translog.Checkpoint
	sessions   map[string]*session
	suspects   map[[32]byte]uint64 // leaf hashes whose entry was changed, by which a chunk can still be known
	used       map[string]usedBy   // approvals
	headed     bool                // some chunk says that the journal keeps a head
	unlogged   []place             // chunks that have a file and no leaf under the checkpoint
}

// session is what the log says of one, and what was found.
type session struct {
	leaves []leaf // by chunk
	open   bool   // its last chunk is not its end
	files  uint64 // the chunk after the last that has a file
}

type leaf struct {
	digest [chunk.DigestSize]byte
	known  bool
}

// place is a chunk's.
type place struct {
	session string
	chunk   uint64
}

func (a *audit) run() error {
	raw, err := translog.ReadCheckpoint(a.root)
	if errors.Is(err, fs.ErrNotExist) {
		a.report.add(Finding{Kind: Removed, File: "log/checkpoint", Message: "The log has no checkpoint: nothing here can be proven."})
		return nil
	}
	if err != nil {
		return err
	}
	if a.checkpoint, err = translog.ParseCheckpoint(raw, a.key); err != nil {
		a.report.add(Finding{
			Kind: Changed, File: "log/checkpoint",
			Message: "The log's checkpoint was changed, or is not of the key " + a.key.Name() + ": nothing here can be proven. (" + err.Error() + ")",
		})
		return nil
	}
	a.report.Origin, a.report.Size, a.report.Root = a.checkpoint.Origin, a.checkpoint.Size, fmt.Sprintf("%x", a.checkpoint.Root)
	if err := a.tree(); err != nil {
		return err
	}
	if err := a.strays(); err != nil {
		return err
	}
	ids := map[string]bool{}
	for id := range a.sessions {
		ids[id] = true
	}
	err = a.store.Sessions(func(id string) { ids[id] = true }, func(name string) {
		a.report.add(Finding{Kind: Added, File: chunk.Dir + "/" + name, Message: fmt.Sprintf("%q is no session's directory.", name)})
	})
	if err != nil {
		return err
	}
	sorted := make([]string, 0, len(ids))
	for id := range ids {
		sorted = append(sorted, id)
	}
	slices.Sort(sorted)
	for _, id := range sorted {
		if err := context.Cause(a.ctx); err != nil {
			return err
		}
		if err := a.session(id); err != nil {
			return err
		}
	}
	return a.tail()
}

func ptr(n uint64) *uint64 { return &n }
