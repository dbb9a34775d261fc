package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluicegate/sluice/deploy/demo/stage"
)

// teller tells the story and keeps what it needs from one chapter to the next.
type teller struct {
	stage *stage.Stage
	out   io.Writer
	agent *terminal
	step  int
}

// Play tells and checks the whole story. The error says which step failed, and how.
func Play(ctx context.Context, s *stage.Stage, out io.Writer) (err error) {
	t := &teller{stage: s, out: out}
	if t.agent, err = openTerminal(ctx, s, "agent"); err != nil {
		return err
	}
	for _, chapter := range []func(context.Context) error{
		t.masked, t.held, t.denied, t.changedLive, t.replayed, t.http, t.verified,
	} {
		if err := chapter(ctx); err != nil {
			return fmt.Errorf("step %d: %w", t.step, err)
		}
	}
	t.tell("\nThe story is told; every step was checked.\n")
	return nil
}

func (t *teller) tell(format string, args ...any) {
	_, _ = fmt.Fprintf(t.out, format, args...) // a story that nobody hears has no harm
}

func (t *teller) chapter(title string) {
	t.step++
	t.tell("\n%d. %s\n", t.step, title)
}

// show prints what a program printed, indented.
func (t *teller) show(text string) {
	for _, l := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		t.tell("   | %s\n", l)
	}
}

func want(text string, words ...string) error {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return fmt.Errorf("%q is missing in:\n%s", w, text)
		}
	}
	return nil
}

func wantNot(text string, words ...string) error {
	for _, w := range words {
		if strings.Contains(text, w) {
			return fmt.Errorf("%q is in:\n%s", w, text)
		}
	}
	return nil
}

// masked: what the agent may read, it reads; secrets never reach it.
func (t *teller) masked(ctx context.Context) error {
	t.chapter("An agent reads customers with psql, through Envoy. It shows its OIDC token, never a database password.")
	const sql = "select id, name, email, password, api_key from customers order by id limit 3;"
	t.tell("   agent> %s\n", sql)
	out, err := t.agent.ask(ctx, sql, "(3 rows)")
	if err != nil {
		return err
	}
	t.show(out)
	if err := want(out, "Customer 1", "***@example.com", "[masked]"); err != nil {
		return err
	}
	return wantNot(out, "secret-password", "sk-live-key", "customer1@")
}

type listed struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

