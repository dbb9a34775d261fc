package oplog

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
)

// Verdicts, as lines and counts have them.
const (
	allow = "allow"
	deny  = "deny"
	hold  = "hold"
)

// Log tells operators. It is safe for concurrent use. A nil Log tells nobody.
type Log struct {
	logger *slog.Logger
	now    func() time.Time

	decisions, holds, votes, logins, policies *counters
	// strangers pace the lines about logins of those who proved nothing, by protocol.
	strangers map[string]*pace
	// These pace lines about those who proved who they are: of denials, holds, their ends, refused logins and refused votes.
	denials, waits, ends, known, voting *crowd
}

// New makes one and registers its metrics.
func New(logger *slog.Logger, r prometheus.Registerer, now func() time.Time) *Log {
	l := &Log{
		logger: logger, now: now,
		decisions: newCounters("sluice_decisions_total", "Commands decided: by protocol, target, the rule that decided, and verdict.",
			[]int{1, 2}, "protocol", "target", "rule", "verdict"),
		holds: newCounters("sluice_holds_total", "Holds that ended: by protocol, target, the rule that asked, and how.",
			[]int{1, 2}, "protocol", "target", "rule", "end"),
		votes: newCounters("sluice_votes_total", "Votes at this API: by target, the rule that asked, choice, and the state that followed.",
			[]int{0, 1}, "target", "rule", "choice", "state"),
		logins: newCounters("sluice_logins_refused_total", "Logins refused: by protocol, target, and why.",
			[]int{1}, "protocol", "target", "reason"),
		policies: newCounters("sluice_policy_changes_total", "Policies that came into force in this process, or were refused: by role and verdict.",
			nil, "role", "verdict"),
		strangers: map[string]*pace{},
		denials:   newCrowd("denied"), waits: newCrowd("held"), ends: newCrowd("hold ended"), known: newCrowd("login refused"), voting: newCrowd("vote refused"),
	}
	for _, protocol := range []string{Postgres, HTTP, API} {
		l.strangers[protocol] = &pace{burst: sharedBurst, rate: sharedRate}
	}
	r.MustRegister(l.decisions.vec, l.holds.vec, l.votes.vec, l.logins.vec, l.policies.vec)
	return l
}

// Protocols, as lines and counts have them.
const (
	Postgres = "postgres"
	HTTP     = "http"
	API      = "api"
)

// Command is something that an agent wants done, and what decided on it.
type Command struct {
	Protocol, Target, Session string
	Principal                 *identityv1.Principal
	// Number of the command within its session.
	Number uint64
	// Rule decided: the policy's, or one of Sluice's own; empty for none. Rules are all of the policy's that matched.
	Rule  string
	Rules []string
	// Policy is the version of the bundle.
	Policy string
}

// Allowed counts what goes on.
func (l *Log) Allowed(protocol, target, rule string) {
	if l != nil {
		l.decisions.inc(labels{protocol, target, rule, allow})
	}
}

// Denied tells of a command that does not go on. Code is what the agent got, does what it would have done: effects on
// objects. All are counted; not all are lines.
func (l *Log) Denied(c *Command, code string, does []string) {
	if l == nil {
		return
	}
	l.decisions.inc(labels{c.Protocol, c.Target, c.Rule, deny})
	if untold, ok := l.may(l.denials, c.Principal, false); ok {
		l.logger.Warn("denied", append(c.attrs(deny), slog.String("code", code), slog.Any("does", shown(does)), slog.Int("untold", untold))...)
	}
}

// Held tells of a command that waits for people. All are counted; not all are lines.
func (l *Log) Held(c *Command, approval string, until time.Time) {
	if l == nil {
		return
	}
	l.decisions.inc(labels{c.Protocol, c.Target, c.Rule, hold})
	if untold, ok := l.may(l.waits, c.Principal, false); ok {
		l.logger.Info("held", append(c.attrs(hold), slog.String("approval", approval), slog.Time("until", until), slog.Int("untold", untold))...)
	}
}

// HoldEnded tells how the wait ended: approved, withdrawn, or a word of guard.Kind. What people
// decided is always a line: an agent cannot hide it behind others of its own.
func (l *Log) HoldEnded(c *Command, approval, end string) {
	if l == nil {
		return
	}
	l.holds.inc(labels{c.Protocol, c.Target, c.Rule, end})
	if untold, ok := l.may(l.ends, c.Principal, end == "approved" || end == "rejected"); ok {
		l.logger.Info("hold ended", append(c.attrs(hold), slog.String("approval", approval), slog.String("end", end), slog.Int("untold", untold))...)
	}
}

