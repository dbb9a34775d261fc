package main

import (
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	approvalv1 "github.com/sluicegate/sluice/api/gen/sluice/approval/v1"
	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	"github.com/sluicegate/sluice/authz/approval"
	"github.com/sluicegate/sluice/authz/identity"
)

// TestAVoteKeyThatIsNotThereSaysWhoMakesIt: it comes from another processor's state directory.
func TestAVoteKeyThatIsNotThereSaysWhoMakesIt(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pub")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file string
		says bool
	}{
		"it is not there":     {filepath.Join(dir, "other", "vote.key.pub"), true},
		"it is no key":        {empty, false},
		"it is a directory":   {dir, false},
		"below what is a key": {filepath.Join(empty, "x"), false},
	} {
		i := &instance{config: &configv1.Config{StateDir: dir}, logger: slog.New(slog.DiscardHandler)}
		p := &processRole{config: &configv1.Process{VoteKeys: []string{c.file}}}
		err := p.openApprovals(t.Context(), i, identity.Sources{})
		if err == nil || strings.Contains(err.Error(), "made by the processor whose api takes votes") != c.says || !strings.Contains(err.Error(), c.file) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAVoteOfAKeyThatVerifyWasNotGivenSaysWhichIsMissing: it is no forgery.
func TestAVoteOfAKeyThatVerifyWasNotGivenSaysWhichIsMissing(t *testing.T) {
	dir := t.TempDir()
	signer := func(name string) *approval.Signer {
		s, err := approval.OpenSigner(filepath.Join(dir, name), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	known, other := signer("known.key"), signer("other.key")
	action := &approvalv1.Action{Text: "delete from orders"}
	voted := func(by *approval.Signer, choice approvalv1.Vote_Choice) *approvalv1.Approval {
		a := &approvalv1.Approval{Id: "A", Action: action, RecordedDigest: approval.RecordedDigest(action), Digest: make([]byte, approval.DigestSize)}
		v := &approvalv1.Vote{ApprovalId: "A", Choice: choice, Digest: a.GetDigest(), RecordedDigest: a.GetRecordedDigest()}
		by.Sign(v)
		a.Votes = append(a.Votes, v)
		return a
	}
	check, err := (&auditVerify{Keys: []string{filepath.Join(dir, "known.key.pub")}}).quorum()
	if err != nil {
		t.Fatal(err)
	}
	err = check(voted(other, approvalv1.Vote_APPROVE))
	if err == nil || !strings.Contains(err.Error(), "a public key is missing") || !strings.Contains(err.Error(), "repeat --keys") || !strings.Contains(err.Error(), other.ID()) {
		t.Errorf("%v", err)
	}
	forged := voted(known, approvalv1.Vote_APPROVE)
	forged.Votes[0].Reason = "changed"
	for name, a := range map[string]*approvalv1.Approval{"forged": forged, "a rejection": voted(known, approvalv1.Vote_REJECT), "another action": {Action: action}} {
		if err := check(a); err == nil || strings.Contains(err.Error(), "public key is missing") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
