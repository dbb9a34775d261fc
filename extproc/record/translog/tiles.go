package translog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
)

const (
	// Dir is the log's directory, within a recorder's.
	Dir = "log"
	// Width is how many entries a full bundle holds, and how many hashes a full tile.
	Width = layout.EntryBundleWidth
	// Height is how many levels of the tree a tile spans.
	Height = layout.TileHeight

	maxBundle = Width * (2 + 1<<16)
)

// Tile names a file of the log's tree: a tile of hashes or a bundle of entries.
type Tile struct {
	// Entries: a bundle; Level is 0.
	Entries bool
	Level   uint64
	Index   uint64
	// Partial is how many hashes or entries it holds, 0 if it is full.
	Partial uint8
}

// Path is the file's name within the recorder's directory.
func (t Tile) Path() string {
	if t.Entries {
		return path.Join(Dir, layout.EntriesPath(t.Index, t.Partial))
	}
	return path.Join(Dir, layout.TilePath(t.Level, t.Index, t.Partial))
}

// End is the first leaf of the tree after those that the tile covers.
func (t Tile) End() uint64 {
	n := uint64(Width)
	if t.Partial > 0 {
		n = uint64(t.Partial)
	}
	return (t.Index*Width + n) << (Height * t.Level)
}

// ParseTile is Path's reverse; false for any other file.
func ParseTile(name string) (Tile, bool) {
	rest, ok := strings.CutPrefix(name, Dir+"/tile/")
	if !ok {
		return Tile{}, false
	}
	level, index, ok := strings.Cut(rest, "/")
	if !ok {
		return Tile{}, false
	}
	var t Tile
	if t.Entries = level == "entries"; t.Entries {
		level = "0"
	}
	var err error
	if t.Level, err = strconv.ParseUint(level, 10, 8); err != nil {
		return Tile{}, false
	}
	if i := strings.Index(index, ".p/"); i >= 0 {
		p, err := strconv.ParseUint(index[i+3:], 10, 8)
		if err != nil || p == 0 {
			return Tile{}, false
		}
		t.Partial = uint8(p)
		index = index[:i]
	}
	for part := range strings.SplitSeq(index, "/") {
		n, err := strconv.ParseUint(strings.TrimPrefix(part, "x"), 10, 64)
		if err != nil || n > 999 {
			return Tile{}, false
		}
		t.Index = t.Index*1000 + n
	}
	return t, t.Path() == name
}

// Read reads a file of the log, no longer than a bundle may be.
func Read(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("translog: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxBundle+1))
	if err != nil {
		return nil, fmt.Errorf("translog: %w", err)
	}
	if len(b) > maxBundle {
		return nil, fmt.Errorf("translog: %s is longer than any file of a log", name)
	}
	return b, nil
}

// ReadCheckpoint reads the log's checkpoint, unchecked.
func ReadCheckpoint(root *os.Root) ([]byte, error) {
	return Read(root, path.Join(Dir, layout.CheckpointPath))
}

// Widths lists the files that a tile has at its place: how many hashes or entries each holds, ascending.
func Widths(root *os.Root, t Tile) ([]int, error) {
	t.Partial = 0
	var widths []int
	entries, err := fs.ReadDir(root.FS(), t.Path()+".p")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("translog: %w", err)
	}
	for _, e := range entries {
		if p, ok := ParseTile(t.Path() + ".p/" + e.Name()); ok {
			widths = append(widths, int(p.Partial))
		}
	}
	switch _, err := root.Lstat(t.Path()); {
	case err == nil:
		widths = append(widths, Width)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("translog: %w", err)
	}
	slices.Sort(widths)
	return widths, nil
}

// ReadWidth reads the file with that many hashes or entries at a tile's place. One that was removed because it is full
// by now is read from the full one; it then holds more.
func ReadWidth(root *os.Root, t Tile, width int) ([]byte, error) {
	t.Partial = uint8(width % Width) //nolint:gosec // G115: below 256
	b, err := Read(root, t.Path())
	if errors.Is(err, fs.ErrNotExist) && t.Partial > 0 {
		t.Partial = 0
		return Read(root, t.Path())
	}
	return b, err
}

// ParseBundle splits a bundle into its entries, which share its memory.
func ParseBundle(b []byte) ([][]byte, error) {
	var e api.EntryBundle
	if err := e.UnmarshalText(b); err != nil {
		return nil, fmt.Errorf("translog: bundle: %w", err)
	}
	if len(e.Entries) > Width {
		return nil, fmt.Errorf("translog: bundle of %d entries", len(e.Entries))
	}
	return e.Entries, nil
}

// Leaves calls yield for each entry from index from on that the bundles hold, whether signed or not, until there are no
// more. Entries that are no leaf are passed with ErrLeaf.
func Leaves(root *os.Root, from uint64, yield func(index uint64, l Leaf, err error) error) error {
	for index := from; ; {
		t := Tile{Entries: true, Index: index / Width}
		widths, err := Widths(root, t)
		if err != nil {
			return err
		}
		if len(widths) == 0 {
			return nil
		}
		b, err := ReadWidth(root, t, widths[len(widths)-1])
		if err != nil {
			return err
		}
		entries, err := ParseBundle(b)
		if err != nil {
			return err
		}
		for ; index < t.Index*Width+uint64(len(entries)); index++ {
			l, err := ParseLeaf(entries[index%Width])
			if err := yield(index, l, err); err != nil {
				return err
			}
		}
		if len(entries) < Width {
			return nil
		}
	}
}
