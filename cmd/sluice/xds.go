package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"connectrpc.com/connect"

	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
)

type xdsCommand struct {
	Status xdsStatus `cmd:"" help:"Show each node, what it was sent, and whether it took it. Ends with 1 if a node that is there refuses something, or if the newest policy or certificates are not what is served."`
}

type xdsStatus struct {
	api
	format
}

// Run shows the ledger. It ends with status 1 if a node that is there refuses what it was sent, or if the
// newest policy or certificates are not what is served.
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
		if err := out.One(st); err != nil {
			return err
		}
		return verdict(st)
	}
	if st.GetBundleVersion() == "" {
		if _, err := fmt.Fprintln(s.out, "no policy is served"); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(s.out, "bundle %.12s since %s\n", st.GetBundleVersion(), st.GetBundleAt().AsTime().Local().Format(time.DateTime)); err != nil {
		return err
	}
	for _, f := range st.GetPolicyFaults() {
		if _, err := fmt.Fprintf(s.out, "not served: %s\n", f); err != nil {
			return err
		}
	}
	if err := out.Table([]string{"NODE", "ROLE", "TYPE", "STATE", "ACKED", "ACKS", "NACKS", "DETAIL"}, nodeRows(st)); err != nil {
		return err
	}
	return verdict(st)
}

// nodeRows are the rows of the table: one for each type of a node.
func nodeRows(st *controlv1.StatusResponse) [][]string {
	var rows [][]string
	for _, n := range st.GetNodes() {
		for _, sub := range n.GetSubscriptions() {
			state, detail := sub.GetState().String(), sub.GetNackDetail()
			if len(sub.GetInDoubt()) > 0 {
				detail += " (in doubt: " + strings.Join(sub.GetInDoubt(), ", ") + ")"
			}
			if n.GetGoneAt() != nil {
				state, detail = "GONE", strings.TrimSpace("since "+n.GetGoneAt().AsTime().Local().Format(time.DateTime)+" "+detail)
			}
			rows = append(rows, []string{
				n.GetId(), n.GetRole(), path.Base(sub.GetTypeUrl()), state,
				fmt.Sprintf("%.12s", sub.GetAckedVersion()), fmt.Sprint(sub.GetAcks()), fmt.Sprint(sub.GetNacks()), detail,
			})
		}
	}
	return rows
}

// verdict is an error where a node refuses, or the newest is not what is served. What a node said that is gone is of the past;
// what one has not answered yet is no refusal.
func verdict(st *controlv1.StatusResponse) error {
	refused := 0
	for _, n := range st.GetNodes() {
		for _, sub := range n.GetSubscriptions() {
			if n.GetGoneAt() == nil && sub.GetState() == controlv1.Subscription_NACKED {
				refused++
			}
		}
	}
	var faults []error
	if refused > 0 {
		faults = append(faults, fmt.Errorf("%s refused", count(refused, "subscription is", "subscriptions are")))
	}
	if n := len(st.GetPolicyFaults()); n > 0 {
		faults = append(faults, fmt.Errorf("the newest policy or its files are not served: %s", count(n, "fault")))
	}
	if st.GetBundleVersion() == "" && len(faults) == 0 {
		faults = append(faults, errors.New("no policy is served"))
	}
	return errors.Join(faults...)
}
