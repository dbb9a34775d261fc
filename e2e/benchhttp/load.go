package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// connections is how many requests can be under way.
const connections = 8

// crew is a few connections to one arm.
type crew []*connection

func newCrew(ctx context.Context, p *place, a arm, path string) (crew, error) {
	token, err := p.token(ctx, a)
	if err != nil {
		return nil, err
	}
	var c crew
	for range connections {
		one, err := connect(ctx, a.address, path, token)
		if err != nil {
			c.close()
			return nil, err
		}
		c = append(c, one)
		if _, err := one.ask(); err != nil { // warm
			c.close()
			return nil, err
		}
	}
	return c, nil
}

func (c crew) close() {
	for _, one := range c {
		one.close()
	}
}

// each runs a function for each connection at once, until all have ended.
func (c crew) each(f func(*connection) error) error {
	var all sync.WaitGroup
	errs := make([]error, len(c))
	for i, one := range c {
		all.Go(func() { errs[i] = f(one) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// closed sends the next request as soon as an answer is there, and returns how many a second that are.
func (c crew) closed(ctx context.Context, d time.Duration) (float64, error) {
	var n atomic.Int64
	start := time.Now()
	err := c.each(func(one *connection) error {
		for time.Since(start) < d && ctx.Err() == nil {
			if _, err := one.ask(); err != nil {
				return err
			}
			n.Add(1)
		}
		return ctx.Err()
	})
	return float64(n.Load()) / time.Since(start).Seconds(), err
}

// open sends n requests at a fixed rate a second, whether answers come or not, as far as there are connections. The time
// of each counts from when it was due: a slow answer makes those behind it late, and their times say so.
func (c crew) open(ctx context.Context, rate float64, n int) ([]time.Duration, error) {
	times := make([]time.Duration, n)
	var next atomic.Int64
	start := time.Now()
	err := c.each(func(one *connection) error {
		for ctx.Err() == nil {
			i := next.Add(1) - 1
			if i >= int64(n) {
				return nil
			}
			due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
			sleepUntil(due)
			if _, err := one.ask(); err != nil {
				return err
			}
			times[i] = time.Since(due)
		}
		return ctx.Err()
	})
	return times, err
}

// oversleep is how much longer than asked for the kernel lets a thread sleep, with some room.
const oversleep = 100 * time.Microsecond

// sleepUntil is exact to some microseconds: the runtime's timers wait in whole milliseconds (epoll_wait), which is as long
// as what is measured.
func sleepUntil(t time.Time) {
	if left := time.Until(t) - oversleep; left > 0 {
		ts := syscall.NsecToTimespec(int64(left))
		_ = syscall.Nanosleep(&ts, nil) // interrupted, the rest is waited for below
	}
	for time.Now().Before(t) {
	}
}
