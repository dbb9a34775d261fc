package detect

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// whole are secrets that are found wherever they stand between boundary characters; the find's bounds are marked.
func whole() map[string]*rapid.Generator[string] {
	const (
		digits   = `0123456789`
		letters  = `abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ`
		alphanum = letters + digits
	)
	of := func(chars string, least, most int) *rapid.Generator[string] {
		return rapid.StringOfN(rapid.RuneFrom([]rune(chars)), least, most, -1)
	}
	join := func(parts ...any) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			var b strings.Builder
			for _, part := range parts {
				switch part := part.(type) {
				case string:
					b.WriteString(part)
				case *rapid.Generator[string]:
					b.WriteString(part.Draw(t, "part"))
				}
			}
			return b.String()
		})
	}
	url := alphanum + "_-"
	return map[string]*rapid.Generator[string]{
		"anthropic-key":  join("«sk-", "ant-api03-", of(url, 93, 93), "AA»"),
		"authorization":  join("Authorization: Bearer «1", of(alphanum+"-._~+/", 20, 60), "»"),
		"aws-access-key": join("«", rapid.SampledFrom([]string{"AKIA", "ASIA"}), of(`ABCDEFGHIJKLMNOPQRSTUVWXYZ234567`, 16, 16), "»"),
		"azure-key":      join("AccountName=a;AccountKey=«", of(alphanum+"+/", 86, 86), "==»"),
		"card-number": rapid.Custom(func(t *rapid.T) string {
			d := rapid.SampledFrom([]string{"4", "51", "6011", "2221"}).Draw(t, "issuer")
			d += of(digits, 15-len(d), 15-len(d)).Draw(t, "account")
			sum := 0
			for i, r := range d {
				n := int(r - '0')
				if i%2 == 0 {
					n = 2*n/10 + 2*n%10
				}
				sum += n
			}
			d += string(rune('0' + (10-sum%10)%10))
			sep := rapid.SampledFrom([]string{"", " ", "-", "  ", ".", "\u2011", "\u00a0", " - ", "\u2013", "\u202f", "\t", "\u2011 "}).Draw(t, "separator")
			return "«" + d[:4] + sep + d[4:8] + sep + d[8:12] + sep + d[12:] + "»"
		}),
		"connection-string": join("postgres://app:«p", of(alphanum+"%!$^*()=+~.:@", 1, 40), "»@db.internal:5432/orders"),
		"gcp-key":           join("«AI", "za", of(url, 35, 35), "»"),
		"github-token":      join("«gh", rapid.SampledFrom([]string{"p", "o", "u", "s", "r"}), "_", of(alphanum, 36, 80), "»"),
		"gitlab-token":      join("«gl", rapid.SampledFrom([]string{"pat", "dt", "rt", "ptt"}), "-", of(url, 20, 60), "»"),
		"google-oauth":      join("«ya", "29.", of(url, 20, 200), "»"),
		"jwt": rapid.Custom(func(t *rapid.T) string {
			return "«" + encoded(`{"kid":"`+of(alphanum, 0, 20).Draw(t, "kid")+`","alg":"ES256"}`) + "." + of(url, 1, 90).Draw(t, "payload") +
				"." + of(url, 1, 90).Draw(t, "signature") + "»"
		}),
		"npm-token":    join("«npm", "_", of(alphanum, 36, 36), "»"),
		"openai-key":   join("«sk-", "proj-1", of(url, 60, 160), "»"),
		"pem":          join("«-----BEGIN ", "RSA PRIVATE KEY-----\n", of(alphanum+"+/=\n", 0, 400), "\n-----END RSA PRIVATE KEY-----»"),
		"sendgrid-key": join("«SG", ".", of(url, 22, 22), ".", of(url, 43, 43), "»"),
		"slack-token":  join("«xox", "b-1", of(alphanum+"-", 20, 60), "»"),
		"stripe-key":   join("«sk", "_live_", of(alphanum, 24, 100), "»"),
		"groq-key":     join("«gsk", "_1", of(alphanum, 51, 51), "»"),
		"vault-token":  join("«hvs", ".1", of(url, 30, 90), "»"),
		"postman-key":  join("«PMAK-", of("0123456789abcdef", 24, 24), "-", of("0123456789abcdef", 34, 34), "»"),
		"url-token":    join("/x?access_token=«t", of(alphanum+"-._~%", 20, 60), "»&x"),
		"twilio-key":   join("twilio «S", "K", of("0123456789abcdef", 32, 32), "»"),
	}
}

