package detect

import "testing"

func TestIssuersHaveTheirLengths(t *testing.T) {
	for _, test := range []struct {
		name    string
		prefix  int
		lengths []int
	}{
		{"Visa begins", 400000, []int{13, 16, 19}},
		{"Visa ends", 499999, []int{13, 16, 19}},
		{"Maestro 50", 501800, []int{13, 14, 15, 16, 17, 18, 19}},
		{"before Mastercard", 500999, nil},
		{"Mastercard begins", 510000, []int{16}},
		{"Mastercard ends", 559999, []int{16}},
		{"behind Mastercard", 560000, nil},
		{"before Mastercard's second range", 222099, nil},
		{"Mastercard's second range begins", 222100, []int{16}},
		{"Mastercard's second range ends", 272099, []int{16}},
		{"behind Mastercard's second range", 272100, nil},
		{"American Express", 340000, []int{15}},
		{"American Express too", 379999, []int{15}},
		{"between", 350000, nil},
		{"before JCB", 352799, nil},
		{"JCB begins", 352800, []int{16, 17, 18, 19}},
		{"JCB ends", 358999, []int{16, 17, 18, 19}},
		{"behind JCB", 359000, nil},
		{"Diners Club", 360000, []int{14, 15, 16, 17, 18, 19}},
		{"before Diners Club 300", 299999, nil},
		{"Diners Club 300", 300000, []int{14, 15, 16, 17, 18, 19}},
		{"Diners Club 305", 305999, []int{14, 15, 16, 17, 18, 19}},
		{"behind 305", 306000, nil},
		{"Diners Club 3095", 309500, []int{14, 15, 16, 17, 18, 19}},
		{"Discover", 601100, []int{16, 17, 18, 19}},
		{"before 644", 643999, nil},
		{"Discover 644", 644000, []int{16, 17, 18, 19}},
		{"Discover 649", 649999, []int{16, 17, 18, 19}},
		{"Discover 65", 650000, []int{16, 17, 18, 19}},
		{"UnionPay", 620000, []int{16, 17, 18, 19}},
		{"before Mir", 219999, nil},
		{"Mir begins", 220000, []int{16, 17, 18, 19}},
		{"Mir", 220499, []int{16, 17, 18, 19}},
		{"behind Mir", 220500, nil},
		{"Maestro 67", 676300, []int{13, 14, 15, 16, 17, 18, 19}},
		{"behind Maestro", 676400, nil},
		{"Verve", 506099, []int{16, 17, 18, 19}},
		{"Verve ends", 506198, []int{16, 17, 18, 19}},
		{"behind Verve", 506199, nil},
		{"before Verve's second range", 507864, nil},
		{"Verve's second range begins", 507865, []int{16, 17, 18, 19}},
		{"Verve's second range ends", 507964, []int{16, 17, 18, 19}},
		{"behind Verve's second range", 507965, nil},
		{"RuPay", 508000, []int{16}},
		{"RuPay 60", 600000, []int{16}},
		{"Troy", 979200, []int{16}},
		{"a time", 176204, nil},
		{"nobody", 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := uint32(0)
			for _, n := range test.lengths {
				want |= 1 << n
			}
			if got := issuerLengths(test.prefix); got != want {
				t.Errorf("%06d: lengths %b, want %b", test.prefix, got, want)
			}
		})
	}
}
