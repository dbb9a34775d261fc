package postgres

import (
	"bytes"
	"context"
	"errors"
	"net"
	"time"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// maxHeldInput is how much a client may send beside a statement of it that is held, in bytes.
const maxHeldInput = 1 << 20

var errHeldInput = errors.New("too much input while a statement is held")

// errClientGone says that nobody waits for what is being decided.
var errClientGone = errors.New("the client went away")

// terminate is the message of that name.
var terminate = []byte{'X', 0, 0, 0, 4}

// longText is from where on the client is looked at while a text is read, in bytes: that takes its time.
const longText = 16 << 10

// read finds out what a text does, for as long as its client is there.
func (j *judge) read(ctx context.Context, text string, catalog sqlfacts.Catalog, in *inbox) (*sqlfacts.Facts, error) {
	if len(text) < longText {
		return j.o.Analyzer.FactsContext(ctx, text, catalog)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := j.pipes.watchAgent()
	reading := make(chan struct{})
	go func() {
		select {
		case <-w.ended:
			if !errors.Is(w.err, errHeldInput) && !bytes.HasSuffix(w.read, terminate) { // who says good-bye waits for what it sent
				cancel()
			}
		case <-reading:
		}
	}()
	facts, err := j.o.Analyzer.FactsContext(ctx, text, catalog)
	close(reading)
	more, gone := w.stop(j.pipes)
	in.append(more)
	if err != nil && gone != nil && !errors.Is(gone, errHeldInput) {
		return nil, errors.Join(errClientGone, gone)
	}
	return facts, err
}

// watch reads on from the client while a statement of it is held or read, so that its end is seen.
type watch struct {
	ended chan struct{}
	read  []byte
	err   error
}

func (p *pipes) watchAgent() *watch {
	w := &watch{ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		buf := make([]byte, 4096)
		for {
			n, err := p.agent.Read(buf)
			w.read = append(w.read, buf[:n]...)
			switch {
			case len(w.read) > maxHeldInput:
				w.err = errHeldInput
				return
			case err != nil:
				w.err = err
				return
			}
		}
	}()
	return w
}

// stop ends the watch and returns what it read. The error is nil if nothing but the stop ended it.
func (w *watch) stop(p *pipes) ([]byte, error) {
	_ = p.agent.SetReadDeadline(time.Unix(1, 0))
	<-w.ended
	p.readOn()
	var timeout net.Error
	if errors.As(w.err, &timeout) && timeout.Timeout() {
		return w.read, nil
	}
	return w.read, w.err
}
