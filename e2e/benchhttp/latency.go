package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// fewest is how many requests of one arm there are in one round at least: of large bodies there are few a second.
const fewest = 10

// results are what each arm did in each round.
type results map[string][]round

// round is one arm in one round: the times of its requests, and the processor time of its processor and its Envoy.
type round struct {
	times            []time.Duration
	processor, envoy time.Duration
}

func (r results) times(arm string) []time.Duration {
	var all []time.Duration
	for _, one := range r[arm] {
		all = append(all, one.times...)
	}
	return all
}

// used is the processor time of one request, of the arm's processor and of its Envoy.
func (r results) used(arm string) (processor, envoy time.Duration) {
	for _, one := range r[arm] {
		processor += one.processor
		envoy += one.envoy
	}
	n := time.Duration(len(r.times(arm)))
	return processor / n, envoy / n
}

// percentile is that of all rounds together.
func (r results) percentile(arm string, p float64) time.Duration {
	return percentile(r.times(arm), p)
}

func percentile(times []time.Duration, p float64) time.Duration {
	times = slices.Sorted(slices.Values(times))
	return times[min(len(times)-1, int(p*float64(len(times))))]
}

// ratio compares the medians of two arms round by round: what slows the machine for a while slows both.
func (r results) ratio(a, b string) float64 {
	ratios := make([]float64, len(r[a]))
	for i := range ratios {
		ratios[i] = float64(percentile(r[a][i].times, 0.5)) / float64(percentile(r[b][i].times, 0.5))
	}
	return median(ratios)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// latencies measures each size of body at a rate of its own.
func latencies(ctx context.Context, p *place, o options) error {
	var faults []error
	for _, size := range sizes {
		all, rate, err := measure(ctx, p, o, "/body/"+size.name)
		if err != nil {
			return err
		}
		fmt.Printf("\nGET of %d KB of JSON, %.1f a second (milliseconds, %d requests an arm; ratios of p50 within a round, median of %d)\n",
			size.bytes>>10, rate, len(all.times(direct)), o.rounds)
		for _, a := range p.arms {
			fmt.Printf("  %-26s p50 %7.2f  p90 %7.2f  p99 %7.2f   %.2f of the no-op", a.name,
				milliseconds(all.percentile(a.name, 0.5)), milliseconds(all.percentile(a.name, 0.9)), milliseconds(all.percentile(a.name, 0.99)), all.ratio(a.name, noop))
			if a.processor != 0 {
				processor, envoy := all.used(a.name)
				fmt.Printf("   processor time a request %.2f, its Envoy's %.2f", milliseconds(processor), milliseconds(envoy))
			}
			fmt.Println()
		}
		if r := all.ratio(masked, noop); size.bytes == 1<<10 && r > o.floor {
			faults = append(faults, fmt.Errorf("1 KB: the p50 of %q is %.2f of the no-op's, the limit is %.2f", masked, r, o.floor))
		}
	}
	return errors.Join(faults...)
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// measure finds a rate and runs every arm once a round.
func measure(ctx context.Context, p *place, o options, path string) (results, float64, error) {
	rate, err := bearable(ctx, p, path)
	if err != nil {
		return nil, 0, err
	}
	n := max(fewest, int(math.Ceil(rate*float64(o.seconds))))
	all := results{}
	for range o.rounds {
		for _, a := range p.arms {
			r, err := once(ctx, p, a, path, rate, n)
			if err != nil {
				return nil, 0, fmt.Errorf("%s: %w", a.name, err)
			}
			all[a.name] = append(all[a.name], r)
		}
	}
	return all, rate, nil
}

func once(ctx context.Context, p *place, a arm, path string, rate float64, n int) (r round, err error) {
	c, err := newCrew(ctx, p, a, path)
	if err != nil {
		return r, err
	}
	defer c.close()
	processor, envoy, err := a.used()
	if err != nil {
		return r, err
	}
	if r.times, err = c.open(ctx, rate, n); err != nil {
		return r, err
	}
	r.processor, r.envoy, err = a.used()
	r.processor -= processor
	r.envoy -= envoy
	return r, err
}

// used is the processor time of an arm's processes up to now; 0 if it has none.
func (a arm) used() (processor, envoy time.Duration, err error) {
	if a.processor == 0 {
		return 0, 0, nil
	}
	if processor, err = usedBy(a.processor); err != nil {
		return 0, 0, err
	}
	envoy, err = usedBy(a.envoy)
	return processor, envoy, err
}

// bearable is a quarter of the rate that the slowest arm can hold. Client, Envoy, processor and service share the machine:
// at half of it, a median on two cores is that of queues, and differs by a half between two runs.
func bearable(ctx context.Context, p *place, path string) (float64, error) {
	slowest := math.Inf(1)
	for _, a := range p.arms {
		c, err := newCrew(ctx, p, a, path)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", a.name, err)
		}
		rate, err := c.closed(ctx, time.Second)
		c.close()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", a.name, err)
		}
		slowest = min(slowest, rate)
	}
	return slowest / 4, nil
}
