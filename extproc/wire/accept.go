package wire

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// How long Accept waits before it tries again, at first and at most.
const (
	firstWait   = 5 * time.Millisecond
	longestWait = time.Second
)

// Accept is the next connection of a listener. What passes by itself, such as too many open files, it waits out, and tells
// of each time: a flood of connections must not end whoever serves those that are there.
func Accept(l net.Listener, tell func(err error, wait time.Duration)) (net.Conn, error) {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		conn, err := l.Accept()
		if err == nil || !passes(err) {
			return conn, err
		}
		tell(err, wait)
		time.Sleep(wait)
	}
}

// passes reports whether an error of accept(2) is no fault of the listener.
func passes(err error) bool {
	var e syscall.Errno
	if !errors.As(err, &e) {
		return false
	}
	switch e {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR:
		return true
	}
	return false
}
