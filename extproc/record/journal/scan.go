package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
)

// Segments lists the numbers of the segments in a recorder's directory, oldest first.
func Segments(root *os.Root) ([]uint64, error) {
	entries, err := fs.ReadDir(root.FS(), Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	var numbers []uint64
	for _, e := range entries {
		if n, ok := parseSegmentName(e.Name()); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// Scan reads all segments, oldest first: segment is called at the beginning of each with the log's size at its birth,
// record for each record, torn where a segment ends in bytes that cannot be read. A segment that is removed meanwhile
// held nothing that was still needed, and is passed over.
func Scan(root *os.Root, segment func(number, logSize uint64) error, record func(Record) error, torn func(number uint64, err *TornError)) error {
	numbers, err := Segments(root)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		err := scanSegment(root, n, segment, record)
		if t, ok := errors.AsType[*TornError](err); ok {
			torn(n, t)
			continue
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func scanSegment(root *os.Root, n uint64, segment func(number, logSize uint64) error, record func(Record) error) error {
	f, err := root.Open(path.Join(Dir, segmentName(n)))
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	defer f.Close()
	r, err := NewReader(bufio.NewReaderSize(f, 1<<18))
	if errors.Is(err, io.EOF) {
		return nil // its writer was cut off before its first byte
	}
	if err != nil {
		return err
	}
	if err := segment(n, r.LogSize()); err != nil {
		return err
	}
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := record(rec); err != nil {
			return err
		}
	}
}

// Remove removes segments that nobody needs.
func Remove(root *os.Root, numbers []uint64) error {
	for _, n := range numbers {
		if err := root.Remove(path.Join(Dir, segmentName(n))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("journal: %w", err)
		}
	}
	return nil
}
