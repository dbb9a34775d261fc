package http

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	envoy_service_ext_proc_v3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/policies/jsonmask"
)

// maxPiece is the greatest piece of a body that Envoy gets at once, in bytes.
const maxPiece = 64 << 10

// body is the body of a response on its way. It is the reader that masks read from: when they want more, all that they
// have decided is recorded and sent first.
type body struct {
	c *conversation

	in       []byte // what came and was not read
	ended    bool   // nothing more comes
	trailers *envoy_service_ext_proc_v3.HttpTrailers

	out   []byte // for the agent, not sent
	shown []byte // for the record, not written; unless it is out
	same  bool
	// masked: masks of the agent's apply to it.
	masked bool
	// raw are the bytes read since the last that went to out, if out is the body as it came: when the record's masks
	// give up, the agent gets the rest all the same.
	raw     []byte
	keepRaw bool
	kept    int // of the server's budget
}

var _ jsonmask.Keeper = (*body)(nil)

// Keep implements jsonmask.Keeper.
func (b *body) Keep(bytes int) error {
	more := max(bytes-b.kept, 0)
	if err := b.c.server.kept.take(more); err != nil {
		return err
	}
	b.kept += more
	return nil
}

// body passes the body, masked.
func (c *conversation) body(p plan) error {
	b := &body{c: c, same: c.agent == c.record, masked: p.masked}
	defer func() { c.server.kept.give(b.kept) }()
	var err error
	switch {
	case p.upgrade:
		err = b.unshown()
	case p.masked && p.apart:
		err = b.digested(func(write func([]byte) error) error {
			return jsonmask.Copy(p.format, b, jsonmask.Output{View: c.agent.Body(), Write: write})
		})
	case p.masked && b.same:
		err = jsonmask.Copy(p.format, b, jsonmask.Output{View: c.agent.Body(), Write: b.toAgent})
	case p.masked:
		err = b.both(p.format, c.agent.Body())
	case p.shown:
		err = b.clear(p.format)
	case c.record.Body().Empty():
		b.same = true
		_, err = io.Copy(writer(b.toAgent), onlyReader{b})
	default:
		err = b.unshown()
	}
	if err != nil {
		return err
	}
	return b.finish()
}

// both masks the body for the record and for the agent. The record's part comes first: what the agent's may send at once
// has been recorded then.
func (b *body) both(f jsonmask.Format, agent *jsonmask.View) error {
	return jsonmask.Copy(f, b, jsonmask.Output{View: b.c.record.Body(), Write: b.toRecord}, jsonmask.Output{View: agent, Write: b.toAgent})
}

// nothing hides nothing: what goes through it must be readable all the same.
var nothing = jsonmask.NewView(nil, nil, nil)

// clear is for an agent whom the masks except: the record is masked, what the agent gets is as it came.
func (b *body) clear(f jsonmask.Format) error {
	b.keepRaw = true
	err := b.both(f, nothing)
	if _, ok := errors.AsType[*jsonmask.Error](err); !ok {
		return err
	}
	// It is not what its type says: the agent may have it, the record says how much it was.
	b.keepRaw = false
	rest := append(bytes.Clone(b.raw), b.in...)
	b.raw, b.in = nil, rest
	return b.unshown()
}

// unshown passes what the record cannot show: it has the length and the digest of it.
func (b *body) unshown() error {
	return b.digested(func(write func([]byte) error) error {
		_, err := io.Copy(writer(write), onlyReader{b})
		return err
	})
}

// digested is for what pass writes to the agent: the record has the length and the digest of it.
func (b *body) digested(pass func(write func([]byte) error) error) error {
	b.same = false
	digest, unseen := sha256.New(), 0
	err := pass(func(p []byte) error {
		unseen += len(p)
		_, _ = digest.Write(p) // a hash never fails
		return b.toAgent(p)
	})
	if err != nil {
		return err
	}
	b.shown = fmt.Appendf(b.shown, "‹not shown, %d bytes, sha256 %s›", unseen, hex.EncodeToString(digest.Sum(nil)))
	return nil
}

