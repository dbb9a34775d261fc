package chunk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
)

const (
	// Dir is the directory of all sessions, within a recorder's.
	Dir     = "chunks"
	tmpName = ".tmp-"
)

// Store is the chunk files of one recorder's directory.
type Store struct{ root *os.Root }

// NewStore works in dir, which stays the caller's to close.
func NewStore(dir *os.Root) *Store { return &Store{root: dir} }

// Create makes the directory of all sessions, so that from then on its absence is damage.
func (s *Store) Create() error {
	if err := s.root.Mkdir(Dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("chunk: %w", err)
	}
	return s.syncDir(".")
}

// Prepared is a chunk's file that is written beside its place.
type Prepared struct {
	dir  string
	name string
	tmp  *os.File
}

// Prepare writes a chunk beside its place. Nothing is durable until Place.
func (s *Store) Prepare(session string, sequence uint64, file []byte) (*Prepared, error) {
	if err := CheckSessionID(session); err != nil {
		return nil, err
	}
	dir := path.Join(Dir, session)
	if sequence == 0 {
		if err := s.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("chunk: %w", err)
		}
	}
	name := Name(sequence)
	f, err := s.root.OpenFile(path.Join(dir, tmpName+name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("chunk: %w", err)
	}
	if _, err := f.Write(file); err != nil {
		return nil, fmt.Errorf("chunk: %w", errors.Join(err, f.Close()))
	}
	return &Prepared{dir: dir, name: name, tmp: f}, nil
}

// Discard gives up a file that will not be put in place; its bytes stay until the next Prepare of the same chunk.
func (p *Prepared) Discard() error { return p.tmp.Close() }

// Place puts chunks in their places, replacing what is there, and returns once a crash cannot take them back. Many at a
// time cost little more than one: a file system commits them together. After an error some may be in place.
func (s *Store) Place(chunks []*Prepared) error {
	var errs []error
	for _, c := range chunks {
		errs = append(errs, c.tmp.Sync(), c.tmp.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("chunk: fsync: %w", err)
	}
	dirs := map[string]bool{}
	for _, c := range chunks {
		if err := s.root.Rename(path.Join(c.dir, tmpName+c.name), path.Join(c.dir, c.name)); err != nil {
			return fmt.Errorf("chunk: %w", err)
		}
		dirs[c.dir] = true
		if c.name == Name(0) {
			dirs[Dir] = true
		}
	}
	for dir := range dirs {
		if err := s.syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) syncDir(name string) error {
	d, err := s.root.Open(name)
	if err != nil {
		return fmt.Errorf("chunk: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("chunk: fsync %s: %w", name, err)
	}
	return nil
}

// Read is the bytes of a chunk's file; fs.ErrNotExist if there is none.
func (s *Store) Read(session string, sequence uint64) ([]byte, error) {
	if err := CheckSessionID(session); err != nil {
		return nil, err
	}
	return s.ReadFile(path.Join(Dir, session, Name(sequence)))
}

// ReadFile reads a file below the recorder's directory that is no longer than a chunk may be.
func (s *Store) ReadFile(name string) ([]byte, error) {
	f, err := s.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("chunk: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("chunk: %w", err)
	}
	if len(b) > MaxFile {
		return nil, &FormatError{Err: fmt.Errorf("%s is longer than %d bytes", name, MaxFile)}
	}
	return b, nil
}

// Exists reports whether a chunk's file is there.
func (s *Store) Exists(session string, sequence uint64) (bool, error) {
	return s.exists(path.Join(Dir, session, Name(sequence)))
}

// HasSession reports whether a session's directory is there.
func (s *Store) HasSession(session string) (bool, error) { return s.exists(path.Join(Dir, session)) }

func (s *Store) exists(name string) (bool, error) {
	switch _, err := s.root.Lstat(name); {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, fmt.Errorf("chunk: %w", err)
	}
}

// Chunks lists a session's chunks in order, and the names of all else in its directory. A session without a directory
// has none.
func (s *Store) Chunks(session string) (sequences []uint64, strays []string, err error) {
	err = s.list(path.Join(Dir, session), func(e fs.DirEntry) {
		if n, ok := ParseName(e.Name()); ok && e.Type().IsRegular() {
			sequences = append(sequences, n)
		} else {
			strays = append(strays, e.Name())
		}
	})
	slices.Sort(sequences)
	slices.Sort(strays)
	return sequences, strays, err
}

// Sessions calls yield for each session that has a directory, and stray for all else beside them.
func (s *Store) Sessions(yield, stray func(name string)) error {
	return s.list(Dir, func(e fs.DirEntry) {
		if CheckSessionID(e.Name()) == nil && e.IsDir() {
			yield(e.Name())
		} else {
			stray(e.Name())
		}
	})
}

// list reads a directory piece by piece: one with a million sessions is no reason to hold a million names.
func (s *Store) list(name string, yield func(fs.DirEntry)) error {
	d, err := s.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("chunk: %w", err)
	}
	defer d.Close()
	for {
		entries, err := d.ReadDir(1024)
		for _, e := range entries {
			yield(e)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("chunk: %w", err)
		}
	}
}

// Leftover reports whether a name is that of a chunk that was being written when its process ended.
func Leftover(name string) bool {
	_, ok := ParseName(name[min(len(tmpName), len(name)):])
	return ok && len(name) > len(tmpName) && name[:len(tmpName)] == tmpName
}
