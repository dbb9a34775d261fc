package postgres

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/extproc/postgres/engine"
)

// exchange is what goes on between an agent and a server from the first ReadyForQuery on. Two goroutines run it: serve for
// the agent's side, relay for the server's. It needs no more than two connections: pipes move the bytes, a judge decides, a
// scribe writes the record.
type exchange struct {
	session  string
	logger   *slog.Logger
	metrics  *Metrics
	engine   *engine.Engine
	pipes    *pipes
	judge    *judge
	scribe   *scribe
	turn     *turn
	claimant *claimant
	unasked  *unasked
	keeps    *allowance
	// catalogChanged tells every session on the database to look again.
	catalogChanged func()
	// cancelServer asks the server to stop what it runs; cancelLate does without waiting for that.
	cancelServer func(context.Context) error
	cancelLate   func()

	// changed belongs to the server's side: something that may have changed the catalog was done, and is not committed.
	changed bool
}

// newExchange puts the parts together. Its judge needs a catalog yet, and its scribe a recording.
func newExchange(o *Options, id string, agent, server net.Conn, e *engine.Engine, a *guard.Admission, attributes map[string]any, c *claims, keeps *allowance) *exchange {
	s := &scribe{hide: o.Recorder.Hide, now: o.Now, metrics: o.Metrics}
	p := &pipes{agent: agent, server: server, engine: e, scribe: s, metrics: o.Metrics, over: make(chan struct{})}
	t := newTurn()
	cl := c.join(e, t, p.over)
	return &exchange{
		keeps: keeps, session: id, logger: o.Logger, metrics: o.Metrics, engine: e, pipes: p, scribe: s, turn: t, claimant: cl,
		unasked: &unasked{guard: o.Guard, admission: a, engine: e},
		judge:   &judge{o: o, session: id, admission: a, attributes: attributes, engine: e, pipes: p, scribe: s, turn: t, claimant: cl},
	}
}

// run moves bytes until the exchange ends, and returns why it did, for the record.
func (x *exchange) run(ctx context.Context) (ended string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.pipes.stop(guard.Safely(x.relay))
	}()
	x.pipes.stop(guard.Safely(func() error { return x.serve(ctx) }))
	ended, told := x.reason()
	x.pipes.goodbye(told)
	x.pipes.close()
	<-done
	return ended
}

var errDatabaseClosed = errors.New("the database closed the connection")

// reason is why the exchange ends: for the record, and for the agent if that is worth a message.
func (x *exchange) reason() (ended string, told *fatal) {
	why := x.pipes.why
	var fault *guard.PanicError
	switch {
	case errors.As(why, &told): // first: its cause may be an end of file too, the database's
		if told.err != nil {
			x.logger.Warn("a session ends", slog.String("session", x.session), slog.Any("error", told))
		}
		return told.refusal.Message, told
	case errors.Is(why, errDatabaseClosed):
		return why.Error(), nil
	case why == nil || errors.Is(why, io.EOF) || errors.Is(why, net.ErrClosed):
		return "the client closed the connection", nil
	case errors.As(why, &fault):
		x.logger.Error("a session ends by a fault of ours", slog.String("session", x.session), slog.Any("error", fault))
		return fault.Error(), nil
	}
	x.logger.Info("a session ends", slog.String("session", x.session), slog.Any("error", why))
	return "the connection was lost", nil
}

// serve is the agent's side: bytes to the engine, its questions to the guard, what it lets through to the server.
func (x *exchange) serve(ctx context.Context) error {
	in := newInbox(agentBuffer, x.keeps)
	var out engine.Output
	need := 0
	for {
		if err := in.fill(x.pipes.agent, need); err != nil {
			return err
		}
		var err error
		if need, err = x.steps(ctx, in, &out); err != nil {
			return err
		}
	}
}

