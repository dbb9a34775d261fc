package jsonmask

import (
	"strings"
	"testing"
	"time"
)

// What a stream's masking takes grows as its finds do, not as their square: who sends one has nobody else wait.
func TestManyFindsInAnEventCostNoMoreThanEachAlone(t *testing.T) {
	const few, times, bound = 300, 16, 60 // the square would be 256
	view := NewView(nil, opens, nil)
	for name, stream := range map[string]func(n int) string{
		"in one string": func(n int) string {
			return `data: {"content":"` + strings.Repeat(`tok_abcdefgh01234567 `, n) + `"}`
		},
		"in one string with escapes": func(n int) string {
			return `data: {"content":"` + strings.Repeat(`tok_abcdefgh0123456\u0037\n`, n) + `"}`
		},
		"in the strings of an array": func(n int) string {
			return `data: {"content":[` + strings.Repeat(`"tok_abcdefgh01234567",`, n) + `""]}`
		},
		"in data that is no JSON": func(n int) string {
			return `data: ` + strings.Repeat(`tok_abcdefgh01234567 `, n)
		},
		"over the strings of an event": func(n int) string {
			return `data: {` + strings.Repeat(`"content":"01234567 to","content":"k_abcdefgh",`, n) + `"content":" "}`
		},
	} {
		t.Run(name, func(t *testing.T) {
			took := func(n int) time.Duration {
				began := time.Now()
				out, err := masked(Events, strings.NewReader(stream(n)+"\n\n"), view)
				if marks := strings.Count(out, "[masked]"); err != nil || marks != n {
					t.Fatalf("%d marks for %d finds, %v", marks, n, err)
				}
				return time.Since(began)
			}
			one, many := time.Hour, time.Hour
			for range 4 { // the quickest run of each: others are on the machine
				one, many = min(one, took(few)), min(many, took(few*times))
				if many < bound*one {
					return
				}
			}
			t.Fatalf("%d finds took %v, %d times as many %v", few, one, times, many)
		})
	}
}
