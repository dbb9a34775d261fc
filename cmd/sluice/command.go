// Command sluice is an Envoy external-processing control plane for agent access: the control plane, the processors, and
// the tools of those who run it, approve in it and audit it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/sluicegate/sluice/cmd/sluice/internal/cli"
)

// Exit statuses.
const (
	exitDone    = 0
	exitRefused = 1
	exitUsage   = 2
)

// command is the grammar of the command line.
type command struct {
	Serve serveCommand `cmd:"" help:"Run the control plane, the processors, or both."`

	Approvals approvalsCommand `cmd:"" help:"See what waits for approval, and what became of it."`
	Approve   approveCommand   `cmd:"" help:"Approve something that is held."`
	Reject    rejectCommand    `cmd:"" help:"Reject something that is held."`

	Sessions sessionsCommand `cmd:"" help:"See sessions, replay them, end them."`
	Audit    auditCommand    `cmd:"" help:"Prove recordings untouched."`

	Policy policyCommand `cmd:"" help:"Check policy, and ask what it would decide."`
	Xds    xdsCommand    `cmd:"" help:"See what each Envoy and processor has accepted."`
	Envoy  envoyCommand  `cmd:"" help:"Make Envoy's bootstrap, run Envoy for development."`

	Dev   devCommand   `cmd:"" help:"Parts for development."`
	Token tokenCommand `cmd:"" help:"Get a token from the development identity provider."`

	Completion completionCommand `cmd:"" help:"Print a completion script for a shell."`
	Version    versionCommand    `cmd:"" help:"Print the version."`

	ShowVersion versionFlag `name:"version" help:"Print the version and end."`
}

// api are the flags of commands that call the API.
type api struct {
	API   string `name:"api" env:"SLUICE_API" placeholder:"URL" help:"Base URL of the API."`
	Token string `env:"SLUICE_TOKEN" placeholder:"TOKEN" help:"Your token. Better set SLUICE_TOKEN: arguments are seen by others on this machine."`
}

func (a api) client() (*cli.Client, error) {
	c, err := cli.New(a.API, a.Token)
	if err != nil {
		return nil, &usageError{err}
	}
	return c, nil
}

// format is the flag of commands that print answers.
type format struct {
	Output string `short:"o" enum:"text,json" default:"text" help:"How to print: text or json."`
}

func (f format) to(w io.Writer) cli.Output { return cli.Output{W: w, JSON: f.Output == "json"} }

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// usageError ends the command with the status for wrong usage.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// exitSignal is how kong's help and version end the command.
type exitSignal int

// run is the whole command, as tests call it.
func run(ctx context.Context, in io.Reader, out, errOut io.Writer, args []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			s, ok := r.(exitSignal)
			if !ok {
				panic(r)
			}
			code = int(s)
		}
	}()
	var c command
	parser, err := kong.New(&c,
		kong.Name("sluice"),
		kong.Description("Sluice guards the data path of agents: it decides each command, holds risky ones for people, masks what comes back, and records it all."),
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { panic(exitSignal(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.UsageOnError(),
	)
	if err != nil {
		return fail(errOut, err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		var p *kong.ParseError
		if errors.As(err, &p) {
			_ = p.Context.PrintUsage(true) // the error below says what is wrong
		}
		return fail(errOut, &usageError{err})
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(streams{in, out, errOut})
	parsed.Bind(parser)
	if err := parsed.Run(); err != nil {
		return fail(errOut, err)
	}
	return exitDone
}

func fail(errOut io.Writer, err error) int {
	_, _ = fmt.Fprintf(errOut, "sluice: %v\n", cli.Explain(err)) // nowhere else to say it
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitRefused
}

type versionCommand struct{ format }

// Run prints the version that the binary was built from.
func (c *versionCommand) Run(s streams) error {
	v := builtFrom()
	if out := c.to(s.out); out.JSON {
		return out.Value(v)
	}
	_, err := fmt.Fprintln(s.out, v)
	return err
}

// versionFlag is the command as a flag.
type versionFlag bool

// BeforeReset is called by kong where the flag is given.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	if _, err := fmt.Fprintln(app.Stdout, builtFrom()); err != nil {
		return err
	}
	app.Exit(exitDone)
	return nil
}

// version is what a binary was built from.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
}

func (v version) String() string { return strings.TrimSpace("sluice " + v.Version + " " + v.Revision) }

func builtFrom() version {
	v := version{Version: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Version = info.Main.Version
		for _, kv := range info.Settings {
			if kv.Key == "vcs.revision" {
				v.Revision = kv.Value
			}
		}
	}
	return v
}