// steps takes what the inbox has as far as it goes.
func (x *exchange) steps(ctx context.Context, in *inbox, out *engine.Output) (need int, err error) {
	for {
		step, err := x.engine.Client(in.bytes(), out)
		if err != nil {
			// What was decided before the fault is recorded, and runs, as if the fault had come later.
			return 0, errors.Join(x.pipes.flush(out), x.protocolFault(err))
		}
		in.consume(step.Consumed)
		switch {
		case step.Question != nil:
			x.turn.decides()
			grant, refusal, err := x.judge.answer(ctx, step.Question, in, out)
			if err != nil { // what was granted before it runs
				return 0, errors.Join(err, x.pipes.flush(out))
			}
			in.consume(x.engine.Answer(grant, refusal, out))
			x.claimant.begun()
			// Small statements that came together leave together.
			if out.ToServer.Size > serverBuffer || len(in.bytes()) == 0 {
				if err := x.send(out); err != nil {
					return 0, err
				}
			}
			continue
		case step.Closed:
			if err := x.send(out); err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		if err := x.send(out); err != nil {
			return 0, err
		}
		if !step.Stalled {
			return step.Need, nil
		}
		select {
		case <-x.engine.Progress():
		case <-x.pipes.over:
			return 0, net.ErrClosed
		}
	}
}

func (x *exchange) protocolFault(err error) error {
	var p *engine.ProtocolError
	if errors.As(err, &p) && p.Code == engine.CodeUnexpected {
		x.metrics.unexpected.Inc()
		return fatalf(p.Code, "the database's answer is not one that the statement can give").
			hint("Nothing of it was passed on. Whoever runs Sluice should know: its log has the reason.").cause(err)
	}
	if errors.As(err, &p) {
		return fatalf(p.Code, "protocol violation by the %s", p.Peer).cause(err)
	}
	return err
}

// send is flush for what was decided: questions of ours in between are no part of that.
func (x *exchange) send(out *engine.Output) error {
	if err := x.pipes.flush(out); err != nil {
		return err
	}
	if x.turn.wentOn() {
		x.cancelLate()
	}
	return nil
}

// relay is the server's side: bytes to the engine, what it shows of them to the record and the agent.
func (x *exchange) relay() error {
	in := newInbox(serverBuffer, x.keeps)
	var out engine.Output
	need := 0
	for {
		if err := in.fill(x.pipes.server, need); err != nil {
			if x.pipes.ended() {
				return err
			}
			if x.engine.GaveUp() {
				return errDatabaseClosed // the agent has heard why
			}
			return fatalf("08006", "the connection to the database was lost").cause(err)
		}
		x.unasked.look()
		consumed, more, err := x.engine.Server(in.bytes(), &out)
		need = more
		heedErr := x.heed(&out)
		x.claimant.settle()
		if heedErr != nil {
			return heedErr
		}
		if sendErr := x.pipes.show(&out); sendErr != nil {
			return sendErr
		}
		if err != nil {
			return x.protocolFault(err)
		}
		in.consume(consumed)
	}
}

// overtaken is how long a cancel waits for the statement that it is for: it came by another connection.
const overtaken = 3 * time.Millisecond

// cancel does what the client's cancel request asks: it ends a hold, stops a statement that is being decided, or
// goes on to the server.
func (x *exchange) cancel(ctx context.Context) error {
	if !x.turn.busy() && x.engine.Answered() {
		select {
		case <-time.After(overtaken):
		case <-x.pipes.over:
			return nil
		}
	}
	holding, deciding := x.turn.cancel()
	if holding || deciding && x.engine.Answered() {
		return nil
	}
	return x.cancelServer(ctx)
}

// heed ends the session where a setting left what Sluice needs, and makes every session on the database look again behind
// a change of the catalog, before the agent hears that it is done.
func (x *exchange) heed(out *engine.Output) error {
	for i := range out.Notes {
		switch n := &out.Notes[i]; {
		case n.Kind == engine.NoteSettings:
			return fatalf(codeUnsupported, "the session ends: %s", n.Message).hint("Sluice reads statements as UTF8 with standard_conforming_strings on.")
		case n.Kind == engine.NoteOutcome && n.Code == "":
			g, ok := n.Run.Context.(*granted)
			x.changed = x.changed || ok && g.alters
		}
	}
	if x.changed && x.engine.Committed() {
		x.catalogChanged()
		x.changed = false
	}
	return nil
}