func (b *body) toAgent(p []byte) error {
	b.out = append(b.out, p...)
	if b.keepRaw {
		b.raw = b.raw[min(len(p), len(b.raw)):]
	}
	if len(b.out) >= maxPiece {
		return b.flush(false)
	}
	return nil
}

func (b *body) toRecord(p []byte) error {
	b.shown = append(b.shown, p...)
	return nil
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	for len(b.in) == 0 {
		if b.ended {
			return 0, io.EOF
		}
		if err := b.flush(false); err != nil {
			return 0, err
		}
		if err := b.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.in)
	b.in = b.in[n:]
	if b.keepRaw {
		b.raw = append(b.raw, p[:n]...)
	}
	return n, nil
}

// more waits for Envoy.
func (b *body) more() error {
	in, err := b.c.receive()
	if err != nil {
		return err
	}
	switch m := in.GetRequest().(type) {
	case *envoy_service_ext_proc_v3.ProcessingRequest_ResponseBody:
		b.in, b.ended = m.ResponseBody.GetBody(), m.ResponseBody.GetEndOfStream()
	case *envoy_service_ext_proc_v3.ProcessingRequest_ResponseTrailers:
		b.trailers, b.ended = m.ResponseTrailers, true
	default:
		return fmt.Errorf("%T within a body", m)
	}
	return nil
}

// flush records what is decided, and then sends it.
func (b *body) flush(last bool) error {
	shown := b.shown
	if b.same {
		shown = b.out
	}
	c := b.c
	if len(shown) > 0 {
		if err := c.exchange.Recording.AppendData(nil, recordv1.Data_TO_AGENT, c.exchange.Number, shown); err != nil {
			return err
		}
		b.shown = b.shown[:0]
	}
	for rest := b.out; len(rest) > 0 || last; {
		n := min(len(rest), maxPiece)
		piece := rest[:n]
		rest = rest[n:]
		end := last && len(rest) == 0
		if err := c.send(piecing(piece, end && b.trailers == nil)); err != nil {
			return err
		}
		c.sent += uint64(n)
		c.server.o.Metrics.bytes.Add(float64(n))
		if end {
			break
		}
	}
	b.out = b.out[:0]
	return nil
}

// finish sends the end.
func (b *body) finish() error {
	if err := b.flush(true); err != nil || b.trailers == nil {
		return err
	}
	m := b.c.trailing(b.trailers.GetTrailers(), b.masked)
	b.c.trailers = b.c.recorded(b.trailers.GetTrailers(), m)
	return b.c.send(&envoy_service_ext_proc_v3.ProcessingResponse{
		Response: &envoy_service_ext_proc_v3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &envoy_service_ext_proc_v3.TrailersResponse{
			HeaderMutation: m,
		}},
	})
}

func piecing(p []byte, end bool) *envoy_service_ext_proc_v3.ProcessingResponse {
	return &envoy_service_ext_proc_v3.ProcessingResponse{
		Response: &envoy_service_ext_proc_v3.ProcessingResponse_ResponseBody{ResponseBody: &envoy_service_ext_proc_v3.BodyResponse{
			Response: &envoy_service_ext_proc_v3.CommonResponse{BodyMutation: &envoy_service_ext_proc_v3.BodyMutation{
				Mutation: &envoy_service_ext_proc_v3.BodyMutation_StreamedResponse{
					StreamedResponse: &envoy_service_ext_proc_v3.StreamedBodyResponse{Body: p, EndOfStream: end},
				},
			}},
		}},
	}
}

// writer is a function as an io.Writer.
type writer func([]byte) error

// Write implements io.Writer.
func (w writer) Write(p []byte) (int, error) { return len(p), w(p) }

// onlyReader keeps io.Copy from anything but Read.
type onlyReader struct{ io.Reader }