func TestASecretIsFoundBetweenAnyBoundaries(t *testing.T) {
	secrets := whole()
	all := set(t, "*")
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		t.Run(name, func(t *testing.T) {
			alone := set(t, name)
			rapid.Check(t, func(r *rapid.T) {
				around := rapid.StringOfN(rapid.RuneFrom([]rune("\"'`()[]{}<>,;|\n\t\r \x00é…")), 0, 40, -1)
				before, behind := around.Draw(r, "before"), around.Draw(r, "behind")
				text, want := unmark(t, name, before+secrets[name].Draw(r, "secret")+behind)
				if got := alone.Find(nil, []byte(text)); !slices.Equal(got, want) {
					r.Fatalf("in %q found %s, want %s", text, show(text, got), show(text, want))
				}
				// Together another may take more.
				got := all.Find(nil, []byte(text))
				if !slices.ContainsFunc(got, func(g Span) bool { return g.Start <= want[0].Start && g.End >= want[0].End }) {
					r.Fatalf("all detectors together: in %q found %s, want %s", text, show(text, got), show(text, want))
				}
			})
		})
	}
}

// jumble draws text made of what detectors look for, whole and cut.
func jumble() *rapid.Generator[string] {
	pieces := []string{
		" ", "\n", "-", "_", ".", "/", ":", "@", "=", ";", "&", "%3D", `\n`, "\"", "'", "<", ">", "*", "4", "41", "1111", "4111111111111111",
		"  ", "\u00a0", "\u2011", "4111\u20111111\u20111111\u20111111", "4111  1111", "378282246310005",
		"host=", "user", "{", "é", "\x00", body(16), body(40), strings.Repeat("a", 20),
	}
	for _, d := range detectors() {
		for _, m := range d.marks {
			pieces = append(pieces, m.text, strings.ToUpper(m.text))
		}
	}
	for _, name := range Names() {
		for _, sample := range allSamples()[name].found {
			pieces = append(pieces, strings.NewReplacer("«", "", "»", "").Replace(sample))
		}
	}
	return rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		for range rapid.IntRange(0, 12).Draw(t, "pieces") {
			piece := rapid.SampledFrom(pieces).Draw(t, "piece")
			from := 0
			if rapid.IntRange(0, 3).Draw(t, "cut") == 0 {
				from = rapid.IntRange(0, len(piece)).Draw(t, "from")
			}
			b.WriteString(piece[from:])
		}
		return b.String()
	})
}

// The filter and the stride are there for speed only: reading at every place finds the same.
func TestTheFilterLosesNothing(t *testing.T) {
	s := set(t, "*")
	texts := jumble()
	rapid.Check(t, func(r *rapid.T) {
		text := []byte(texts.Draw(r, "text"))
		got, want := s.Find(nil, text), everywhere(s, text)
		if !slices.Equal(got, want) {
			r.Fatalf("in %q\nfound %s\nwant  %s", text, show(string(text), got), show(string(text), want))
		}
	})
}

func everywhere(s *Set, text []byte) []Span {
	var found []Span
	var until ends
	c := cursor{text: text}
	for last := range text {
		for _, marks := range s.filter.lanes {
			for _, m := range marks {
				begin := last + 1 - m.width
				if begin < 0 || begin < until[m.index] || !m.standsAt(text, begin) {
					continue
				}
				fits := true
				for i := range m.width {
					fits = fits && m.allows(i, text[begin+i])
				}
				if start, end := c.read(&m, begin, begin+len(m.text)); fits && end > 0 {
					found = append(found, Span{start, end, m.name})
					until[m.index] = end
				}
			}
		}
	}
	for at := 0; at < len(text); at++ {
		if digit.is(text[at]) {
			end := digitsTo(text, at)
			found = cardsIn(found, text, at, end)
			at = end
		}
	}
	if len(found) < 2 {
		return found
	}
	return found[:tidy(found)]
}

