package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/authz/oplog"
	"github.com/sluicegate/sluice/authz/share"
	"github.com/sluicegate/sluice/policies"
)

// callerKey is under what a context has the caller, an *identityv1.Principal.
type callerKey struct{}

// callers finds out who calls the API, from the bearer token of each call (RFC 6750).
type callers struct {
	identities *identity.Registry
	told       *oplog.Log
}

func newCallers(i *instance) *callers { return &callers{identities: i.identities, told: i.told} }

// refuse tells that a call's token was refused.
func (c *callers) refuse(r *http.Request, kind string, err error) {
	c.told.LoginRefused(&oplog.Login{Protocol: oplog.API, Client: r.RemoteAddr, Reason: kind, Err: err})
}

// middleware puts the caller into the context of each request. Without one a request ends here: nothing of its body is
// read before it is known whose it is.
func (c *callers) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := c.verify(r)
		if err != nil {
			unread(w)
			w.Header().Set("WWW-Authenticate", `Bearer realm="sluice"`)
			refuseCall(w, r, err)
			return
		}
		if err := known(r.Context(), share.Name(who)); err != nil {
			unread(w) // the connection goes, too
			refuseCall(w, r, err)
			return
		}
		ctx := context.WithValue(r.Context(), callerKey{}, who)
		next.ServeHTTP(w, paced(w, r.WithContext(ctx), bodyPause, bodyTime))
	})
}

// unread makes this answer the connection's last, and the body stay where it is: else the server would wait for the end of
// it, to find the next request behind it.
func unread(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // where that cannot be done, there is no connection
}

func (c *callers) verify(r *http.Request) (*identityv1.Principal, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		token = ""
	}
	id, err := c.identities.Verify(r.Context(), strings.TrimSpace(token))
	if err != nil {
		var refused *identity.Error
		if errors.As(err, &refused) {
			c.refuse(r, refused.Kind.String(), errors.New(refused.Public()))
			code := connect.CodeUnauthenticated
			if refused.Kind == identity.Unavailable {
				code = connect.CodeUnavailable
			}
			return nil, connect.NewError(code, errors.New(refused.Public()))
		}
		c.refuse(r, "unknown", errors.New("the token was refused"))
		return nil, connect.NewError(connect.CodeUnauthenticated, errors.New("the token was refused"))
	}
	return id.Principal, nil
}

// callerOf is who makes this call. The error is a connect error.
func callerOf(ctx context.Context) (*identityv1.Principal, error) {
	who, ok := ctx.Value(callerKey{}).(*identityv1.Principal)
	if !ok {
		return nil, connect.NewError(connect.CodeUnauthenticated, errors.New("no token was given"))
	}
	return who, nil
}

// currentPolicy gives the policy in force.
type currentPolicy interface {
	Current() (*policies.Policy, error)
}

// access answers what callers may do, by the policy of the moment; without one, nobody may do anything.
type access struct{ policy currentPolicy }

// May implements approval.Access.
func (a access) May(who *identityv1.Principal, permission policyv1.Permission) bool {
	p, err := a.policy.Current()
	return err == nil && p.May(who, permission)
}

// require refuses a caller without a permission.
func (a access) require(ctx context.Context, permission policyv1.Permission) error {
	who, err := callerOf(ctx)
	if err != nil {
		return err
	}
	if !a.May(who, permission) {
		return connect.NewError(connect.CodePermissionDenied, errors.New("the policy gives you no "+permission.String()))
	}
	return nil
}
