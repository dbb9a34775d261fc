package audit

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/sluicegate/sluice/extproc/record/translog"
)

// tree is the log rebuilt from its entries, and once more from its lowest tiles: when the two differ, the checkpoint
// says which of them was changed.
type tree struct {
	rebuilt *compact.Range
	upper   map[translog.Tile][]byte // what the tiles above the lowest should hold
	since   []byte                   // the root at the size of the earlier checkpoint
}

var hasher = rfc6962.DefaultHasher

func newTree() *tree {
	return &tree{
		rebuilt: (&compact.RangeFactory{Hash: hasher.HashChildren}).NewEmptyRange(0),
		upper:   map[translog.Tile][]byte{},
	}
}

func (t *tree) append(hash []byte, since uint64) error {
	err := t.rebuilt.Append(hash, func(id compact.NodeID, h []byte) {
		if id.Level == 0 || id.Level%translog.Height != 0 {
			return
		}
		tile := translog.Tile{Level: uint64(id.Level / translog.Height), Index: id.Index / translog.Width}
		t.upper[tile] = append(t.upper[tile], h...)
	})
	if err == nil && t.rebuilt.End() == since {
		t.since, err = t.rebuilt.GetRootHash(nil)
	}
	return err
}

func (t *tree) root() ([]byte, error) {
	if t.rebuilt.End() == 0 {
		return hasher.EmptyRoot(), nil
	}
	return t.rebuilt.GetRootHash(nil)
}

// differs is a leaf of which entry and tile say different things.
type differs struct {
	index uint64
	entry []byte // nil: there is none
	hash  [32]byte
}

// tree checks the log against its checkpoint and reads its leaves.
func (a *audit) tree() error {
	since, err := a.since()
	if err != nil {
		return err
	}
	entries, tiles := newTree(), newTree()
	var different []differs
	for index := uint64(0); index*translog.Width < a.checkpoint.Size; index++ {
		if err := context.Cause(a.ctx); err != nil {
			return err
		}
		need := int(min(translog.Width, a.checkpoint.Size-index*translog.Width))
		bundle, err := a.bundle(index, need)
		if err != nil {
			return err
		}
		hashes, err := a.lowest(index, need)
		if err != nil {
			return err
		}
		for i := range need {
			n := index*translog.Width + uint64(i)
			var entry, byEntry, byTile []byte
			if i < len(bundle) {
				entry = bundle[i]
				byEntry = hasher.HashLeaf(entry)
			}
			if 32*(i+1) <= len(hashes) {
				byTile = hashes[32*i : 32*(i+1)]
			}
			switch {
			case byEntry == nil && byTile == nil:
				a.report.add(Finding{
					Kind: Removed, File: translog.Tile{Entries: true, Index: index}.Path(),
					Message: fmt.Sprintf("The log has nothing of its entry %d any more; the rest cannot be proven.", n),
				})
				return nil
			case byEntry == nil:
				byEntry = byTile
				different = append(different, differs{n, nil, [32]byte(byTile)})
			case byTile == nil:
				byTile = byEntry // the missing tile is a finding already
			case !bytes.Equal(byEntry, byTile):
				different = append(different, differs{n, entry, [32]byte(byTile)})
			}
			if err := errors.Join(entries.append(byEntry, since.Size), tiles.append(byTile, since.Size)); err != nil {
				return err
			}
		}
	}
	if err := a.judge(entries, tiles, different, since); err != nil {
		return err
	}
	return a.leaves()
}

// judge says which of the two rebuilt trees is the signed one, and so what was changed.
func (a *audit) judge(entries, tiles *tree, different []differs, since translog.Checkpoint) error {
	byEntries, err := entries.root()
	if err != nil {
		return err
	}
	byTiles, err := tiles.root()
	if err != nil {
		return err
	}
	good := entries
	switch {
	case bytes.Equal(byEntries, a.checkpoint.Root[:]):
		for _, d := range different {
			t := translog.Tile{Index: d.index / translog.Width}
			a.report.add(Finding{Kind: Changed, File: t.Path(), Message: fmt.Sprintf("The log's tile of entry %d was changed.", d.index)})
		}
	case bytes.Equal(byTiles, a.checkpoint.Root[:]):
		good = tiles
		for _, d := range different {
			a.suspects[d.hash] = d.index
			if d.entry != nil { // one that is missing is a finding already
				t := translog.Tile{Entries: true, Index: d.index / translog.Width}
				a.report.add(Finding{Kind: Changed, File: t.Path(), Message: fmt.Sprintf("The log's entry %d was changed.", d.index)})
			}
		}
	default:
		a.report.add(Finding{
			Kind: Changed, File: translog.Dir,
			Message: fmt.Sprintf("The log's %d entries are not those that its checkpoint signed.", a.checkpoint.Size),
		})
		for _, d := range different {
			a.report.add(Finding{Kind: Changed, File: translog.Dir, Message: fmt.Sprintf("The log's entry %d and its tile differ.", d.index)})
		}
	}
	for _, t := range slices.SortedFunc(maps.Keys(good.upper), compareTiles) {
		if err := a.compare(t, good.upper[t]); err != nil {
			return err
		}
	}
	switch {
	case a.opts.Since == "":
	case since.Size > a.checkpoint.Size:
		a.report.add(Finding{
			Kind: Truncated, File: translog.Dir,
			Message: fmt.Sprintf("The log has %d entries; the earlier checkpoint signed %d.", a.checkpoint.Size, since.Size),
		})
	case since.Size > 0 && !bytes.Equal(good.since, since.Root[:]):
		a.report.add(Finding{
			Kind: Forked, File: translog.Dir,
			Message: fmt.Sprintf("The log's first %d entries are not those of the earlier checkpoint.", since.Size),
		})
	}
	return nil
}

