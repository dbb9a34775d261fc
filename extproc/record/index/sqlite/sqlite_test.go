package sqlite_test

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	sessionv1 "github.com/sluicegate/sluice/api/gen/sluice/session/v1"
	"github.com/sluicegate/sluice/extproc/record/index"
	"github.com/sluicegate/sluice/extproc/record/index/indextest"
	"github.com/sluicegate/sluice/extproc/record/index/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, path string) (*sqlite.Store, bool) {
	t.Helper()
	s, fresh, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // twice does no harm
	return s, fresh
}

func TestConformance(t *testing.T) {
	indextest.Run(t, func(t *testing.T) index.Store {
		s, fresh := open(t, filepath.Join(t.TempDir(), "a %41?#.sqlite"))
		if !fresh {
			t.Fatal("a new index is not fresh")
		}
		return s
	})
}

func TestAnIndexIsFreshOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with space % and ?#", "index.sqlite")
	if _, _, err := sqlite.Open(t.Context(), path); err == nil {
		t.Fatal("a directory that is not there was opened")
	}
	path = filepath.Join(t.TempDir(), "index %41?#.sqlite")
	s, fresh := open(t, path)
	if !fresh {
		t.Fatal("new and not fresh")
	}
	if err := s.PutSessions(t.Context(), []*sessionv1.Session{{Id: "a"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, fresh = open(t, path)
	if _, err := s.GetSession(t.Context(), "a"); err != nil || fresh {
		t.Fatalf("opened again: fresh %v, %v", fresh, err)
	}
}
