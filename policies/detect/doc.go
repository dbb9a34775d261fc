// Package detect finds secrets in text that no path and no column names: keys and tokens whose makers gave them a form
// that can be known, passwords in connection strings, private keys, card numbers.
//
// It owns the forms (a table of them, and a file a vendor for those that need a reader of their own, each with its source) and the search. It refuses to know policies, masks,
// protocols and encodings: its caller decodes what is encoded (JSON strings, compressed bodies), and decides what a
// find becomes.
//
//	text ─▶ filter: one pass, 8 bytes at a time ─▶ candidate ─▶ the form's own reader ─▶ finds ─▶ in order, none overlapping
//	     └▶ digits: every 12th byte ────────────▶ run of digits ─▶ issuer, length, Luhn ──┘
//
// # A help, not a proof
//
// A detector knows forms, not secrets. It does not find a password that stands alone, a token whose maker gave it no
// form, a secret that is split, reversed, encrypted, or encoded once more than the caller decoded; and whoever writes
// the text can hide from it. It also finds what only looks like a secret: an example key of a manual, one in ten
// numbers that begin and are as long as a card's. What must not be seen is named by path or column; detectors are for
// what nobody thought of.
//
// # Rules that all detectors follow
//
// A secret directly beside more identifier characters (letters, digits, underscore) is not a secret of that kind;
// where a format has no fixed length, it reaches to the end of its characters. A backslash escape, a \u escape or a
// percent escape before it counts as what it stands for, not as letters: text within text is often still escaped.
//
// Where a maker gives no length, the least is the shortest that it is known to have issued; where it says that lengths
// may grow, they are open above. The span is what must be hidden and no more: of password=x the x, of a URL its
// password, of a token all of it.
//
// # Cost
//
// Time is linear in the text, whatever it says: the filter looks at each byte once, a reader looks at a bounded number
// of bytes, or at bytes that no later candidate of its kind looks at again. Putting k finds in order costs k log k at
// worst. On the machine of the benchmarks ordinary JSON costs 1.4 ns a byte with all detectors on, and the most
// expensive text known, sk- without end, about 45 ns (BenchmarkFind). Nothing is allocated unless dst must grow.
package detect