// first waits for the first of a list of the sluice command's.
func (t *teller) first(ctx context.Context, as string, args ...string) (listed, error) {
	var out string
	var err error
	for range 50 {
		out, err = t.stage.Sluice(ctx, as, append(args, "-o", "json")...)
		var all []listed
		if err == nil {
			if err = json.Unmarshal([]byte(out), &all); err == nil && len(all) > 0 {
				return all[0], nil
			}
		}
		select {
		case <-ctx.Done():
			return listed{}, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return listed{}, fmt.Errorf("sluice %s: nothing came: %s %w", strings.Join(args, " "), out, errors.Join(err, errors.New("gave up")))
}

// held: a write waits for a person, inside the open transaction.
func (t *teller) held(ctx context.Context) error {
	t.chapter("It deletes an order, in a transaction. The rule writes-are-held holds the statement for one of the DBAs.")
	const sql = "delete from orders where id = 7;"
	if _, err := t.agent.ask(ctx, "begin;", "BEGIN"); err != nil {
		return err
	}
	t.tell("   agent> begin;\n   agent> %s\n", sql)
	if err := t.agent.send(sql); err != nil {
		return err
	}
	out, err := t.agent.expect(ctx, "NOTICE:  held for approval", "HINT:")
	if err != nil {
		return err
	}
	t.show(out)
	a, err := t.first(ctx, "alice", "approvals", "list", "--state", "pending")
	if err != nil {
		return err
	}
	if out, err := t.stage.Sluice(ctx, "agent", "approve", a.ID); err == nil {
		return fmt.Errorf("the agent approved its own statement: %s", out)
	}
	t.tell("   The agent can not approve it. Alice can: alice$ sluice approve %s\n", a.ID)
	out, err = t.stage.Sluice(ctx, "alice", "approve", a.ID, "--reason", "ticket 4711")
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	t.show(out)
	if out, err = t.agent.expect(ctx, "DELETE 1"); err != nil {
		return err
	}
	t.show(out)
	t.tell("   The transaction goes on: agent> commit;\n")
	if out, err = t.agent.ask(ctx, "commit;", "COMMIT"); err != nil {
		return err
	}
	t.show(out)
	return nil
}

// denied: what policy forbids comes back with the rule and what to do instead; the session lives.
func (t *teller) denied(ctx context.Context) error {
	t.chapter("It tries to drop a table. The rule never-drop denies it, says why, and the session lives.")
	t.tell("   agent> drop table payments;\n")
	out, err := t.agent.ask(ctx, "drop table payments;", "ERROR:", "HINT:")
	if err != nil {
		return err
	}
	t.show(out)
	if err := want(out, "Dropping data goes through a migration.", "never-drop"); err != nil {
		return err
	}
	_, err = t.agent.ask(ctx, "select count(*) from payments;", "999")
	return err
}

// changedLive: a policy file changes; Envoy and the processor acknowledge it; the session stays.
func (t *teller) changedLive(ctx context.Context) error {
	t.chapter("A rule changes while the session is open: payments are closed to agents. Nobody is disconnected.")
	pid, err := t.agent.ask(ctx, "select 'session ' || pg_backend_pid();", "session", "(1 row)")
	if err != nil {
		return err
	}
	const rule = `rules:
- name: payments-are-closed
  who: {groups: [agents]}
  on: {targets: [orders], sql: {effects: [READ], relations: [public.payments]}}
  deny: {message: "Payments are closed this week."}
`
	t.show(rule)
	before, err := t.bundle(ctx)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(t.stage.PolicyDir, "60-week.yaml"), []byte(rule), 0o600); err != nil {
		return err
	}
	if err := t.acknowledged(ctx, before); err != nil {
		return err
	}
	out, err := t.stage.Sluice(ctx, "alice", "xds", "status")
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	t.show(out)
	if err := want(out, "ACKED", "envoy-1", "p1"); err != nil {
		return err
	}
	t.tell("   agent> select count(*) from payments;\n")
	if out, err = t.agent.ask(ctx, "select count(*) from payments;", "ERROR:", "HINT:"); err != nil {
		return err
	}
	t.show(out)
	if err := want(out, "Payments are closed this week.", "payments-are-closed"); err != nil {
		return err
	}
	again, err := t.agent.ask(ctx, "select 'session ' || pg_backend_pid();", "session", "(1 row)")
	if err != nil {
		return err
	}
	if pid != again {
		return fmt.Errorf("the session is not the same: %s, then %s", pid, again)
	}
	t.tell("   It is the same session, on the same database connection.\n")
	return nil
}

type xdsStatus struct {
	Bundle string `json:"bundle_version"`
	Nodes  []struct {
		ID            string `json:"id"`
		Subscriptions []struct {
			Type  string `json:"type_url"`
			State string `json:"state"`
			Acked string `json:"acked_version"`
		} `json:"subscriptions"`
	} `json:"nodes"`
}

func (t *teller) status(ctx context.Context) (st xdsStatus, err error) {
	out, err := t.stage.Sluice(ctx, "alice", "xds", "status", "-o", "json")
	if err != nil {
		return st, fmt.Errorf("%w: %s", err, out)
	}
	return st, json.Unmarshal([]byte(out), &st)
}

func (t *teller) bundle(ctx context.Context) (string, error) {
	st, err := t.status(ctx)
	return st.Bundle, err
}

// acknowledged waits until another bundle than before is served and the processor has taken it.
func (t *teller) acknowledged(ctx context.Context, before string) error {
	for range 100 {
		st, err := t.status(ctx)
		if err != nil {
			return err
		}
		for _, n := range st.Nodes {
			for _, sub := range n.Subscriptions {
				if st.Bundle != before && strings.HasSuffix(sub.Type, "Bundle") && sub.State == "ACKED" && sub.Acked == st.Bundle {
					return nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("the processor did not take the new bundle")
}

// replayed: what happened is there to read.
func (t *teller) replayed(ctx context.Context) error {
	t.chapter("The session ends. Carol, an auditor, replays it: who, what, what was decided, by whom, what came back.")
	if err := t.agent.close(); err != nil {
		return err
	}
	var last listed
	for range 50 {
		var err error
		if last, err = t.first(ctx, "carol", "sessions", "list", "--principal", "demo:agent"); err != nil {
			return err
		}
		if last.State == "ended" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	out, err := t.stage.Sluice(ctx, "carol", "sessions", "replay", last.ID)
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	t.show(out)
	if err := want(out, "demo:agent", "delete from orders where id = 7", "approved by demo:alice", "ticket 4711", "DELETE 1", "never-drop", "with masks secrets, mail", "[masked]", "payments-are-closed"); err != nil {
		return err
	}
	return wantNot(out, "secret-password", "sk-live-key", "the-real-database-password")
}

// verified: the record proves itself, and one flipped byte shows.
func (t *teller) verified(ctx context.Context) error {
	t.chapter("The record is proven untouched, from its files alone. Then one byte of a copy is flipped.")
	copied := filepath.Join(t.stage.Dir, "copy")
	// The log takes its leaves once a second, off the path.
	for range 50 {
		if err := os.RemoveAll(copied); err != nil {
			return err
		}
		if err := os.CopyFS(copied, os.DirFS(t.stage.Recordings)); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(copied, "log", "tile")); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	keys := filepath.Join(t.stage.Dir, "state", "vote.key.pub")
	t.tell("   carol$ sluice audit verify RECORDINGS --keys vote.key.pub --log log.pub\n")
	out, err := t.stage.Sluice(ctx, "carol", "audit", "verify", copied, "--keys", keys, "--log", filepath.Join(t.stage.Dir, "state", "record-keys", "log.pub"))
	t.show(out)
	if err != nil {
		return err
	}
	chunks, err := filepath.Glob(filepath.Join(copied, "chunks", "*", "*.chunk"))
	if err != nil || len(chunks) == 0 {
		return fmt.Errorf("no chunks in %s: %w", copied, err)
	}
	victim := chunks[len(chunks)-1]
	data, err := os.ReadFile(victim)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(victim, data, 0o600); err != nil {
		return err
	}
	t.tell("   One byte of %s is flipped.\n", filepath.Base(filepath.Dir(victim))+"/"+filepath.Base(victim))
	out, err = t.stage.Sluice(ctx, "carol", "audit", "verify", copied, "--keys", keys, "--log", filepath.Join(t.stage.Dir, "state", "record-keys", "log.pub"))
	t.show(out)
	if err == nil {
		return errors.New("the damage was not found")
	}
	return want(out, filepath.Base(filepath.Dir(victim)))
}