// dashedRun remembers what it measured; what it gives is what measuring anew gives, in any order of questions.
func TestARunIsRememberedRight(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		text := []byte(rapid.StringOfN(rapid.RuneFrom([]rune("a-1 ")), 0, 30, -1).Draw(r, "text"))
		c := cursor{text: text}
		for _, at := range rapid.SliceOfN(rapid.IntRange(0, len(text)), 1, 12).Draw(r, "places") {
			fresh := cursor{text: text}
			end, numbered := c.dashedRun(at)
			if wantEnd, want := fresh.dashedRun(at); end != wantEnd || numbered != want {
				r.Fatalf("%q at %d: %d %v, want %d %v", text, at, end, numbered, wantEnd, want)
			}
			if end != c.skip(at, dashed) || numbered != slices.ContainsFunc(text[at:end], digit.is) {
				r.Fatalf("%q at %d: %d %v", text, at, end, numbered)
			}
		}
	})
}

// A mark that leaves places of the window open would open them for its whole lane.
func TestLanesAreOfOneWidth(t *testing.T) {
	for l, marks := range set(t, "*").filter.lanes {
		for _, m := range marks {
			if m.width < window && lane(l) != laneShort {
				t.Errorf("%q uses %d places of %d in lane %d", m.text, m.width, window, l)
			}
		}
	}
}

// Short texts cost no more than long ones: what is before a text is no candidate.
func TestTheFirstBytesOfATextAreNoCandidates(t *testing.T) {
	f := &set(t, "*").filter
	text := []byte("parcels")
	if at, _ := f.next(text, 0, f.start); at < len(text) {
		t.Errorf("a candidate ends at %d of %q", at, text)
	}
}

// The filter looks at little of ordinary text.
func TestOrdinaryTextHasFewCandidates(t *testing.T) {
	text := ordinaryJSON(1 << 18)
	f := &set(t, "*").filter
	var seen [lanes]int
	for at, state := f.next(text, 0, f.start); at < len(text); at, state = f.next(text, at+1, state) {
		if at+1 >= window && !f.mayBegin(text, at+1-window) {
			continue
		}
		for fits := ^uint8(state >> 56); fits != 0; fits &= fits - 1 {
			seen[bits.TrailingZeros8(fits)]++
		}
	}
	for l, n := range seen {
		if n > len(text)/200 {
			t.Errorf("lane %d: %d candidates in %d bytes", l, n, len(text))
		}
	}
}

