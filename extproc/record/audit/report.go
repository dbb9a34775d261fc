package audit

import (
	"time"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
)

// QuorumCheck verifies that an approval's votes are a quorum for it, over its recorded digest, and that this digest is
// its action's; nil if so.
type QuorumCheck func(*approvalv1.Approval) error

// Options say what to check.
type Options struct {
	// Dir is the directory of recordings.
	Dir string
	// LogKey is the log's public key (NAME+HASH+KEY), or a file that holds it. It must come from elsewhere than Dir: who
	// can change a recording there can change a key there.
	LogKey string
	// Quorum checks votes. Without it, executions of held statements are findings of kind Unapproved.
	Quorum QuorumCheck
	// Since is a file with an earlier checkpoint of the log that the log must have grown from; empty: none.
	Since string
	// Now is the clock of the report; default time.Now.
	Now func() time.Time
}

// Kind is what is wrong.
type Kind string

// Kinds of findings.
const (
	// Changed: bytes are not those that were recorded.
	Changed Kind = "changed"
	// Removed: something that was recorded is gone.
	Removed Kind = "removed"
	// Reordered: a chunk stands where another should.
	Reordered Kind = "reordered"
	// Added: something is there that was not recorded.
	Added Kind = "added"
	// Truncated: the end is missing, of a file, a session, or the log.
	Truncated Kind = "truncated"
	// Forked: the log has another past than an earlier checkpoint says.
	Forked Kind = "forked"
	// Unapproved: a held statement was executed without a quorum that can be verified.
	Unapproved Kind = "unapproved"
)

// Finding is one damage.
type Finding struct {
	Kind Kind `json:"kind"`
	// Session is empty for damage to the log itself.
	Session string `json:"session,omitempty"`
	// Chunk is the chunk's sequence, if it is a chunk.
	Chunk *uint64 `json:"chunk,omitempty"`
	// Statement is the statement's number, if it is a statement.
	Statement uint64 `json:"statement,omitempty"`
	// File is the file within the directory.
	File string `json:"file,omitempty"`
	// Message is a sentence for people.
	Message string `json:"message"`
}

// Tail is something recorded that no checkpoint covers yet.
type Tail struct {
	Session string `json:"session,omitempty"`
	// Chunk is the chunk's sequence, if it is one chunk.
	Chunk   *uint64 `json:"chunk,omitempty"`
	Message string  `json:"message"`
}

// Report is what an audit found.
type Report struct {
	// OK: there are no findings.
	OK  bool      `json:"ok"`
	Dir string    `json:"dir"`
	At  time.Time `json:"at"`
	// Origin, Size and Root are the checkpoint's: the log's name, its number of leaves, its root in hexadecimal.
	Origin string `json:"origin,omitempty"`
	Size   uint64 `json:"size"`
	Root   string `json:"root,omitempty"`
	// What was read and is as it was recorded, the tail included.
	Sessions uint64 `json:"sessions"`
	Chunks   uint64 `json:"chunks"`
	Events   uint64 `json:"events"`
	// Held is how many executions of held statements have a verified quorum.
	Held     uint64    `json:"held"`
	Findings []Finding `json:"findings"`
	Tail     []Tail    `json:"tail"`
	// Notes are remarks that mean no damage, such as files that somebody was writing when it was killed.
	Notes []string `json:"notes"`
}

func (r *Report) add(f Finding) { r.Findings = append(r.Findings, f) }
