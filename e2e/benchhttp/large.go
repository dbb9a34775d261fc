package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// maxPeak is how much memory a processor or its Envoy may use at most while a body passes, in bytes.
const maxPeak = 200 << 20

// largeBody takes a large body through each arm, and looks at the memory that it took.
func largeBody(ctx context.Context, p *place, megabytes int) error {
	fmt.Printf("\nGET of %d MB of JSON, once (peak memory while it passed)\n", megabytes)
	var faults []error
	directly := 0.0
	for _, a := range p.arms {
		for _, pid := range []int{a.processor, a.envoy} {
			if pid != 0 {
				if err := forgetPeak(pid); err != nil {
					return err
				}
			}
		}
		start := time.Now()
		n, err := passed(ctx, p, a, fmt.Sprintf("/large?mb=%d", megabytes))
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		took := time.Since(start).Seconds()
		if a.name == direct {
			directly = took
		}
		fmt.Printf("  %-26s %6.1f s   %.2f of direct's speed   %d bytes", a.name, took, directly/took, n)
		for _, part := range []struct {
			name string
			pid  int
		}{{"processor", a.processor}, {"its Envoy", a.envoy}} {
			if part.pid == 0 {
				continue
			}
			peak, err := memoryOf(part.pid, "VmHWM")
			if err != nil {
				return err
			}
			fmt.Printf("   %s %d MB", part.name, peak>>20)
			if a.sluice && peak > maxPeak {
				faults = append(faults, fmt.Errorf("%s, %d MB: peak memory of the %s %d MB, the limit is %d MB", a.name, megabytes, part.name, peak>>20, maxPeak>>20))
			}
		}
		fmt.Println()
	}
	return errors.Join(faults...)
}

func passed(ctx context.Context, p *place, a arm, path string) (int64, error) {
	token, err := p.token(ctx, a)
	if err != nil {
		return 0, err
	}
	c, err := connect(ctx, a.address, path, token)
	if err != nil {
		return 0, err
	}
	defer c.close()
	return c.ask()
}
