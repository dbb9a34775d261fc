package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"time"

	identityv1 "github.com/sluicegate/sluice/api/gen/sluice/identity/v1"
	"github.com/sluicegate/sluice/policies/httpmask"
	"github.com/sluicegate/sluice/policies/jsonmask"
	"github.com/sluicegate/sluice/policies/source"
)

// The least that masking must do with one core, in MB a second.
const (
	leastMasked   = 200
	leastDetected = 80
)

// passes is how often the body is masked. The fastest counts: whatever else runs only takes from the caches.
const passes = 9

// masking runs the way of a body through the masks of the two targets alone, in this process, with the policy that the
// stage has.
func masking(ctx context.Context, p *place) error {
	_, policy, err := source.Load(ctx, p.stage.PolicyDir)
	if err != nil {
		return err
	}
	agent := &identityv1.Principal{Issuer: "demo", Subject: "agent", Groups: []string{"agents"}}
	body := document(10 << 20)
	fmt.Printf("\nmasking of 10 MB of JSON in this process (best of %d; MB a second of processor time)\n", passes)
	var faults []error
	var views httpmask.Cache
	for _, c := range []struct {
		name, target string
		least        float64
	}{{"20 paths", maskedTarget, leastMasked}, {"20 paths + detect", detectedTarget, leastDetected}} {
		view, _, err := views.Of(policy, agent, c.target)
		if err != nil {
			return err
		}
		speed, err := maskingSpeed(view, body)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Printf("  %-26s %6.0f MB/s\n", c.name, speed)
		if speed < c.least {
			faults = append(faults, fmt.Errorf("masking, %s: %.0f MB/s, the floor is %.0f", c.name, speed, c.least))
		}
	}
	return errors.Join(faults...)
}

func maskingSpeed(view *httpmask.View, body []byte) (float64, error) {
	speeds := make([]float64, 0, passes)
	for range passes {
		var out int
		found := false
		write := func(b []byte) error {
			out += len(b)
			found = found || bytes.Contains(b, []byte(secret))
			return nil
		}
		began, err := processorTime()
		if err != nil {
			return 0, err
		}
		if err := jsonmask.Copy(jsonmask.JSON, pieces{bytes.NewReader(body)}, jsonmask.Output{View: view.Body(), Write: write}); err != nil {
			return 0, err
		}
		ended, err := processorTime()
		if err != nil {
			return 0, err
		}
		if found || out < len(body)/2 {
			return 0, fmt.Errorf("%d of %d bytes came out, with secrets: %t", out, len(body), found)
		}
		speeds = append(speeds, float64(len(body))/1e6/(ended-began).Seconds())
	}
	return slices.Max(speeds), nil
}

// pieces gives at most as much at once as Envoy does.
type pieces struct{ r io.Reader }

// Read implements io.Reader.
func (p pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), maxPiece)]) }

// processorTime is what this process has used, garbage collection included: how busy the machine is changes it little
// (getrusage(2)).
func processorTime() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}
