package detect

// issuerDigits is how many leading digits tell an issuer apart.
const issuerDigits = 6

// issuerLengths gives the lengths of the cards that begin with six digits, as a bit for each, or 0 for an issuer that is
// not known. Source: the ranges that the networks publish (Visa, Mastercard, American Express, Discover with Diners Club
// and JCB, UnionPay, Maestro, Mir, RuPay, Troy, Verve).
func issuerLengths(prefix int) uint32 {
	const (
		only15  = 1 << 15
		only16  = 1 << 16
		from16  = 1<<16 | 1<<17 | 1<<18 | 1<<19
		from14  = 1<<14 | 1<<15 | from16
		maestro = 1<<13 | from14
		visa    = 1<<13 | 1<<16 | 1<<19
	)
	two, three, four := prefix/10000, prefix/1000, prefix/100
	switch {
	case two/10 == 4:
		return visa
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		return only16
	case two == 34, two == 37: // American Express
		return only15
	case four == 6011, three >= 644 && three <= 649, two == 65, two == 62: // Discover, UnionPay
		return from16
	case four >= 3528 && four <= 3589: // JCB
		return from16
	case two == 36, two == 38, two == 39, three >= 300 && three <= 305, four == 3095: // Diners Club
		return from14
	case four >= 2200 && four <= 2204: // Mir
		return from16
	case four == 5018, four == 5020, four == 5038, four == 5893, four == 6304, four >= 6759 && four <= 6763: // Maestro
		return maestro
	case prefix >= 506099 && prefix <= 506198, prefix >= 507865 && prefix <= 507964: // Verve
		return from16
	case three == 508, two == 60, two == 81, two == 82, four == 9792: // RuPay, Troy
		return only16
	default:
		return 0
	}
}
