package guard

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicegate/sluice/authz/identity"
)

func keyOf(i int) identity.Key {
	var k identity.Key
	copy(k[:], fmt.Sprint(i))
	return k
}

func TestEndedTokensAreForgottenOnceTheyWouldHaveExpired(t *testing.T) {
	now := time.Now()
	until := now.Add(time.Minute)
	var e endings
	for i := range maxEndings {
		e.add(keyOf(i), "ended", until, now)
	}
	if _, ok := e.find(keyOf(0), now); !ok || len(e.by) != maxEndings {
		t.Fatalf("%d are remembered", len(e.by))
	}
	e.add(keyOf(maxEndings), "ended", until.Add(time.Minute), until)
	if _, ok := e.find(keyOf(maxEndings), until); !ok || len(e.by) != 1 {
		t.Errorf("%d are remembered", len(e.by))
	}
	if _, ok := e.find(keyOf(0), until); ok {
		t.Error("one that has expired is remembered")
	}
}

func TestATokenWithoutAKeyCannotBeEnded(t *testing.T) {
	now := time.Now()
	var e endings
	e.add(identity.Key{}, "ended", now.Add(time.Minute), now)
	if _, ok := e.find(identity.Key{}, now); ok {
		t.Error("all tokens without a key have ended")
	}
}