// Vote is what somebody says on an approval.
type Vote struct {
	Approval, Target string
	Rules            []string
	Voter            *identityv1.Principal
	// Choice is approve or reject, State what the approval is then: refused if the vote was not taken.
	Choice, State string
}

// Refused is the state of a vote that was not taken.
const Refused = "refused"

// Voted tells of a vote.
func (l *Log) Voted(v *Vote) {
	if l == nil {
		return
	}
	rule := ""
	if len(v.Rules) > 0 {
		rule = v.Rules[0]
	}
	l.votes.inc(labels{v.Target, rule, v.Choice, v.State})
	attrs := []any{
		slog.String("approval", Clip(v.Approval)), slog.String("target", Clip(v.Target)), slog.String("rule", rule), slog.Any("rules", shown(v.Rules)),
		slog.String("principal", who(v.Voter)), slog.String("choice", v.Choice), slog.String("state", v.State),
	}
	if v.State != Refused {
		l.logger.Info("vote", attrs...)
		return
	}
	if untold, ok := l.may(l.voting, v.Voter, false); ok {
		l.logger.Warn("vote refused", append(attrs, slog.Int("untold", untold))...)
	}
}

// Login is somebody who was not let in.
type Login struct {
	// Protocol is where they came, Target what they wanted to reach, empty at the API.
	Protocol, Target string
	// Client is the address.
	Client string
	// Principal is who they proved to be; nil if nobody.
	Principal *identityv1.Principal
	// Reason is a word of ours: why.
	Reason string
	// Rule of the policy that keeps them out, if one does.
	Rule string
	// Err is the cause. It must not hold a token.
	Err error
}

// LoginRefused tells of a login that was refused. All are counted; not all are lines.
func (l *Log) LoginRefused(r *Login) {
	if l == nil {
		return
	}
	l.logins.inc(labels{r.Protocol, r.Target, r.Reason})
	var untold int
	var ok bool
	if r.Principal == nil {
		untold, ok = l.strangers[r.Protocol].take(l.now(), false)
	} else {
		untold, ok = l.may(l.known, r.Principal, false)
	}
	if !ok {
		return
	}
	attrs := []any{
		slog.String("protocol", r.Protocol), slog.String("target", Clip(r.Target)), slog.String("verdict", deny), slog.String("rule", r.Rule),
		slog.String("reason", r.Reason), slog.String("client", Clip(r.Client)), slog.String("principal", who(r.Principal)), slog.Int("untold", untold),
	}
	if r.Err != nil {
		attrs = append(attrs, slog.String("error", clip(r.Err.Error(), longestError)))
	}
	l.logger.Warn("login refused", attrs...)
}

// PolicyChanged counts a policy that came into force in a role of this process, or was refused there. The line is written
// by what took or refused it.
func (l *Log) PolicyChanged(role string, taken bool) {
	if l == nil {
		return
	}
	verdict := "in_force"
	if !taken {
		verdict = Refused
	}
	l.policies.inc(labels{role, verdict})
}

func (c *Command) attrs(verdict string) []any {
	return append(make([]any, 0, 12),
		slog.String("protocol", c.Protocol), slog.String("target", Clip(c.Target)), slog.String("principal", who(c.Principal)),
		slog.String("session", c.Session), slog.Uint64("number", c.Number), slog.String("verdict", verdict),
		slog.String("rule", Clip(c.Rule)), slog.Any("rules", shown(c.Rules)), slog.String("policy", c.Policy))
}

func who(p *identityv1.Principal) string {
	if p == nil {
		return ""
	}
	return Clip(p.GetIssuer() + ":" + p.GetSubject())
}

const (
	// longest is how much of a name a line has, longestError of a cause, in bytes; mostNames how many names.
	longest      = 200
	longestError = 1000
	mostNames    = 8
)

// shown are names as a line has them.
func shown(names []string) []string {
	out := make([]string, 0, min(len(names), mostNames+1))
	for i, name := range names {
		if i == mostNames {
			out = append(out, fmt.Sprintf("and %d more", len(names)-i))
			break
		}
		out = append(out, Clip(name))
	}
	return out
}

// Clip makes a name that others chose safe for a line: bounded, without characters that a terminal obeys.
func Clip(s string) string { return clip(s, longest) }

func clip(s string, most int) string {
	n := len(s)
	if n > most {
		s = s[:most]
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	if n > most {
		s += fmt.Sprintf("… (%d bytes)", n)
	}
	return s
}
