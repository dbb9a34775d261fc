package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	"github.com/sluicegate/sluice/policies/masking"
	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// newer is a relation that no snapshot has.
const newer = 777

// slowCatalog takes as long as the test wants to say what a relation is that it does not know.
type slowCatalog struct {
	catalog
	asked, answer chan struct{}
}

func (c slowCatalog) RelationByOID(oid uint32) (*sqlfacts.Relation, error) {
	if oid == newer {
		c.asked <- struct{}{}
		<-c.answer
		return nil, nil
	}
	return c.catalog.RelationByOID(oid)
}

// While the catalog is asked about a relation that is newer than it, the agent's side goes on, and so does whoever asks
// what the session is doing; what was answered meanwhile is hidden as it must be.
func TestASlowCatalogStopsNothingButTheAnswerThatWaitsForIt(t *testing.T) {
	described := columns(pgproto3.FieldDescription{Name: []byte("a"), DataTypeOID: 25, TableOID: newer, TableAttributeNumber: 1})
	for name, c := range map[string]struct {
		sent, before, after []byte
	}{
		"by Query":   {query("select a from newer"), nil, join(values("sk-secret"), done("SELECT 1"), ready('I'))},
		"by Execute": {join(parse("", "select a from newer"), bind("", ""), execute(""), syncMessage()), join(parsed(), bound()), join(values("sk-secret"), done("SELECT 1"), ready('I'))},
	} {
		t.Run(name, func(t *testing.T) {
			s := scriptWith(t, &policyv1.Mask{Columns: []string{"public.customers.password"}})
			slow := slowCatalog{asked: make(chan struct{}, 100), answer: make(chan struct{})}
			s.view = masking.NewView(s.masks, slow)
			s.mustSend(c.sent)
			s.mustAnswer(c.before)
			answered := make(chan error, 1)
			var out Output
			go func() {
				_, _, err := s.engine.Server(join(described, c.after), &out)
				answered <- err
			}()
			within(t, "the catalog is asked", slow.asked)
			free := make(chan struct{})
			go func() {
				defer close(free)
				s.mustSend(join(query("select 1"), syncMessage()))
				if s.engine.Idle() || s.engine.Answered() || !s.engine.Running(func(*Grant) bool { return true }) {
					t.Error("the session says that nothing runs")
				}
			}()
			within(t, "the agent's side", free)
			close(slow.answer)
			if err := <-answered; err != nil {
				t.Fatal(err)
			}
			var agent []byte
			for _, p := range out.ToAgent.Parts {
				agent = append(agent, p...)
			}
			if strings.Contains(string(agent), "sk-secret") || !strings.Contains(string(agent), "[masked]") {
				t.Errorf("the agent got %q", agent)
			}
		})
	}
}

func within(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatal(what + ": it waits")
	}
}
