package journal

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

const (
	// window is how much of a segment is allocated and mapped at a time, in bytes; a multiple of every page size.
	window = 1 << 20
	// maxCopy is the longest write that is copied, in bytes: a longer one costs more page faults than a system call.
	maxCopy = 4 << 10
)

// mapped is a segment whose space is allocated before it is written. Short writes are copies into memory that the
// kernel shares: what was copied survives this process like what was written, without a system call for each record.
// Zeros follow the last record until the file is closed.
type mapped struct {
	osFile
	size int64 // of what was written

	memory []byte // of the file, from start on
	start  int64
}

// newMapped makes a file of its own out of an empty one; errors.ErrUnsupported if the file system cannot do it.
func newMapped(f *os.File) (*mapped, error) {
	m := &mapped{osFile: osFile{f}}
	if err := m.slide(); err != nil {
		return nil, err
	}
	return m, nil
}

// Write appends.
func (m *mapped) Write(b []byte) (n int, err error) {
	if len(b) <= maxCopy {
		if m.size+int64(len(b)) > m.start+window {
			if err := m.slide(); err != nil {
				return 0, err
			}
		}
		n, err = m.copy(m.memory[m.size-m.start:], b)
	} else {
		n, err = m.WriteAt(b, m.size)
	}
	m.size += int64(n)
	return n, err
}

// copy fails where the kernel cannot give a page: the disk is bad, or somebody cut the file.
func (m *mapped) copy(to, from []byte) (n int, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch f := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // runtime.Error of a fault
			err = fmt.Errorf("page fault at %s: %w", m.Name(), unix.EIO)
		default:
			panic(f)
		}
	}()
	return copy(to, from), nil
}

// slide moves the window to the page of the next write.
func (m *mapped) slide() error {
	if err := m.unmap(); err != nil {
		return err
	}
	start := m.size &^ int64(os.Getpagesize()-1)
	return m.control(func(fd int) error {
		err := again(func() error { return unix.Fallocate(fd, 0, start, window) })
		if err != nil {
			return fmt.Errorf("allocate: %w", err)
		}
		if m.memory, err = unix.Mmap(fd, start, window, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
			return fmt.Errorf("mmap: %w", err)
		}
		m.start = start
		return nil
	})
}

func (m *mapped) unmap() error {
	if m.memory == nil {
		return nil
	}
	err := unix.Munmap(m.memory)
	m.memory = nil
	return err
}

// Close cuts off what was allocated and not written.
func (m *mapped) Close() error {
	return errors.Join(m.unmap(), m.Truncate(m.size), m.File.Close())
}
