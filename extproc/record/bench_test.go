package record_test

import (
	"context"
	"fmt"
	"testing"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
)

// BenchmarkAppend is three small events, not durable: what each statement of a proxy pays.
func BenchmarkAppend(b *testing.B) {
	r := open(b, b.TempDir())
	s := begin(b, r, "p1-A")
	events := statement(1, policyv1.Effect_READ, recordv1.Decision_ALLOW)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Append(false, events...); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendDurable adds the fdatasync.
func BenchmarkAppendDurable(b *testing.B) {
	r := open(b, b.TempDir())
	s := begin(b, r, "p1-A")
	events := statement(1, policyv1.Effect_DELETE, recordv1.Decision_ALLOW)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Append(true, events...); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkData is a result that streams by, sealing included: its bytes are text of a table, not noise.
func BenchmarkData(b *testing.B) {
	for _, size := range []int{150, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := open(b, b.TempDir())
			s := begin(b, r, "p1-A")
			row := make([]byte, 0, size+100)
			for i := 0; len(row) < size; i++ {
				row = fmt.Appendf(row, "D\x00%08d\tCustomer %d\tcustomer%d@example.com\t+49 30 %07d\n", i, i*7919, i*104729, i*15485863%10000000)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Data(recordv1.Data_TO_AGENT, 1, row[:size]); err != nil {
					b.Fatal(err)
				}
			}
			if err := r.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
