package main

import (
	"context"
	"fmt"
	"strings"

	"connectrpc.com/connect"

	controlv1 "github.com/sluicegate/sluice/api/gen/sluice/control/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/cmd/sluice/internal/cli"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/source"
)

type policyCommand struct {
	Check   policyCheck   `cmd:"" help:"Check a policy directory: every fault with file, line and field."`
	Explain policyExplain `cmd:"" help:"Ask the running Sluice what it would decide, and why."`

	Detectors policyDetectors `cmd:"" help:"List the detectors of secrets that masks may name."`
}

type policyCheck struct {
	Dir     string `arg:"" type:"existingdir" help:"The policy directory."`
	Config  string `type:"existingfile" placeholder:"FILE" help:"The configuration of the control plane: then whatever it would refuse is found, such as via: ENVOY without an egress_dir."`
	NoFiles bool   `help:"Do not look for the files that the policy names, for when they are on other hosts."`
	Live    bool   `help:"Compare with the policy in force, and warn of what ends sessions. Needs SLUICE_API and SLUICE_TOKEN."`
	api
	format
}

// checked is what a check came to.
type checked struct {
	Dir      string         `json:"dir"`
	Good     bool           `json:"good"`
	Version  string         `json:"version,omitempty"`
	Targets  int            `json:"targets"`
	Rules    int            `json:"rules"`
	Masks    int            `json:"masks"`
	Faults   []source.Fault `json:"faults"`
	Warnings []string       `json:"warnings"`
}

// Run checks the directory. It ends with status 1 if there is a fault.
func (c *policyCheck) Run(ctx context.Context, s streams) error {
	r, err := source.Read(ctx, c.Dir)
	if err != nil {
		return err
	}
	faults, warnings := r.Faults, []string{}
	if faults == nil {
		if faults, warnings, err = c.place(r); err != nil {
			return err
		}
	}
	if faults == nil && c.Live {
		live, err := c.compare(ctx, r.Policy)
		if err != nil {
			return err
		}
		warnings = append(warnings, live...)
	}
	if err := c.report(s, r.Bundle, faults, warnings); err != nil {
		return err
	}
	if faults != nil {
		return faults
	}
	return nil
}

// report prints what was found; faults are the error's, but for programs.
func (c *policyCheck) report(s streams, b *policyv1.Bundle, faults *source.Faults, warnings []string) error {
	if out := c.to(s.out); out.JSON {
		all := checked{
			Dir: c.Dir, Good: faults == nil, Version: b.GetVersion(), Targets: len(b.GetTargets()), Rules: len(b.GetRules()), Masks: len(b.GetMasks()),
			Faults: []source.Fault{}, Warnings: warnings,
		}
		if faults != nil {
			all.Faults = faults.Faults
		}
		return out.Value(all)
	}
	for _, w := range warnings {
		if _, err := fmt.Fprintf(s.err, "warning: %s\n", w); err != nil {
			return err
		}
	}
	if faults != nil {
		return nil
	}
	_, err := fmt.Fprintf(s.out, "%s is good: %s, %s, %s (version %.12s)\n", c.Dir,
		count(len(b.GetTargets()), "target"), count(len(b.GetRules()), "rule"), count(len(b.GetMasks()), "mask"), b.GetVersion())
	return err
}

// compare warns of targets that are in force and would go: their sessions end at drain time.
func (c *policyCheck) compare(ctx context.Context, next *policies.Policy) ([]string, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	res, err := client.Control.GetPolicy(ctx, connect.NewRequest(&controlv1.GetPolicyRequest{}))
	if err != nil {
		return nil, err
	}
	var warnings []string
	for _, t := range res.Msg.GetBundle().GetTargets() {
		now := next.Target(t.GetName())
		switch {
		case now == nil:
			warnings = append(warnings, fmt.Sprintf("target %q would be removed: its sessions end at drain time", t.GetName()))
		case !sameListener(t, now):
			warnings = append(warnings, fmt.Sprintf("the listener of target %q would change: its sessions end at drain time", t.GetName()))
		}
	}
	return warnings, nil
}

func sameListener(a, b *policyv1.Target) bool {
	return a.GetListener().GetAddress() == b.GetListener().GetAddress() && a.GetListener().GetPort() == b.GetListener().GetPort() &&
		a.GetListener().GetMaxConnections() == b.GetListener().GetMaxConnections()
}

type policyExplain struct {
	api
	format
	As     string   `placeholder:"ISSUER:SUBJECT" help:"About whom. Default: you."`
	Groups []string `help:"The groups of that principal."`
	Target string   `required:"" placeholder:"NAME" help:"The target."`
	Action string   `arg:"" help:"A SQL statement, or METHOD and PATH of an HTTP request. It is not run."`
}

// Run asks for an explanation. The exit status is 0 whatever the decision: it is the answer.
func (c *policyExplain) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	res, err := client.Control.Explain(ctx, connect.NewRequest(&controlv1.ExplainRequest{As: c.As, Groups: c.Groups, Target: c.Target, Sql: c.Action}))
	if err != nil {
		return err
	}
	out := c.to(s.out)
	if out.JSON {
		return out.One(res.Msg)
	}
	d := res.Msg.GetDecision()
	var b strings.Builder
	fmt.Fprintf(&b, "%s", strings.ToLower(d.GetVerdict().String()))
	if len(d.GetRules()) > 0 {
		fmt.Fprintf(&b, " by %s", strings.Join(d.GetRules(), ", "))
	}
	if len(d.GetMasks()) > 0 {
		fmt.Fprintf(&b, " with masks %s", strings.Join(d.GetMasks(), ", "))
	}
	fmt.Fprintf(&b, " (policy %.12s)\n", d.GetBundleVersion())
	for _, line := range [][2]string{{"message", d.GetMessage()}, {"detail", d.GetDetail()}, {"hint", d.GetHint()}} {
		if line[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", line[0], cli.OneLine(line[1]))
		}
	}
	b.WriteString("it does:\n")
	for _, p := range res.Msg.GetPairs() {
		reached := ""
		if p.GetReached() {
			reached = " (reached)"
		}
		fmt.Fprintf(&b, "  %s %s%s\n", p.GetEffect(), cli.OneLine(p.GetObject()), reached)
	}
	if len(res.Msg.GetPairs()) == 0 {
		b.WriteString("  nothing that needs a rule\n")
	}
	if _, err := fmt.Fprint(s.out, b.String()); err != nil {
		return err
	}
	rows := make([][]string, 0, len(res.Msg.GetTrace()))
	for _, t := range res.Msg.GetTrace() {
		matched := "-"
		if t.GetMatched() {
			matched = "matches"
		}
		rows = append(rows, []string{t.GetRule(), t.GetAction(), matched, t.GetReason()})
	}
	return out.Table([]string{"RULE", "ACTION", "", "WHY"}, rows)
}
