package wire

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// worn is a listener whose first connections fail.
type worn struct {
	net.Listener
	errs []error
}

func (w *worn) Accept() (net.Conn, error) {
	if len(w.errs) == 0 {
		near, far := net.Pipe()
		_ = far.Close()
		return near, nil
	}
	err := w.errs[0]
	w.errs = w.errs[1:]
	return nil, err
}

func TestWhatAListenerGetsOverIsWaitedOut(t *testing.T) {
	of := func(e syscall.Errno) error {
		return &net.OpError{Op: "accept", Net: "unix", Err: os.NewSyscallError("accept4", e)}
	}
	synctest.Test(t, func(t *testing.T) {
		l := &worn{errs: []error{of(syscall.EMFILE), of(syscall.ENFILE), of(syscall.ECONNABORTED), of(syscall.ENOMEM)}}
		told, began := 0, time.Now()
		conn, err := Accept(l, func(error, time.Duration) { told++ })
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if took := time.Since(began); told != 4 || took != 75*time.Millisecond {
			t.Errorf("told %d times in %s", told, took)
		}
		l.errs = make([]error, 20)
		for i := range l.errs {
			l.errs[i] = of(syscall.EMFILE)
		}
		longest := time.Duration(0)
		if conn, err = Accept(l, func(_ error, wait time.Duration) { longest = max(longest, wait) }); err != nil || longest != longestWait {
			t.Fatalf("waited %s at most: %v", longest, err)
		}
		_ = conn.Close()
	})
	for _, end := range []error{net.ErrClosed, of(syscall.EBADF), errors.New("else")} {
		if _, err := Accept(&worn{errs: []error{end}}, func(error, time.Duration) { t.Error("waited") }); !errors.Is(err, end) {
			t.Errorf("%v came as %v", end, err)
		}
	}
}
