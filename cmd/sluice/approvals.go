package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/authz/approval"
	"github.com/sluicegate/sluice/cmd/sluice/internal/cli"
	"github.com/sluicegate/sluice/extproc/record/transcript"
)

type approvalsCommand struct {
	List  approvalsList  `cmd:"" default:"withargs" help:"List approvals, newest first."`
	Show  approvalsShow  `cmd:"" help:"Show one, with all that is needed to decide."`
	Watch approvalsWatch `cmd:"" help:"Print each change as it happens, until it is interrupted: that is status 0."`
}

type approvalsList struct {
	api
	format
	State string `help:"Only those in this state: all, pending, approved, rejected, expired, withdrawn, consumed." enum:"all,pending,approved,rejected,expired,withdrawn,consumed" default:"all"`
	Limit uint32 `default:"100" help:"At most so many."`
}

// Run lists approvals.
func (c *approvalsList) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	req := &approvalv1.ListRequest{PageSize: min(c.Limit, cli.MaxPage)}
	if c.State != "all" {
		req.States = []approvalv1.State{approvalv1.State(approvalv1.State_value[strings.ToUpper(c.State)])}
	}
	all, err := cli.Pages(c.Limit, func(token string) ([]*approvalv1.Approval, string, error) {
		req.PageToken = token
		res, err := client.Approvals.List(ctx, connect.NewRequest(req))
		if err != nil {
			return nil, "", err
		}
		return res.Msg.GetApprovals(), res.Msg.GetNextPageToken(), nil
	})
	if err != nil {
		return err
	}
	out := c.to(s.out)
	if out.JSON {
		return cli.List(out, all)
	}
	rows := make([][]string, len(all))
	for i, a := range all {
		rows[i] = []string{
			a.GetId(), approval.Word(a.GetState()), who(a.GetRequester()), a.GetTarget(),
			a.GetExpiresAt().AsTime().Local().Format(time.TimeOnly), a.GetAction().GetText(),
		}
	}
	return out.Table([]string{"ID", "STATE", "REQUESTER", "TARGET", "UNTIL", "ACTION"}, rows)
}

func who(p *identityv1.Principal) string { return p.GetIssuer() + ":" + p.GetSubject() }

type approvalsShow struct {
	api
	format
	ID string `arg:"" help:"The approval's id."`
}

// Run shows one approval.
func (c *approvalsShow) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	res, err := client.Approvals.Get(ctx, connect.NewRequest(&approvalv1.GetRequest{Id: c.ID}))
	if err != nil {
		return err
	}
	a := res.Msg.GetApproval()
	shownHere().remember(a.GetId(), approval.RecordedDigest(a.GetAction()), time.Now())
	out := c.to(s.out)
	if out.JSON {
		return out.One(a)
	}
	return show(s, a)
}

// show prints what a person needs to decide. Text of the requester's is escaped and never cut.
func show(s streams, a *approvalv1.Approval) error {
	var b strings.Builder
	fmt.Fprintf(&b, "approval    %s (%s)\n", a.GetId(), approval.Word(a.GetState()))
	fmt.Fprintf(&b, "requester   %s, a %s\n", cli.OneLine(who(a.GetRequester())), strings.ToLower(a.GetRequester().GetKind().String()))
	fmt.Fprintf(&b, "session     %s on target %s\n", a.GetSessionId(), a.GetTarget())
	fmt.Fprintf(&b, "rules       %s (policy %.12s)\n", strings.Join(a.GetRules(), ", "), a.GetBundleVersion())
	for _, r := range a.GetRequirements() {
		fmt.Fprintf(&b, "needed      %d of %s\n", r.GetCount(), strings.Join(r.GetGroups(), " or "))
	}
	fmt.Fprintf(&b, "until       %s\n", a.GetExpiresAt().AsTime().Local().Format(time.RFC3339))
	for _, d := range a.GetAction().GetDetails() {
		fmt.Fprintf(&b, "%-11s %s\n", d.GetName(), cli.OneLine(d.GetValue()))
	}
	for _, w := range a.GetWarnings() {
		fmt.Fprintf(&b, "warning     %s\n", cli.OneLine(w))
	}
	fmt.Fprintf(&b, "digest      %x\n", approval.RecordedDigest(a.GetAction()))
	text := a.GetAction().GetText()
	fmt.Fprintf(&b, "action      %s, %d bytes\n\n    %s\n", a.GetAction().GetSummary(), len(text), strings.ReplaceAll(transcript.Escape(text), "\n", "\n    "))
	for i, p := range a.GetAction().GetParameters() {
		fmt.Fprintf(&b, "    $%d = %s\n", i+1, parameter(p))
	}
	for _, v := range a.GetVotes() {
		fmt.Fprintf(&b, "\n%s by %s at %s %s\n", strings.ToLower(v.GetChoice().String()), cli.OneLine(who(v.GetVoter())),
			v.GetAt().AsTime().Local().Format(time.RFC3339), cli.OneLine(v.GetReason()))
	}
	if a.GetReason() != "" {
		fmt.Fprintf(&b, "\nreason: %s\n", cli.OneLine(a.GetReason()))
	}
	_, err := fmt.Fprint(s.out, b.String())
	return err
}

