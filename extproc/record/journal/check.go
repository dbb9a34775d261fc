package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/mod/sumdb/note"
)

// Fault is damage to the journal itself.
type Fault struct {
	// File is the file within the recorder's directory; Removed says that it, or its end, is gone, else it was changed.
	File    string
	Removed bool
	Message string
}

// checkTries bounds how often a journal that moves on is looked at anew.
const checkTries = 5

// Check compares the journal with its head. needed says that there must be one. It finds what was cut off, zeroed,
// changed or removed of what was synced, whether anything in it is still needed or not; of what came after the head,
// which a crash may tear, it says nothing. A directory may be checked while somebody records into it.
func Check(root *os.Root, key note.Verifier, needed bool) ([]Fault, error) {
	for try := 0; ; try++ {
		head, err := ReadHead(root, key)
		missing := errors.Is(err, fs.ErrNotExist)
		if err != nil && !missing && !errors.Is(err, ErrHead) {
			return nil, err
		}
		c := &checker{root: root, head: head, headed: err == nil}
		if errors.Is(err, ErrHead) {
			c.fault(HeadFile, false, "the head of the journal is not what the log's key signed: %v", err)
		}
		if err := c.run(); err != nil {
			return nil, err
		}
		if missing && (needed || c.chained) {
			c.fault(HeadFile, true, "the head of the journal was removed: whether the end of the journal is there cannot be known")
		}
		if len(c.faults) == 0 || try == checkTries {
			return c.faults, nil
		}
		// It may have moved on between the head and the segments.
		if again, aerr := ReadHead(root, key); aerr != nil && err != nil || again == head {
			return c.faults, nil
		}
	}
}

// checker is one look at all segments.
type checker struct {
	root    *os.Root
	head    Head
	headed  bool
	chained bool // there is a segment of a journal that keeps a head
	faults  []Fault
}

func (c *checker) fault(file string, removed bool, format string, args ...any) {
	c.faults = append(c.faults, Fault{File: file, Removed: removed, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) run() error {
	numbers, err := Segments(c.root)
	if err != nil {
		return err
	}
	var before Chain
	var known, found bool
	for i, n := range numbers {
		last := i == len(numbers)-1
		if i > 0 && n != numbers[i-1]+1 {
			c.fault(path.Join(Dir, segmentName(n-1)), true, "segment %d of the journal was removed, with those after it still there", n-1)
			known = false
		}
		end, whole, err := c.segment(n, last, before, known)
		if errors.Is(err, fs.ErrNotExist) {
			known = false // let go meanwhile: nothing in it was needed
			continue
		}
		if err != nil {
			return err
		}
		before, known = end, whole
		found = found || n == c.head.Segment
	}
	if c.headed && c.head.Bytes > 0 && !found {
		c.fault(path.Join(Dir, segmentName(c.head.Segment)), true, "segment %d of the journal was removed: %d bytes of it were signed for", c.head.Segment, c.head.Bytes)
	}
	return nil
}

// segment reads one to its end and gives the chain there; whole: nothing of it is torn.
func (c *checker) segment(n uint64, last bool, before Chain, known bool) (end Chain, whole bool, err error) {
	name := path.Join(Dir, segmentName(n))
	f, err := c.root.Open(name)
	if err != nil {
		return end, false, err
	}
	defer f.Close()
	signed := int64(0)
	if c.headed && n == c.head.Segment {
		signed = c.head.Bytes
	}
	r, err := NewReader(bufio.NewReaderSize(f, 1<<18))
	torn, bad := errors.AsType[*TornError](err)
	switch {
	case bad && (!last || signed > 0):
		c.fault(name, false, "segment %d of the journal was changed at its beginning: %v", n, torn.Err)
		return end, false, nil
	case errors.Is(err, io.EOF) && (!last || signed > 0):
		c.fault(name, true, "segment %d of the journal is empty, and was not", n)
		return end, false, nil
	case bad || errors.Is(err, io.EOF):
		return end, false, nil // its writer was cut off
	case err != nil:
		return end, false, err
	}
	c.chained = c.chained || r.chained
	if r.chained && known && r.before != before {
		c.fault(name, false, "segment %d of the journal does not follow the one before it: records of that one were changed or removed", n)
	}
	met := false // the place that was signed for
	for {
		if signed > 0 && r.offset == signed {
			met = true
			if r.chain.sum() != c.head.Chain {
				c.fault(name, false, "segment %d of the journal holds other records than were signed for", n)
			}
		}
		if _, err = r.Next(); err != nil {
			break
		}
	}
	torn, bad = errors.AsType[*TornError](err)
	switch {
	case !bad && !errors.Is(err, io.EOF):
		return end, false, err
	case signed > 0 && !met:
		c.fault(name, true, "the end of segment %d of the journal is gone: %d bytes were signed for, %d can be read", n, signed, r.offset)
	case bad && !last:
		c.fault(name, false, "segment %d of the journal was changed at byte %d: %v", n, torn.Offset, torn.Err)
	}
	return r.chain.sum(), !bad, nil
}
