package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record"
)

func agentOf(url string) *identityv1.Principal {
	return &identityv1.Principal{Issuer: "corp", IssuerUrl: url, Subject: "agent"}
}

func calling(ctx context.Context, who *identityv1.Principal) context.Context {
	return context.WithValue(ctx, callerKey{}, who)
}

// recordings are two sessions of one alias, of two issuers.
func recordings(t *testing.T) *sessionService {
	t.Helper()
	r, err := record.Open(t.Context(), record.Options{Dir: t.TempDir(), Processor: "p1", StopFree: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	for id, url := range map[string]string{"p1-A": "https://old.example", "p1-B": "https://new.example"} {
		s, err := r.Begin(t.Context(), id, &recordv1.SessionStart{Target: "orders", Principal: agentOf(url)})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.End(t.Context(), "bye"); err != nil {
			t.Fatal(err)
		}
	}
	s := &sessionService{process: &processRole{recorder: r, logger: slog.New(slog.DiscardHandler)}, may: access{noPolicy{}}}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		a, aerr := r.Index().GetSession(t.Context(), "p1-A")
		b, berr := r.Index().GetSession(t.Context(), "p1-B")
		if aerr == nil && berr == nil && a.GetState() == sessionv1.State_ENDED && b.GetState() == sessionv1.State_ENDED {
			return s
		}
		if time.Now().After(end) {
			t.Fatal(aerr, berr)
		}
	}
}

func TestAnIssuerThatGetsAnAliasDoesNotGetTheRecordingsOfTheOneBefore(t *testing.T) {
	s := recordings(t)
	ctx := calling(t.Context(), agentOf("https://new.example"))
	res, err := s.List(ctx, connect.NewRequest(&sessionv1.ListRequest{}))
	if err != nil || len(res.Msg.GetSessions()) != 1 || res.Msg.GetSessions()[0].GetId() != "p1-B" {
		t.Errorf("the list: %v, %v", res, err)
	}
	if _, err := s.Get(ctx, connect.NewRequest(&sessionv1.GetRequest{Id: "p1-A"})); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("the other's: %v", err)
	}
	if _, err := s.Get(ctx, connect.NewRequest(&sessionv1.GetRequest{Id: "p1-B"})); err != nil {
		t.Errorf("one's own: %v", err)
	}
	if _, err := s.Get(calling(t.Context(), agentOf("")), connect.NewRequest(&sessionv1.GetRequest{Id: "p1-B"})); err == nil {
		t.Error("an issuer without a URL owns something")
	}
}

func TestAChangedIndexRowGivesNoOthersSession(t *testing.T) {
	s := recordings(t)
	store := s.process.recorder.Index()
	row, err := store.GetSession(t.Context(), "p1-A")
	if err != nil {
		t.Fatal(err)
	}
	forged := proto.CloneOf(row)
	forged.Principal = agentOf("https://new.example")
	if err := store.PutSessions(t.Context(), []*sessionv1.Session{forged}); err != nil {
		t.Fatal(err)
	}
	ctx := calling(t.Context(), agentOf("https://new.example"))
	if _, err := s.one(ctx, "p1-A"); connect.CodeOf(err) != connect.CodeDataLoss {
		t.Errorf("replay, show: %v", err)
	}
}