// parameter is a value as people read it: what has several lines stands on several.
func parameter(p *approvalv1.Parameter) string {
	if p.GetIsNull() {
		return "NULL"
	}
	text := transcript.Escape(p.GetValue())
	if !strings.Contains(text, "\n") {
		return text
	}
	return fmt.Sprintf("(%s, %d bytes)\n        | %s", cmp.Or(p.GetType(), "text"), len(p.GetValue()), strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n        | "))
}

type approvalsWatch struct {
	api
	format
}

// Run prints changes until it is interrupted.
func (c *approvalsWatch) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	stream, err := client.Approvals.Watch(ctx, connect.NewRequest(&approvalv1.WatchRequest{}))
	if err != nil {
		if ctx.Err() != nil {
			return nil // before there was anything to tell
		}
		return err
	}
	defer func() { _ = stream.Close() }() // it is read to its end, or not wanted any more
	out := c.to(s.out)
	for stream.Receive() {
		a := stream.Msg().GetApproval()
		if out.JSON {
			err = out.One(a)
		} else {
			_, err = fmt.Fprintf(s.out, "%s  %-9s  %s  %s  %s\n", a.GetId(), approval.Word(a.GetState()), cli.OneLine(who(a.GetRequester())), a.GetTarget(), cli.OneLine(a.GetAction().GetText()))
		}
		if err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return stream.Err()
}

type approveCommand struct {
	api
	format
	ID     string `arg:"" help:"The approval's id."`
	Reason string `placeholder:"TEXT" help:"Why, for the record."`
	YesTo  string `placeholder:"DIGEST" help:"Approve only what has this digest, or one that begins so, as 'approvals show' prints it. Without it: what 'approvals show' last showed you."`
}

// Run approves.
func (c *approveCommand) Run(ctx context.Context, s streams) error {
	return decide(ctx, s, c.api, c.format, vote{c.ID, approvalv1.Vote_APPROVE, c.Reason, c.YesTo})
}

type rejectCommand struct {
	api
	format
	ID     string `arg:"" help:"The approval's id."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; the requester reads it."`
}

// Run rejects.
func (c *rejectCommand) Run(ctx context.Context, s streams) error {
	return decide(ctx, s, c.api, c.format, vote{id: c.ID, choice: approvalv1.Vote_REJECT, reason: c.Reason})
}

// vote is what somebody says to an approval; yesTo, if given, is the digest of what they mean.
type vote struct {
	id     string
	choice approvalv1.Vote_Choice
	reason string
	yesTo  string
}

// digest is that of the action which the vote is for: the one that is named, or else was shown last, or else is held now.
func (v vote) digest(held *approvalv1.Approval) ([]byte, error) {
	now := approval.RecordedDigest(held.GetAction())
	if v.yesTo != "" {
		return now, agrees(v.yesTo, now)
	}
	if shown := shownHere().last(v.id); shown != nil {
		return shown, nil
	}
	return now, nil
}

// decide votes on exactly what was shown: the API refuses it if that is not what is held.
func decide(ctx context.Context, s streams, a api, f format, v vote) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	shown, err := client.Approvals.Get(ctx, connect.NewRequest(&approvalv1.GetRequest{Id: v.id}))
	if err != nil {
		return err
	}
	held := shown.Msg.GetApproval()
	digest, err := v.digest(held)
	if err != nil {
		return err
	}
	res, err := client.Approvals.Decide(ctx, connect.NewRequest(&approvalv1.DecideRequest{
		Id: v.id, Choice: v.choice, Reason: v.reason, Digest: held.GetDigest(), RecordedDigest: digest,
	}))
	if err != nil {
		return err
	}
	out := f.to(s.out)
	if out.JSON {
		if err := out.One(res.Msg.GetApproval()); err != nil {
			return err
		}
		return void(res.Msg.GetApproval(), v.choice)
	}
	return report(s, held, res.Msg.GetApproval(), v.choice)
}

// report says what a vote came to. The error is that it came to nothing.
func report(s streams, before, after *approvalv1.Approval, choice approvalv1.Vote_Choice) error {
	state := approval.Word(after.GetState())
	if err := void(after, choice); err != nil {
		return err
	}
	note := ""
	if after.GetState() == approvalv1.State_PENDING {
		needed := uint32(0)
		for _, r := range after.GetRequirements() {
			needed += max(r.GetCount(), 1)
		}
		note = fmt.Sprintf(" (your vote counts, %d of %d)", len(after.GetVotes()), needed)
		if len(after.GetVotes()) <= len(before.GetVotes()) {
			note = fmt.Sprintf(" (you have voted already, %d of %d)", len(after.GetVotes()), needed)
		}
	}
	_, err := fmt.Fprintf(s.out, "%s is %s%s: %s\n", after.GetId(), state, note, cli.OneLine(after.GetAction().GetText()))
	return err
}

// void says that what was voted for did not come to be, and will not.
func void(a *approvalv1.Approval, choice approvalv1.Vote_Choice) error {
	switch st := a.GetState(); {
	case choice == approvalv1.Vote_REJECT && st == approvalv1.State_REJECTED:
		return nil
	case choice == approvalv1.Vote_APPROVE && (st == approvalv1.State_PENDING || st == approvalv1.State_APPROVED || st == approvalv1.State_CONSUMED):
		return nil
	}
	why := ""
	if a.GetReason() != "" {
		why = ": " + cli.OneLine(a.GetReason())
	}
	return fmt.Errorf("%s is %s%s", a.GetId(), approval.Word(a.GetState()), why)
}