func compareTiles(a, b translog.Tile) int {
	if a.Level != b.Level {
		return int(a.Level) - int(b.Level) //nolint:gosec // G115: at most 7
	}
	if a.Index < b.Index {
		return -1
	}
	return 1
}

// since reads the earlier checkpoint.
func (a *audit) since() (translog.Checkpoint, error) {
	if a.opts.Since == "" {
		return translog.Checkpoint{}, nil
	}
	raw, err := os.ReadFile(a.opts.Since)
	if err != nil {
		return translog.Checkpoint{}, err
	}
	c, err := translog.ParseCheckpoint(raw, a.key)
	if err != nil {
		return translog.Checkpoint{}, fmt.Errorf("%s: %w", a.opts.Since, err)
	}
	return c, nil
}

// pick is the narrowest file of a tile that holds what is needed, else the widest; 0: there is none.
func pick(widths []int, need int) int {
	for _, w := range widths {
		if w >= need {
			return w
		}
	}
	if len(widths) == 0 {
		return 0
	}
	return widths[len(widths)-1]
}

// bundle reads the entries of a bundle and compares all its files.
func (a *audit) bundle(index uint64, need int) ([][]byte, error) {
	t := translog.Tile{Entries: true, Index: index}
	widths, err := translog.Widths(a.root, t)
	if err != nil {
		return nil, err
	}
	width := pick(widths, need)
	if width < need {
		a.report.add(Finding{
			Kind: Removed, File: t.Path(),
			Message: fmt.Sprintf("Entries %d to %d of the log are gone.", index*translog.Width+uint64(width), index*translog.Width+uint64(need)-1), //nolint:gosec // G115: at most 256
		})
	}
	if width == 0 {
		return nil, nil
	}
	raw, err := translog.ReadWidth(a.root, t, width)
	if err != nil {
		return nil, err
	}
	entries, perr := translog.ParseBundle(raw)
	if perr != nil || len(entries) < width {
		a.report.add(Finding{Kind: Changed, File: t.Path(), Message: fmt.Sprintf("The log's bundle %d does not hold the %d entries that it should.", index, width)})
		entries = salvage(raw)
	}
	entries = entries[:min(len(entries), need)]
	size := 0
	for _, e := range entries {
		size += 2 + len(e)
	}
	for _, w := range widths {
		if w == width {
			continue
		}
		other, err := readExact(a.root, t, w)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since, as one that is full makes the others needless
		}
		if err != nil {
			return nil, err
		}
		want := raw[:size]
		if w < len(entries) {
			n := 0
			for _, e := range entries[:w] {
				n += 2 + len(e)
			}
			want = raw[:n]
		}
		if !bytes.HasPrefix(other, want) || w < need && len(other) != len(want) {
			a.report.add(Finding{Kind: Changed, File: t.Path(), Message: fmt.Sprintf("The log's bundle %d of %d entries and that of %d differ.", index, w, width)})
		}
	}
	return entries, nil
}

// salvage takes the entries off a bundle up to where it is broken.
func salvage(raw []byte) [][]byte {
	var out [][]byte
	for len(raw) >= 2 {
		n := 2 + int(binary.BigEndian.Uint16(raw))
		if n > len(raw) {
			break
		}
		out, raw = append(out, raw[2:n]), raw[n:]
	}
	return out
}

// lowest reads the hashes of a lowest tile and compares all its files.
func (a *audit) lowest(index uint64, need int) ([]byte, error) {
	t := translog.Tile{Index: index}
	widths, err := translog.Widths(a.root, t)
	if err != nil {
		return nil, err
	}
	width := pick(widths, need)
	if width == 0 {
		return nil, a.compareWidths(t, widths, nil, need)
	}
	raw, err := translog.ReadWidth(a.root, t, width)
	if err != nil {
		return nil, err
	}
	raw = raw[:min(len(raw), 32*need)]
	return raw, a.compareWidths(t, widths, raw, need)
}

// compare checks all files of a tile against what it should hold.
func (a *audit) compare(t translog.Tile, want []byte) error {
	widths, err := translog.Widths(a.root, t)
	if err != nil {
		return err
	}
	return a.compareWidths(t, widths, want, len(want)/32)
}

func (a *audit) compareWidths(t translog.Tile, widths []int, want []byte, need int) error {
	if pick(widths, need) < need {
		a.report.add(Finding{Kind: Removed, File: t.Path(), Message: fmt.Sprintf("The log's tile %d of level %d is gone.", t.Index, t.Level)})
	}
	for _, w := range widths {
		b, err := readExact(a.root, t, w)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since, as one that is full makes the others needless
		}
		if err != nil {
			return err
		}
		n := min(32*min(w, need), len(want))
		if !bytes.HasPrefix(b, want[:n]) || len(b) != 32*w {
			a.report.add(Finding{Kind: Changed, File: t.Path(), Message: fmt.Sprintf("The log's tile %d of level %d was changed.", t.Index, t.Level)})
		}
	}
	return nil
}

// readExact reads the one file of a tile that has this width.
func readExact(root *os.Root, t translog.Tile, width int) ([]byte, error) {
	t.Partial = uint8(width % translog.Width) //nolint:gosec // G115: below 256
	return translog.Read(root, t.Path())
}

// strays looks for files in the log's directory that belong to no tree.
func (a *audit) strays() error {
	return fs.WalkDir(a.root.FS(), translog.Dir+"/tile", func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		if _, ok := translog.ParseTile(name); !ok {
			a.report.Notes = append(a.report.Notes, fmt.Sprintf("%s is no part of the log; a writer that was killed leaves such files.", name))
		}
		return nil
	})
}
