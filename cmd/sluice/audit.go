package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	"github.com/sluicegate/sluice/authz/approval"
	"github.com/sluicegate/sluice/cmd/sluice/internal/cli"
	"github.com/sluicegate/sluice/extproc/record/audit"
	"github.com/sluicegate/sluice/extproc/record/translog"
)

type auditCommand struct {
	Verify auditVerify `cmd:"" help:"Check recordings against their transparency log, offline."`
}

type auditVerify struct {
	format
	Dir   string   `arg:"" type:"existingdir" help:"The directory of recordings."`
	Keys  []string `type:"existingfile" placeholder:"FILE" help:"Public keys of the APIs that sign votes (vote.key.pub). Default: the one in the state directory around DIR."`
	Log   string   `placeholder:"FILE" help:"The log's public key (log.pub). Default: the one in the state directory around DIR. Keep copies elsewhere: who can change a recording can change a key beside it."`
	Since string   `type:"existingfile" placeholder:"FILE" help:"An earlier checkpoint that the log must have grown from."`
}

// Run verifies. It ends with status 1 if anything was changed, removed, reordered or added.
func (c *auditVerify) Run(ctx context.Context, s streams) error {
	quorum, err := c.quorum()
	if err != nil {
		return err
	}
	key, err := c.logKey()
	if err != nil {
		return err
	}
	report, err := audit.Verify(ctx, audit.Options{Dir: c.Dir, LogKey: key, Quorum: quorum, Since: c.Since})
	if err != nil {
		return err
	}
	if out := c.to(s.out); out.JSON {
		e := json.NewEncoder(s.out)
		e.SetIndent("", "  ")
		err = e.Encode(report)
	} else {
		err = printReport(s, report)
	}
	if err != nil {
		return err
	}
	if !report.OK {
		return fmt.Errorf("%s: the recordings are not as they were recorded", count(len(report.Findings), "finding"))
	}
	return nil
}

// state is the state directory that recordings stand in unless configured elsewhere.
func (c *auditVerify) state() string { return filepath.Dir(filepath.Clean(c.Dir)) }

func (c *auditVerify) quorum() (audit.QuorumCheck, error) {
	files := c.Keys
	if len(files) == 0 {
		beside := filepath.Join(c.state(), "vote.key.pub")
		if _, err := os.Stat(beside); err != nil {
			return nil, &usageError{errors.New("--keys is needed: there is no vote.key.pub around the directory")}
		}
		files = []string{beside}
	}
	keys, err := approval.LoadKeyring(files...)
	if err != nil {
		return nil, err
	}
	return func(a *approvalv1.Approval) error {
		if !bytes.Equal(approval.RecordedDigest(a.GetAction()), a.GetRecordedDigest()) {
			return errors.New("the action is not the one that was voted on")
		}
		err := approval.VerifyVotes(a, keys)
		if q, ok := errors.AsType[*approval.QuorumError](err); ok && q.Fault == approval.UnknownKey {
			return fmt.Errorf("a public key is missing: its vote %d is signed by key %s; repeat --keys with the vote.key.pub of each API that takes votes",
				q.Vote+1, a.GetVotes()[q.Vote].GetKeyId())
		}
		return err
	}, nil
}

func (c *auditVerify) logKey() (string, error) {
	if c.Log != "" {
		return c.Log, nil
	}
	for _, beside := range []string{
		filepath.Join(c.state(), recordKeys, translog.PublicKeyFile),
		filepath.Join(c.Dir, "keys", translog.PublicKeyFile),
	} {
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	return "", &usageError{errors.New("--log is needed: there is no log key around the directory")}
}

func printReport(s streams, r *audit.Report) error {
	w := &errWriter{w: s.out}
	w.printf("log %s: %s, root %.16s\n", r.Origin, count(r.Size, "leaf", "leaves"), r.Root)
	w.printf("%s, %s, %s; %s\n", count(r.Sessions, "session"), count(r.Chunks, "chunk"), count(r.Events, "event"), heldCount(r.Held))
	for _, t := range r.Tail {
		w.printf("tail: %s\n", cli.OneLine(t.Message))
	}
	for _, n := range r.Notes {
		w.printf("note: %s\n", cli.OneLine(n))
	}
	for _, f := range r.Findings {
		where := f.File
		if f.Session != "" {
			where = "session " + f.Session
		}
		if f.Chunk != nil {
			where += fmt.Sprintf(" chunk %d", *f.Chunk)
		}
		w.printf("DAMAGE %s: %s: %s\n", f.Kind, cli.OneLine(where), cli.OneLine(f.Message))
	}
	if r.OK {
		w.printf("good: nothing was changed, removed, reordered or added\n")
	}
	return w.err
}

// count is a number of things: "1 session", "2 sessions".
func count[N int | uint64](n N, one string, many ...string) string {
	switch {
	case n == 1:
		return "1 " + one
	case len(many) > 0:
		return fmt.Sprintf("%d %s", n, many[0])
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func heldCount(n uint64) string {
	if n == 1 {
		return "1 execution of a held statement, with its quorum"
	}
	return fmt.Sprintf("%d executions of held statements, each with its quorum", n)
}

// errWriter keeps the first error of many writes.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) printf(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, args...)
	}
}
