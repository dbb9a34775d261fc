package sqlfacts_test

import (
	"strconv"
	"testing"

	"github.com/sluicegate/sluice/policies/sqlfacts"
	"github.com/sluicegate/sluice/policies/sqlfacts/factstest"
)

var benchmarks = map[string]string{
	"simple":   "SELECT abalance FROM customers WHERE id = 12345",
	"update":   "UPDATE orders SET total = total + $1 WHERE customer_id = (SELECT id FROM customers WHERE email = $2)",
	"cte join": "WITH o AS (SELECT customer_id, sum(total) AS t FROM orders WHERE status = 'open' GROUP BY 1) SELECT c.name, o.t FROM o JOIN customers c ON c.id = o.customer_id ORDER BY o.t DESC LIMIT 10",
}

func BenchmarkParse(b *testing.B) {
	for name, sql := range benchmarks {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sqlfacts.Parse(sql); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkResolve(b *testing.B) {
	for name, sql := range benchmarks {
		b.Run(name, func(b *testing.B) {
			script, err := sqlfacts.Parse(sql)
			if err != nil {
				b.Fatal(err)
			}
			cat := factstest.New()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := script.Resolve(cat); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFactsNewLiteral is what a client pays that writes values into its statements.
func BenchmarkFactsNewLiteral(b *testing.B) {
	a := sqlfacts.NewAnalyzer(32 << 20)
	cat := factstest.New()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := a.Facts("SELECT name FROM customers WHERE id = "+strconv.Itoa(i), cat); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFactsHit(b *testing.B) {
	a := sqlfacts.NewAnalyzer(32 << 20)
	cat := factstest.New()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Facts("SELECT name FROM customers WHERE id = 12345", cat); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFactsHitParallel(b *testing.B) {
	a := sqlfacts.NewAnalyzer(32 << 20)
	cat := factstest.New()
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := a.Facts("SELECT name FROM customers WHERE id = 12345", cat); err != nil {
				b.Fatal(err)
			}
		}
	})
}
