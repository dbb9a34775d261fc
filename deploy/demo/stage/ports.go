package stage

import (
	"context"

	"github.com/sluicegate/sluice/e2e/stack"
)

// ports are all that the stage listens on, on 127.0.0.1.
type ports struct {
	listener, wide, database, api, idp, http, service int
}

// Offsets from the port base.
const (
	offsetListener = 32
	offsetWide     = 33
	offsetAPI      = 80
	offsetIDP      = 56
	offsetDatabase = 99
	offsetHTTP     = 43
	offsetService  = 44
)

// choosePorts counts from a base, or takes free ones.
func choosePorts(ctx context.Context, base int) (p ports, err error) {
	if base > 0 {
		return ports{
			listener: base + offsetListener, wide: base + offsetWide, database: base + offsetDatabase, api: base + offsetAPI,
			idp: base + offsetIDP, http: base + offsetHTTP, service: base + offsetService,
		}, nil
	}
	for _, port := range []*int{&p.listener, &p.wide, &p.database, &p.api, &p.idp, &p.http, &p.service} {
		if *port, err = stack.FreePort(ctx); err != nil {
			return p, err
		}
	}
	return p, nil
}
