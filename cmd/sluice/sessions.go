package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"

	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/cmd/sluice/internal/cli"
	httptext "github.com/sluicegate/sluice/extproc/http/transcript"
	pgtext "github.com/sluicegate/sluice/extproc/postgres/transcript"
	"github.com/sluicegate/sluice/extproc/record/transcript"
)

type sessionsCommand struct {
	List   sessionsList   `cmd:"" default:"withargs" help:"List sessions, newest first."`
	Show   sessionsShow   `cmd:"" help:"Show one."`
	Replay sessionsReplay `cmd:"" help:"Replay what was asked, decided and answered."`
	End    sessionsEnd    `cmd:"" help:"End a live session."`
}

type sessionsList struct {
	api
	format
	State     string `enum:"all,live,ended" default:"all" help:"Only those: all, live, ended."`
	Target    string `placeholder:"NAME" help:"Only those on this target."`
	Principal string `placeholder:"ISSUER:SUBJECT" help:"Only those of this principal."`
	Limit     uint32 `default:"100" help:"At most so many."`
}

// Run lists sessions.
func (c *sessionsList) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	req := &sessionv1.ListRequest{Target: c.Target, Principal: c.Principal, PageSize: min(c.Limit, cli.MaxPage)}
	if c.State != "all" {
		req.States = []sessionv1.State{sessionv1.State(sessionv1.State_value[strings.ToUpper(c.State)])}
	}
	all, err := cli.Pages(c.Limit, func(token string) ([]*sessionv1.Session, string, error) {
		req.PageToken = token
		res, err := client.Sessions.List(ctx, connect.NewRequest(req))
		if err != nil {
			return nil, "", err
		}
		return res.Msg.GetSessions(), res.Msg.GetNextPageToken(), nil
	})
	if err != nil {
		return err
	}
	out := c.to(s.out)
	if out.JSON {
		return cli.List(out, all)
	}
	rows := make([][]string, len(all))
	for i, one := range all {
		rows[i] = []string{
			one.GetId(), strings.ToLower(one.GetState().String()), who(one.GetPrincipal()), one.GetTarget(),
			one.GetStartedAt().AsTime().Local().Format(time.DateTime), fmt.Sprint(one.GetStatements()), fmt.Sprint(one.GetDenied()),
			fmt.Sprint(one.GetHeld()), fmt.Sprint(one.GetRows()),
		}
	}
	return out.Table([]string{"ID", "STATE", "PRINCIPAL", "TARGET", "STARTED", "STATEMENTS", "DENIED", "HELD", "ROWS"}, rows)
}

type sessionsShow struct {
	api
	format
	ID string `arg:"" help:"The session's id."`
}

// Run shows one session.
func (c *sessionsShow) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	res, err := client.Sessions.Get(ctx, connect.NewRequest(&sessionv1.GetRequest{Id: c.ID}))
	if err != nil {
		return err
	}
	out, one := c.to(s.out), res.Msg.GetSession()
	if out.JSON {
		return out.One(one)
	}
	ended := "-"
	if one.GetEndedAt() != nil {
		ended = one.GetEndedAt().AsTime().Local().Format(time.DateTime) + ": " + one.GetEndReason()
	}
	database := "-"
	if one.GetDatabase() != "" { // HTTP has none
		database = one.GetDatabase() + " as " + one.GetRole()
	}
	return out.Table([]string{"FIELD", "VALUE"}, [][]string{
		{"id", one.GetId()},
		{"state", strings.ToLower(one.GetState().String())},
		{"principal", who(one.GetPrincipal()) + " (" + strings.ToLower(one.GetPrincipal().GetKind().String()) + ", groups " + strings.Join(one.GetPrincipal().GetGroups(), ", ") + ")"},
		{"client", one.GetClientAddress() + " " + one.GetApplication()},
		{"target", one.GetTarget()},
		{"database", database},
		{"envoy", one.GetEnvoyNode()},
		{"processor", one.GetProcessor()},
		{"started", one.GetStartedAt().AsTime().Local().Format(time.DateTime)},
		{"ended", ended},
		{"statements", fmt.Sprintf("%d, denied %d, held %d", one.GetStatements(), one.GetDenied(), one.GetHeld())},
		{"sent", fmt.Sprintf("%d rows, %d bytes", one.GetRows(), one.GetBytes())},
	})
}

type sessionsReplay struct {
	api
	format
	ID string `arg:"" help:"The session's id."`
}

// Run replays a session.
func (c *sessionsReplay) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	stream, err := client.Sessions.Replay(ctx, connect.NewRequest(&sessionv1.ReplayRequest{Id: c.ID}))
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }() // it is read to its end, or not wanted any more
	out := c.to(s.out)
	text := transcript.NewWriter(s.out, httptext.New, pgtext.New)
	for stream.Receive() {
		if out.JSON {
			err = out.One(stream.Msg().GetEvent())
		} else {
			err = text.Event(stream.Msg().GetEvent())
		}
		if err != nil {
			return err
		}
	}
	if err := text.End(); err != nil {
		return err
	}
	return stream.Err()
}

type sessionsEnd struct {
	api
	format
	ID     string `arg:"" help:"The session's id."`
	Reason string `default:"ended by an operator" help:"Shown to the agent."`
}

// Run ends a session.
func (c *sessionsEnd) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if _, err := client.Sessions.End(ctx, connect.NewRequest(&sessionv1.EndRequest{Id: c.ID, Reason: c.Reason})); err != nil {
		return err
	}
	if out := c.to(s.out); out.JSON {
		return out.Value(map[string]any{"id": c.ID, "ended": true})
	}
	_, err = fmt.Fprintf(s.out, "%s was ended\n", c.ID)
	return err
}
