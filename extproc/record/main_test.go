package record_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("SLUICE_RECORD_CHILD"); dir != "" {
		recordUntilKilled(dir)
		return
	}
	// Tessera's goroutines end by themselves once they see that their context has ended; goleak waits for them.
	goleak.VerifyTestMain(m)
}
