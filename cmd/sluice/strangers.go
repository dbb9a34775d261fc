package main

import (
	"container/list"
	"context"
	"net"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/sluicegate/sluice/authz/share"
)

const (
	// strangerTime is how long a connection may go without saying who is there.
	strangerTime = 15 * time.Second
	// maxStrangers bounds the connections that have not said so: in all, and of one client address.
	maxStrangers        = 512
	maxStrangersPerHost = 64
)

// strangers are the connections of an API whose callers are not known yet. What they can hold is bounded: of one address
// the newest is refused, of all the oldest has to go, so that nobody keeps others out by being there first. Once a
// caller is known, the connection counts as one of that caller's.
type strangers struct {
	net.Listener
	within      time.Duration
	most, bound int // in all, of one address
	callers     *share.Pool

	mu    sync.Mutex
	hosts map[string]int
	order list.List // of *stranger, the oldest first
}

func newStrangers(l net.Listener) *strangers {
	return &strangers{
		Listener: l, within: strangerTime, most: maxStrangers, bound: maxStrangersPerHost, hosts: map[string]int{},
		callers: share.NewPool("connections", connectionsEach, connectionsAll),
	}
}

// Accept implements net.Listener.
func (s *strangers) Accept() (net.Conn, error) {
	for {
		c, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if one := s.admit(c); one != nil {
			return one, nil
		}
		_ = c.Close() // nothing was said on it
	}
}

// admit counts a connection; nil if its address has as many as it may.
func (s *strangers) admit(c net.Conn) *stranger {
	one := &stranger{Conn: c, of: s, host: hostOf(c.RemoteAddr().String())}
	s.mu.Lock()
	var oldest *stranger
	defer func() {
		s.mu.Unlock()
		if oldest != nil {
			_ = oldest.Close() // it had its time
		}
	}()
	if s.hosts[one.host] >= s.bound {
		return nil
	}
	if s.order.Len() >= s.most {
		oldest = s.order.Front().Value.(*stranger)
		s.drop(oldest)
	}
	s.hosts[one.host]++
	one.place = s.order.PushBack(one)
	one.timer = time.AfterFunc(s.within, func() {
		if s.forget(one) {
			_ = one.Conn.Close() // whoever it is has had the time to say so
		}
	})
	return one
}

// forget takes a connection out of the count; false if it is out.
func (s *strangers) forget(one *stranger) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drop(one)
}

// drop is forget under the lock.
func (s *strangers) drop(one *stranger) bool {
	if one.place == nil {
		return false
	}
	s.order.Remove(one.place)
	one.place = nil
	one.timer.Stop()
	if s.hosts[one.host]--; s.hosts[one.host] == 0 {
		delete(s.hosts, one.host)
	}
	return true
}

// count is how many there are.
func (s *strangers) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.order.Len()
}

// stranger is a connection of somebody who is not known, until known is called.
type stranger struct {
	net.Conn
	of    *strangers
	host  string
	place *list.Element // nil once it does not count
	timer *time.Timer

	mu     sync.Mutex
	owned  bool
	owner  string // whose it is, if it is owned: who was known first
	closed bool
}

// Close implements net.Conn.
func (c *stranger) Close() error {
	c.of.forget(c)
	c.mu.Lock()
	if c.owned && !c.closed {
		c.of.callers.Give(c.owner, 1)
	}
	c.closed = true
	c.mu.Unlock()
	return c.Conn.Close()
}

// known makes it one of a caller's connections, if it is nobody's yet.
func (c *stranger) known(who string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owned || c.closed {
		return nil
	}
	if err := c.of.callers.Take(who, 1); err != nil {
		return err
	}
	c.owned, c.owner = true, who
	c.of.forget(c)
	return nil
}

type strangerKey struct{}

// withConnection lets handlers say that the caller is known (http.Server.ConnContext).
func withConnection(ctx context.Context, c net.Conn) context.Context {
	if wrapped, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = wrapped.NetConn()
	}
	if one, ok := c.(*stranger); ok {
		return context.WithValue(ctx, strangerKey{}, one)
	}
	return ctx
}

// known says whose the connection of a request is: of somebody who has shown a token. The error is a connect error.
func known(ctx context.Context, who string) error {
	if one, ok := ctx.Value(strangerKey{}).(*stranger); ok {
		if err := one.known(who); err != nil {
			return connect.NewError(connect.CodeResourceExhausted, err)
		}
	}
	return nil
}

func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
