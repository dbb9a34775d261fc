package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluicegate/sluice/api/gen/sluice/approval/v1/approvalv1connect"
	"github.com/sluicegate/sluice/api/gen/sluice/control/v1/controlv1connect"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/api/gen/sluice/session/v1/sessionv1connect"
	"github.com/sluicegate/sluice/authz/approval"
	"github.com/sluicegate/sluice/authz/share"
	"github.com/sluicegate/sluice/policies"
)

// What a request of the API may have, in bytes: a statement to explain is the longest.
const (
	maxCall    = 64 << 10
	maxExplain = 2 << 20
)

// apiServer is the API: Connect, gRPC, gRPC-Web and HTTP/JSON on one port.
type apiServer struct {
	server *http.Server
	at     net.Addr
}

// noPolicy is what a process without a control plane or processor has.
type noPolicy struct{}

func (noPolicy) Current() (*policies.Policy, error) { return nil, errors.New("no policy") }

// policy is the one in force in this process: what the processor decides by, or else what the control plane serves.
func (i *instance) policy() currentPolicy {
	switch {
	case i.process != nil:
		return i.process.policies
	case i.control != nil:
		return i.control
	}
	return noPolicy{}
}

func startAPI(ctx context.Context, i *instance) (*apiServer, error) {
	c := i.config.GetApi()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.GetListen())
	if err != nil {
		return nil, err
	}
	l = newStrangers(l)
	mux := i.handler()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true) // gRPC on loopback
	a := &apiServer{at: l.Addr(), server: &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, Protocols: protocols,
		ConnContext: withConnection, ErrorLog: slog.NewLogLogger(i.logger.Handler(), slog.LevelDebug),
	}}
	if t := c.GetTls(); t != nil {
		cert, err := openCertificate(ctx, i, "api.tls", t)
		if err != nil {
			_ = l.Close() // it took nothing yet
			return nil, err
		}
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert.get, NextProtos: []string{"h2", "http/1.1"}})
	}
	i.goes(ctx, "api", func(context.Context) error {
		if err := a.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return context.Canceled
	})
	return a, nil
}

// handler is the whole API. Whether the process lives and is ready, anybody may ask.
func (i *instance) handler() http.Handler {
	who := newCallers(i)
	mux := http.NewServeMux()
	mux.Handle("/", who.middleware(shared(share.NewPool("calls under way", callsEach, callsAll), i.services())))
	mux.Handle("GET /healthz", probe(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	mux.Handle("GET /readyz", probe(i.readyz))
	mux.Handle("GET /metrics", who.auditors(access{i.policy()}, i.config.GetApi().GetOpenMetrics(), promhttp.HandlerFor(i.metrics, promhttp.HandlerOpts{})))
	return mux
}

// probe answers strangers: one answer for each connection, so that none is kept open by asking.
func probe(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		unread(w)
		next(w, r)
	})
}

// auditors lets those through who may read the record: numbers tell of targets and rules. Where that is configured, open,
// it also lets through whoever is on this host.
func (c *callers) auditors(may access, open bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if address, err := netip.ParseAddr(hostOf(r.RemoteAddr)); err == nil && address.Unmap().IsLoopback() && open && r.Header.Get("Authorization") == "" {
			if err := known(r.Context(), ""); err != nil { // nobody in particular
				unread(w)
				refuseCall(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		who, err := c.verify(r)
		switch {
		case err != nil:
			unread(w)
			w.Header().Set("WWW-Authenticate", `Bearer realm="sluice"`)
			http.Error(w, "metrics need a bearer token with audit_read, or api.open_metrics and a client on this host", http.StatusUnauthorized)
		case !may.May(who, policyv1.Permission_audit_read):
			http.Error(w, "the policy gives you no audit_read", http.StatusForbidden)
		default:
			if err := known(r.Context(), share.Name(who)); err != nil {
				unread(w)
				refuseCall(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		}
	})
}

// services mounts what the roles of this process can answer.
func (i *instance) services() http.Handler {
	mux := http.NewServeMux()
	options := []connect.HandlerOption{connect.WithReadMaxBytes(maxCall)}
	may := access{i.policy()}
	if p := i.process; p != nil {
		if p.store != nil {
			approvals := approval.NewService(p.store, p.feed, p.signer, callerOf, may, i.logger, i.told)
			mux.Handle(approvalv1connect.NewApprovalServiceHandler(approvals, options...))
		}
		mux.Handle(sessionv1connect.NewSessionServiceHandler(&sessionService{process: p, may: may}, options...))
	}
	i.elsewhere(mux)
	control := &controlService{instance: i, may: may, pace: newPace(explainEvery, explainBurst)}
	path, handler := controlv1connect.NewControlServiceHandler(control, connect.WithReadMaxBytes(maxExplain))
	mux.Handle(path, shared(share.NewPool("questions under way", explainsEach, explainsAll), handler))
	return mux
}

// elsewhere answers for the services that this process does not have, with where they are.
func (i *instance) elsewhere(mux *http.ServeMux) {
	refuse := func(text string) connect.HandlerOption { return connect.WithInterceptors(refusal{errElsewhere(text)}) }
	switch {
	case i.process == nil:
		text := "this is the API of a control plane; approvals and sessions are in that of a processor"
		mux.Handle(approvalv1connect.NewApprovalServiceHandler(approvalv1connect.UnimplementedApprovalServiceHandler{}, refuse(text)))
		mux.Handle(sessionv1connect.NewSessionServiceHandler(sessionv1connect.UnimplementedSessionServiceHandler{}, refuse(text)))
	case i.process.store == nil:
		mux.Handle(approvalv1connect.NewApprovalServiceHandler(approvalv1connect.UnimplementedApprovalServiceHandler{},
			refuse("this processor has no approvals: redis is not in its configuration")))
	}
}

// errElsewhere is that a process cannot answer, with who can.
func errElsewhere(text string) error { return errors.New(text + " (SLUICE_API)") }

// refusal answers every call with one error.
type refusal struct{ err error }

// WrapUnary implements connect.Interceptor.
func (r refusal) WrapUnary(connect.UnaryFunc) connect.UnaryFunc {
	return func(context.Context, connect.AnyRequest) (connect.AnyResponse, error) {
		return nil, connect.NewError(connect.CodeFailedPrecondition, r.err)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (r refusal) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (r refusal) WrapStreamingHandler(connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(context.Context, connect.StreamingHandlerConn) error {
		return connect.NewError(connect.CodeFailedPrecondition, r.err)
	}
}

// readyz: not ready without a policy, a recorder that records, and its listeners. Who is ready and does not serve the
// newest policy says so.
func (i *instance) readyz(w http.ResponseWriter, _ *http.Request) {
	if _, err := i.policy().Current(); err != nil {
		if i.control != nil {
			if fault := i.control.fault(); fault != "" && !strings.Contains(err.Error(), fault) {
				err = fmt.Errorf("%w: %s", err, fault)
			}
		}
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if i.process != nil {
		if err := i.process.recorder.Err(); err != nil {
			http.Error(w, "the recorder has failed", http.StatusServiceUnavailable)
			return
		}
	}
	w.WriteHeader(http.StatusOK)
	if i.control != nil {
		if fault := i.control.fault(); fault != "" {
			_, _ = fmt.Fprintf(w, "ready, with the last good policy and certificates: %s\n", fault) // whoever asked may be gone
		}
	}
}

func (a *apiServer) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close() // streams that are watched do not end by themselves
	}
}
