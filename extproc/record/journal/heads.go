package journal

import (
	"errors"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/mod/sumdb/note"
)

// heads writes the head of a journal that grows. It never says less than it said.
type heads struct {
	signer note.Signer

	mu   sync.Mutex
	file *os.File
	last Head
}

func openHeads(root *os.Root, signer note.Signer) (*heads, error) {
	if signer == nil {
		return nil, nil
	}
	if _, err := root.Lstat(HeadFile); errors.Is(err, fs.ErrNotExist) {
		// Before the first segment: where there is one, there is a head.
		if err := WriteHead(root, Head{}, signer); err != nil {
			return nil, err
		}
	}
	f, err := openHead(root)
	if err != nil {
		return nil, err
	}
	return &heads{signer: signer, file: f}, nil
}

// put signs a head, unless a later one is signed. durable: it survives a power cut before put returns. Without, an older
// one may come back; it says less, and nothing false.
func (s *heads) put(h Head, durable bool) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	later := h.Segment > s.last.Segment || h.Segment == s.last.Segment && h.Bytes > s.last.Bytes
	if later {
		if err := h.write(s.file, s.signer); err != nil {
			return err
		}
		s.last = h
	}
	if durable {
		return s.file.Sync()
	}
	return nil
}

// end says that nothing in the journal is needed any more.
func (s *heads) end(segment uint64) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join((Head{Segment: segment}).write(s.file, s.signer), s.file.Sync())
}

func (s *heads) close() error {
	if s == nil {
		return nil
	}
	return s.file.Close()
}
