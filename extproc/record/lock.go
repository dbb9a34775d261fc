package record

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const lockFile = "lock"

// lockDir takes the directory's lock (flock) for as long as the returned file is open; it ends with the process. It
// holds for the log too, whose writer has none of its own.
func lockDir(root *os.Root) (*os.File, error) {
	f, err := root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("record: lock: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		b := make([]byte, 20)
		n, _ := f.ReadAt(b, 0) // no pid is no reason not to say that it is locked
		pid, _ := strconv.Atoi(strings.TrimSpace(string(b[:n])))
		return nil, errors.Join(&LockedError{Dir: root.Name(), PID: pid}, f.Close())
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, fmt.Errorf("record: lock: %w", errors.Join(err, f.Close()))
	}
	return f, nil
}
