package approval

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"time"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
)

// maxVotes is more than any requirement can need (8 requirements of 16 people).
const maxVotes = 256

// person is who a principal is: two tokens of one person are one person.
type person struct{ issuerURL, subject string }

func personOf(p *identityv1.Principal) person { return person{p.GetIssuerUrl(), p.GetSubject()} }

// VerifyQuorum checks that the approval's votes are a quorum for it; else it returns a *QuorumError. The
// approval must be the holder's own copy but for the votes: its digests, requester, requirements and deadline decide.
// One vote that is not right in all spoils them all: honest software does not write such votes.
func VerifyQuorum(a *approvalv1.Approval, keys *Keyring, now time.Time) error {
	if !now.Before(a.GetExpiresAt().AsTime()) {
		return &QuorumError{Fault: PastDeadline, Vote: -1}
	}
	return VerifyVotes(a, keys)
}

// VerifyVotes is VerifyQuorum long after: it asks whether the votes, when they were given, were a quorum.
func VerifyVotes(a *approvalv1.Approval, keys *Keyring) error {
	if len(a.GetVotes()) > maxVotes {
		return &QuorumError{Fault: TooManyVotes, Vote: -1}
	}
	voters := make([]*identityv1.Principal, 0, len(a.GetVotes()))
	for i, v := range a.GetVotes() {
		if fault := checkVote(a, v, keys); fault != 0 {
			return &QuorumError{Fault: fault, Vote: i}
		}
		voters = append(voters, v.GetVoter())
	}
	if fault := Satisfied(a.GetRequirements(), voters); fault != 0 {
		return &QuorumError{Fault: fault, Vote: -1}
	}
	return nil
}

// checkVote checks one vote by itself. Zero: it counts.
func checkVote(a *approvalv1.Approval, v *approvalv1.Vote, keys *Keyring) QuorumFault {
	pub, ok := keys.get(v.GetKeyId())
	if !ok {
		return UnknownKey
	}
	if !ed25519.Verify(pub, SigningBytes(v), v.GetSignature()) {
		return BadSignature
	}
	// An empty digest would equal an empty one.
	if v.GetApprovalId() == "" || v.GetApprovalId() != a.GetId() ||
		len(a.GetDigest()) != DigestSize || !bytes.Equal(v.GetDigest(), a.GetDigest()) ||
		len(a.GetRecordedDigest()) != DigestSize || !bytes.Equal(v.GetRecordedDigest(), a.GetRecordedDigest()) {
		return OtherApproval
	}
	if v.GetChoice() != approvalv1.Vote_APPROVE {
		return Rejected
	}
	voter := v.GetVoter()
	at := v.GetAt().AsTime()
	switch {
	case voter.GetKind() != identityv1.Principal_HUMAN || voter.GetSubject() == "" || voter.GetIssuerUrl() == "":
		return NotHuman
	case personOf(voter) == personOf(a.GetRequester()):
		return OwnRequest
	case v.GetAt() == nil || !at.Before(a.GetExpiresAt().AsTime()):
		return PastDeadline
	case voter.GetExpiresAt() == nil || !at.Before(voter.GetExpiresAt().AsTime()):
		return VoterExpired
	}
	return 0
}

// Satisfied reports whether these people meet all the requirements, each person serving one requirement at most. Zero:
// they do. A person who voted twice is one person.
func Satisfied(requirements []*approvalv1.Requirement, voters []*identityv1.Principal) QuorumFault {
	var seats []*approvalv1.Requirement // one for each person needed
	for _, r := range requirements {
		for range max(r.GetCount(), 1) {
			if len(seats) == maxVotes {
				return TooFewVotes
			}
			seats = append(seats, r)
		}
	}
	if len(seats) == 0 {
		return NoRequirements
	}
	var people []*identityv1.Principal
	seen := map[person]bool{}
	for _, v := range voters {
		if id := personOf(v); !seen[id] {
			seen[id] = true
			people = append(people, v)
		}
	}
	taken := make([]int, len(people)) // the seat that a person has, or -1
	for i := range taken {
		taken[i] = -1
	}
	for s := range seats {
		if !seat(s, seats, people, taken, make([]bool, len(people))) {
			return TooFewVotes
		}
	}
	return 0
}

// seat finds a person for seat s, moving others to other seats where needed (augmenting paths).
func seat(s int, seats []*approvalv1.Requirement, people []*identityv1.Principal, taken []int, tried []bool) bool {
	for p, who := range people {
		if tried[p] || !member(who, seats[s]) {
			continue
		}
		tried[p] = true
		if taken[p] < 0 || seat(taken[p], seats, people, taken, tried) {
			taken[p] = s
			return true
		}
	}
	return false
}

// member reports whether somebody is in one of a requirement's groups, which are written "issuer:group".
func member(p *identityv1.Principal, r *approvalv1.Requirement) bool {
	return slices.ContainsFunc(p.GetGroups(), func(g string) bool {
		return slices.Contains(r.GetGroups(), p.GetIssuer()+":"+g)
	})
}
