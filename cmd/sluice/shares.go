package main

import (
	"net/http"

	"connectrpc.com/connect"

	"github.com/sluicegate/sluice/authz/share"
)

// What one caller of an API may have at once, and all: whoever has a token could hold all memory and files otherwise. The
// bounds of all leave memory for the data path, which goes through the same process.
const (
	connectionsEach, connectionsAll = 64, 4096
	callsEach, callsAll             = 16, 1024
	explainsEach, explainsAll       = 4, 32 // of up to maxExplain bytes
)

// shared lets a call through while its caller has a share of the pool left.
func shared(pool *share.Pool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := callerOf(r.Context())
		if err != nil {
			refuseCall(w, r, err)
			return
		}
		name := share.Name(who)
		if err := pool.Take(name, 1); err != nil {
			refuseCall(w, r, connect.NewError(connect.CodeResourceExhausted, err))
			return
		}
		defer pool.Give(name, 1)
		next.ServeHTTP(w, r)
	})
}

// refuseCall answers a call without reading its body.
func refuseCall(w http.ResponseWriter, r *http.Request, err error) {
	if r.ProtoMajor < 2 { // else the stream ends alone
		unread(w)
	}
	if errs := connect.NewErrorWriter(); errs.IsSupported(r) {
		_ = errs.Write(w, r, err) // the caller may be gone
		return
	}
	status := http.StatusTooManyRequests
	if connect.CodeOf(err) != connect.CodeResourceExhausted {
		status = http.StatusUnauthorized
	}
	http.Error(w, err.Error(), status)
}
