package postgres

import (
	"errors"
	"net"
	"time"
)

// maxHeldInput is how much a client may send while a statement of it is held, in bytes.
const maxHeldInput = 1 << 20

var errHeldInput = errors.New("too much input while a statement is held")

// watch reads on from the client while a statement of it is held, so that its end is seen.
type watch struct {
	ended chan struct{}
	read  []byte
	err   error
}

func (p *pipes) watchAgent(in *inbox) *watch {
	w := &watch{ended: make(chan struct{})}
	room := maxHeldInput - len(in.bytes())
	go func() {
		defer close(w.ended)
		buf := make([]byte, 4096)
		for {
			n, err := p.agent.Read(buf)
			w.read = append(w.read, buf[:n]...)
			switch {
			case len(w.read) > room:
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