// Text of any mark repeated, with anything between, takes time in proportion to its length. What is quadratic takes
// seconds here, what is linear some milliseconds.
func TestHostileTextTakesLinearTime(t *testing.T) {
	if testing.Short() {
		t.Skip("a busy machine fails it")
	}
	const (
		size = 1 << 17
		most = 700 * time.Millisecond
	)
	s := set(t, "*")
	units := []string{"4 0 ", "4111 ", "4-", "8", "host=a password=<", "a://b:c", "user=;password= ", "host=a;pwd='", "eyJhbGciOiJ9.", "<user=<password="}
	for _, d := range detectors() {
		for _, m := range d.marks {
			for _, joint := range []string{"", "-", ".", "%AB", " ", "a."} {
				units = append(units, m.text+joint)
			}
		}
	}
	dst := make([]Span, 0, size/8)
	for _, unit := range units {
		text := []byte(strings.Repeat(unit, size/len(unit)) + ">")
		// A busy machine may be slow once.
		var took time.Duration
		for range 3 {
			began := time.Now()
			dst = s.Find(dst[:0], text)
			if took = time.Since(began); took < most {
				break
			}
		}
		if took >= most {
			t.Errorf("%q repeated to %d bytes takes %v", unit, len(text), took)
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, name := range Names() {
		for _, text := range append(slices.Clone(allSamples()[name].found), allSamples()[name].not...) {
			f.Add([]byte(strings.NewReplacer("«", "", "»", "").Replace(text)))
		}
	}
	f.Add([]byte("4111 1111 1111 1111-4111-1111-1111-1111%204111111111111111"))
	f.Add([]byte("\xe2\x80%1\u20131\u20131\u2013")) // no escape, and a sign where its digits would end
	f.Add([]byte("xapp-%0000000000000000000"))      // what fits the lane of a mark, and not the mark
	all, err := New([]string{"*"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		found := all.Find(nil, text)
		if want := everywhere(all, text); !slices.Equal(found, want) {
			t.Fatalf("found %s, reading everywhere %s", show(string(text), found), show(string(text), want))
		}
		masked, places, last := []byte(nil), []Span(nil), 0
		for _, s := range found {
			if s.Start < last || s.End <= s.Start || s.End > len(text) || !slices.Contains(Names(), s.Name) {
				t.Fatalf("span %v behind %d of %d bytes", s, last, len(text))
			}
			masked = append(masked, text[last:s.Start]...)
			places = append(places, Span{Start: len(masked), End: len(masked) + len("[masked]")})
			masked = append(masked, "[masked]"...)
			last = s.End
		}
		masked = append(masked, text[last:]...)
		for _, s := range all.Find(nil, masked) {
			for _, p := range places {
				if s.Start >= p.Start && s.End <= p.End {
					t.Fatalf("%s: found again in what was masked: %q", fmt.Sprint(s), masked)
				}
			}
		}
	})
}

// Between groups of a card number may stand what separators may hold, and nothing else.
func TestTheSignsBetweenGroupsAreThoseOfTheList(t *testing.T) {
	s := set(t, cardNumberName)
	isSign := func(r rune) bool {
		return r == '\t' || r == ' ' || r == '-' || r == '.' || r >= 0x2000 && r <= 0x200D || r >= 0x2010 && r <= 0x2015 || slices.Contains([]rune{
			0xA0, 0xAD, 0xB7, 0x2022, 0x2024, 0x202F, 0x205F, 0x2060, 0x2212, 0x3000, 0xFE58, 0xFE63, 0xFEFF, 0xFF0D, 0xFF0E,
		}, r)
	}
	for r := rune(0); r <= 0xFFFF; r++ {
		if r >= '0' && r <= '9' || r >= 0xD800 && r <= 0xDFFF {
			continue
		}
		number := strings.Join([]string{"4111", "1111", "1111", "1111"}, string(r))
		if got := s.Find(nil, []byte(number)); (len(got) == 1 && got[0].End == len(number)) != isSign(r) {
			t.Errorf("with U+%04X between: %v", r, got)
		}
	}
}

// Digits are found where reading each of them finds some, whatever stands between and before them; and reading ends.
func TestDigitsInAnyOrderAreReadAsReadingEverywhereDoes(t *testing.T) {
	s := set(t, cardNumberName)
	units := []string{
		"4111", "1111", "411111", "1", "0", "11", "111", "4", "37", "8", "%", "%4", "%20", "%41", " ", "-", ".", "\t", "+", "x",
		"\u00a0", "\u00ad", "\u200b", "\u2013", "\ufeff", "\uff0d", "\xe2", "\xe2\x80", "\x80", "\xc2", "\xa0", "\xef\xbc",
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom(units), 1, 24).Draw(t, "parts")
		text := []byte(strings.Join(parts, ""))
		if found, want := s.Find(nil, text), everywhere(s, text); !slices.Equal(found, want) {
			t.Fatalf("%q: found %s, reading everywhere %s", text, show(string(text), found), show(string(text), want))
		}
	})
}

// Wherever a number stands, the look every 12 bytes sees it.
func TestNoCardIsMissedByWhereItStands(t *testing.T) {
	s := set(t, cardNumberName)
	for _, groups := range [][]string{
		{"4111", "1111", "1111", "1111"},
		{"3782", "822463", "10005"},
		{"3056", "930902", "5904"},
		{"4222", "2222", "22222"},
		{"4000", "0000", "0000", "0000", "006"},
		{"4111111111111111"},
		{"4111", "111111111111"},
		{"411111111111", "1111"},
		{"378", "282", "246", "310", "005"},
		{"4111", "111", "111", "111", "111"},
	} {
		for _, between := range []string{"", " ", "-", "  ", " . ", "...", "\u2011", "\u00a0\u00a0", "\u2011 ", " \u2011 ", "\u2011\u00a0", "\t\t\t"} {
			number := strings.Join(groups, between)
			for before := range 30 {
				for behind := range 15 {
					text := strings.Repeat("x", before) + " " + number + " " + strings.Repeat("y", behind)
					if behind%2 == 1 {
						text = "7777777777777x" + text // digits that are read before it
					}
					if got := s.Find(nil, []byte(text)); len(got) != 1 || text[got[0].Start:got[0].End] != number {
						t.Fatalf("in %q found %s", text, show(text, got))
					}
				}
			}
		}
	}
}
