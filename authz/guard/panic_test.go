package guard

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestAPanicIsAnErrorThatTellsNothingItMayNot(t *testing.T) {
	var none []int
	for name, c := range map[string]struct {
		step func() error
		log  string
	}{
		"the runtime's": {func() error { return fmt.Errorf("%d", none[3]) }, "index out of range"},
		"somebody's":    {func() error { panic("s3cret") }, "string"},
	} {
		err := Safely(c.step)
		var fault *PanicError
		if !errors.As(err, &fault) || err.Error() != "internal error" {
			t.Fatalf("%s: %v", name, err)
		}
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Error("x", slog.Any("error", err))
		if !strings.Contains(log.String(), c.log) || !strings.Contains(log.String(), "panic_test.go") || strings.Contains(log.String(), "s3cret") {
			t.Errorf("%s: logged %s", name, log.String())
		}
	}
	want := errors.New("mine")
	if err := Safely(func() error { return want }); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
	if err := Safely(func() error { return nil }); err != nil {
		t.Errorf("got %v", err)
	}
}
