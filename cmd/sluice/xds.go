package main

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"connectrpc.com/connect"

	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
)

type xdsCommand struct {
	Status xdsStatus `cmd:"" help:"Show each node, what it was sent, and whether it took it."`
}

type xdsStatus struct {
	api
	format
}

// Run shows the ledger. It ends with status 1 if some node refused what it was sent.
func (c *xdsStatus) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	res, err := client.Control.Status(ctx, connect.NewRequest(&controlv1.StatusRequest{}))
	if err != nil {
		return err
	}
	out, st := c.to(s.out), res.Msg
	if out.JSON {
		return out.One(st)
	}
	if _, err := fmt.Fprintf(s.out, "bundle %.12s since %s\n", st.GetBundleVersion(), st.GetBundleAt().AsTime().Local().Format(time.DateTime)); err != nil {
		return err
	}
	for _, f := range st.GetPolicyFaults() {
		if _, err := fmt.Fprintf(s.out, "not served: %s\n", f); err != nil {
			return err
		}
	}
	var rows [][]string
	refused := 0
	for _, n := range st.GetNodes() {
		for _, sub := range n.GetSubscriptions() {
			detail := sub.GetNackDetail()
			if len(sub.GetInDoubt()) > 0 {
				detail += " (in doubt: " + strings.Join(sub.GetInDoubt(), ", ") + ")"
			}
			if sub.GetState() == controlv1.Subscription_NACKED {
				refused++
			}
			rows = append(rows, []string{
				n.GetId(), n.GetRole(), path.Base(sub.GetTypeUrl()), sub.GetState().String(),
				fmt.Sprintf("%.12s", sub.GetAckedVersion()), fmt.Sprint(sub.GetAcks()), fmt.Sprint(sub.GetNacks()), detail,
			})
		}
	}
	if err := out.Table([]string{"NODE", "ROLE", "TYPE", "STATE", "ACKED", "ACKS", "NACKS", "DETAIL"}, rows); err != nil {
		return err
	}
	if refused > 0 {
		return fmt.Errorf("%d subscriptions are refused", refused)
	}
	return nil
}
