package postgres

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/sluicegate/sluice/extproc/postgres/engine"
)

// pipes move the bytes of a session: what the engine lets through goes on once it is recorded, and not before.
type pipes struct {
	agent, server net.Conn
	engine        *engine.Engine
	scribe        *scribe
	metrics       *Metrics

	// over is closed when the session must end; why says what the agent is told.
	over     chan struct{}
	overOnce sync.Once
	why      error
	// mu guards the deadlines of both connections: the session's end sets them last.
	mu sync.Mutex

	// writing is held while bytes go to the agent; whole: the last of them ended a message.
	writing sync.Mutex
	whole   bool
}

// open sends what ends the startup.
func (p *pipes) open(welcome []byte) error {
	if _, err := p.agent.Write(welcome); err != nil {
		return err
	}
	p.whole = true
	return p.agent.SetDeadline(time.Time{})
}

// close closes the agent's connection, and ends the reading of the server's: who closes that may wait for the end of what runs
// there. What was to be said has been said.
func (p *pipes) close() {
	_ = p.agent.Close()
	_ = p.server.SetReadDeadline(time.Unix(1, 0))
}

// stop ends the session; the first reason counts. A *fatal is told to the agent.
func (p *pipes) stop(why error) {
	p.overOnce.Do(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.why = why
		close(p.over)
		// Both sides stand in reads or writes: those end now, but for what is on its way to an agent that reads.
		past := time.Unix(1, 0)
		_ = p.agent.SetReadDeadline(past)
		_ = p.agent.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
		_ = p.server.SetDeadline(past)
	})
}

// readOn lifts a deadline that ended a read of the agent's bytes, unless the session is over.
func (p *pipes) readOn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.over:
	default:
		_ = p.agent.SetReadDeadline(time.Time{})
	}
}

// ended reports whether the session is over.
func (p *pipes) ended() bool {
	select {
	case <-p.over:
		return true
	default:
		return false
	}
}

// flush records what a step let through, then sends it on.
func (p *pipes) flush(out *engine.Output) error {
	defer out.Reset()
	if err := p.scribe.letsOn(out); err != nil {
		return err
	}
	if out.ToServer.Size == 0 {
		return nil
	}
	p.metrics.toServer.Add(float64(out.ToServer.Size))
	return write(p.server, out.ToServer.Parts)
}

// write sends parts in one system call where the connection can.
func write(to net.Conn, parts [][]byte) error {
	if len(parts) == 1 {
		_, err := to.Write(parts[0])
		return err
	}
	buffers := net.Buffers(parts)
	_, err := buffers.WriteTo(to)
	return err
}

// show records what the agent is about to see, then sends it.
func (p *pipes) show(out *engine.Output) error {
	defer out.Reset()
	if err := p.scribe.shows(out); err != nil {
		return err
	}
	if out.ToAgent.Size == 0 {
		return nil
	}
	p.metrics.toAgent.Add(float64(out.ToAgent.Size))
	p.writing.Lock()
	defer p.writing.Unlock()
	p.whole = false
	err := write(p.agent, out.ToAgent.Parts)
	p.whole = err == nil && p.engine.Whole()
	return err
}

// tell sends a message of Sluice's own to the agent, between the server's.
func (p *pipes) tell(message []byte) error {
	if err := p.scribe.tells(message); err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	if !p.whole {
		return nil
	}
	_, err := p.agent.Write(message)
	return err
}

// goodbye tells both sides that the session ends, as far as they can be told: the agent why, if that is worth a message.
func (p *pipes) goodbye(f *fatal) {
	deadline := time.Now().Add(goodbyeTimeout)
	_ = p.agent.SetWriteDeadline(deadline)
	_ = p.server.SetDeadline(deadline)
	if f != nil {
		p.writing.Lock()
		if p.whole {
			_, _ = p.agent.Write(engine.Fatal(&f.refusal)) // it may be gone
		}
		p.writing.Unlock()
	}
	_, _ = p.server.Write(terminate) // the same
}

// answered waits for the server's answers to all that was let through, up to a time.
func (p *pipes) answered(ctx context.Context, out *engine.Output, end time.Time) error {
	if !p.engine.Answered() {
		p.engine.Flush(out) // a server keeps its answers for itself up to Sync
	}
	if err := p.flush(out); err != nil {
		return err
	}
	for !p.engine.Await() && time.Now().Before(end) {
		select {
		case <-p.engine.Progress():
		case <-time.After(time.Millisecond): // not all that ends something is progress for the agent's side
		case <-p.over:
			return errSessionOver
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// probeTimeout bounds how long the server may take to say in what state it is, once what runs before has ended.
const probeTimeout = 10 * time.Minute

// probe asks the server for its state, behind all that was let through.
func (p *pipes) probe(ctx context.Context, out *engine.Output) (engine.State, error) {
	if p.engine.Prepares() {
		if err := p.answered(ctx, out, time.Now().Add(probeTimeout)); err != nil {
			return engine.State{}, err
		}
	}
	answer := p.engine.Probe(out)
	if err := p.flush(out); err != nil {
		return engine.State{}, err
	}
	timeout := time.NewTimer(probeTimeout)
	defer timeout.Stop()
	select {
	case state := <-answer:
		if state.Failed {
			p.engine.Resume(out)
		}
		return state, nil
	case <-p.over:
		return engine.State{}, errSessionOver
	case <-timeout.C:
		return engine.State{}, fatalf("08006", "the database does not answer")
	case <-ctx.Done():
		return engine.State{}, ctx.Err()
	}
}
