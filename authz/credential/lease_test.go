package credential

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/authz/identity"
)

func target(source *policyv1.DataSource) *policyv1.Target {
	return &policyv1.Target{Name: "orders", Credential: &policyv1.Credential{Kind: &policyv1.Credential_Static{
		Static: &policyv1.StaticCredential{Username: "app", Password: source},
	}}}
}

func TestLease(t *testing.T) {
	b := NewBroker(identity.Sources{
		LookupEnv: func(name string) (string, bool) { return "s3cret", name == "PW" },
		ReadFile:  func(string) ([]byte, error) { return []byte("from-file\n"), nil },
	})
	for _, c := range []struct {
		name   string
		source *policyv1.DataSource
		want   string
	}{
		{"from the environment", &policyv1.DataSource{Source: &policyv1.DataSource_Env{Env: "PW"}}, "s3cret"},
		{"from a file, without its last newline", &policyv1.DataSource{Source: &policyv1.DataSource_File{File: "pw"}}, "from-file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := b.Lease(t.Context(), target(c.source))
			if err != nil || l.Password() != c.want || l.Username != "app" {
				t.Fatalf("got %v, %v", l, err)
			}
			if err := l.Release(t.Context()); err != nil || l.Password() != "" {
				t.Error("a released lease still has its secret")
			}
		})
	}
	_, err := b.Lease(t.Context(), target(&policyv1.DataSource{Source: &policyv1.DataSource_Env{Env: "NOPE"}}))
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "NOPE") {
		t.Errorf("got %v", err)
	}
}

func TestALeaseIsNeverPrinted(t *testing.T) {
	l := &Lease{Username: "app", password: "s3cret"}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", slog.Any("lease", l))
	fmt.Fprintf(&out, "%v %+v %#v %s", l, l, l, l)
	if strings.Contains(out.String(), "s3cret") {
		t.Error(out.String())
	}
}
