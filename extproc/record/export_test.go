package record

import (
	"os"

	"github.com/sluicegate/sluice/extproc/record/journal"
)

// FailWith lets a test stand between the recorder and its disk.
func (o *Options) FailWith(create func(root *os.Root, name string) (journal.File, error)) {
	o.createSegment = create
}

// FreeIs lets a test say how much space is free.
func (o *Options) FreeIs(free func() uint64) {
	o.free = func(*os.File) (uint64, error) { return free(), nil }
}

// SegmentsOf makes the journal's segments small.
func (o *Options) SegmentsOf(size int64) { o.segmentSize = size }
