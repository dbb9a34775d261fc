package translog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"
)

// DamagedError says that a log is not the one that was signed last. A recorder must not go on with it: it would sign
// what somebody else wrote.
type DamagedError struct{ Reason string }

func (e *DamagedError) Error() string {
	return "translog: the log is damaged (" + e.Reason + "): nothing is recorded into it; `sluice audit verify` says more"
}

// state is tessera's own note of how far it is (its .state/treeState, as of v1.0.4).
type state struct {
	Size uint64 `json:"size"`
	Root []byte `json:"root"`
}

// checkState compares tessera's private state, which nothing signs and from which it would go on, with the checkpoint
// and the tiles. It returns the size; a log that does not exist yet has none.
func checkState(ctx context.Context, root *os.Root, key note.Verifier) (size uint64, err error) {
	raw, cerr := ReadCheckpoint(root)
	st, serr := Read(root, path.Join(Dir, ".state", "treeState"))
	switch {
	case errors.Is(cerr, fs.ErrNotExist) && (errors.Is(serr, fs.ErrNotExist) || isEmptyState(st)):
		return 0, nil // new, or its first start was cut off before the first checkpoint
	case cerr != nil:
		return 0, &DamagedError{Reason: "no checkpoint: " + cerr.Error()}
	case serr != nil:
		return 0, &DamagedError{Reason: "no state: " + serr.Error()}
	}
	cp, err := ParseCheckpoint(raw, key)
	if err != nil {
		return 0, &DamagedError{Reason: err.Error()}
	}
	var s state
	if err := json.Unmarshal(st, &s); err != nil {
		return 0, &DamagedError{Reason: "state: " + err.Error()}
	}
	if s.Size < cp.Size {
		return 0, &DamagedError{Reason: fmt.Sprintf("%d entries, but %d are signed", s.Size, cp.Size)}
	}
	for _, want := range []state{{cp.Size, cp.Root[:]}, s} {
		got, err := rootAt(ctx, root, want.Size)
		if err != nil {
			return 0, &DamagedError{Reason: err.Error()}
		}
		if !bytes.Equal(got, want.Root) {
			return 0, &DamagedError{Reason: fmt.Sprintf("the tiles have another root at %d entries", want.Size)}
		}
	}
	return s.Size, nil
}

func isEmptyState(raw []byte) bool {
	var s state
	return json.Unmarshal(raw, &s) == nil && s.Size == 0
}

// rootAt is the tree's root at a size, from the tiles.
func rootAt(ctx context.Context, root *os.Root, size uint64) ([]byte, error) {
	if size == 0 {
		return rfc6962.DefaultHasher.EmptyRoot(), nil
	}
	hashes, err := client.FetchRangeNodes(ctx, size, func(_ context.Context, level, index uint64, p uint8) ([]byte, error) {
		t := Tile{Level: level, Index: index}
		b, err := ReadWidth(root, t, int(p))
		if p != 0 && errors.Is(err, fs.ErrNotExist) {
			// The signed size may lie before a wider partial tile.
			widths, werr := Widths(root, t)
			if werr != nil || len(widths) == 0 || widths[len(widths)-1] < int(p) {
				return nil, err
			}
			b, err = ReadWidth(root, t, widths[len(widths)-1])
		}
		if err != nil {
			return nil, err
		}
		return b, nil
	})
	if err != nil {
		return nil, fmt.Errorf("tiles: %w", err)
	}
	r, err := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewRange(0, size, hashes)
	if err != nil {
		return nil, fmt.Errorf("tiles: %w", err)
	}
	return r.GetRootHash(nil)
}

// prune removes the files that reach past the tree: a batch was cut off after them and before the state, and the next
// batch would leave some of them beside its own. What somebody was writing when cut off goes too.
func prune(root *os.Root, size uint64) error {
	dir := path.Join(Dir, "tile")
	if _, err := root.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fs.WalkDir(root.FS(), dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if t, ok := ParseTile(name); ok && t.End() <= size {
			return nil
		}
		return root.Remove(name)
	})
}
