package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

// questions keeps what is asked, as far as it outlives its answer.
func questions(s *script) *[]Question {
	var all []Question
	s.refuses = func(q *Question) *Refusal {
		kept := *q
		if q.Bind != nil {
			b := *q.Bind
			kept.Bind = &b
		}
		all = append(all, kept)
		return nil
	}
	return &all
}

func TestABindIsAskedWithAllThatItBrings(t *testing.T) {
	s := newScript(t)
	asked := questions(s)
	s.mustSend(frontend(t, &pgproto3.Parse{Name: "s", Query: "x", ParameterOIDs: []uint32{23, 0, 0x01020304}}))
	msg := fullBind(t)
	s.rest = append([]byte(nil), msg...) // so that the values stay what they are
	if err := s.pump(); err != nil {
		t.Fatal(err)
	}
	b := (*asked)[1].Bind
	want := &Bind{
		Portal: []byte("p"), Statement: []byte("s"), Raw: msg, Formats: []int16{0, 1, 1, 0}, ResultFormats: []int16{1},
		Values: [][]byte{nil, {}, []byte("x"), []byte("long")}, ParameterTypes: []uint32{23, 0, 0x01020304},
	}
	if diff := cmp.Diff(want, b); diff != "" {
		t.Error(diff)
	}
	if q := (*asked)[1]; q.Stage != AtBind || q.Text != "x" || q.Name != "s" || q.Facts == nil || !q.InBatch {
		t.Errorf("asked %+v", q)
	}
}

func TestTypesThatTheServerSettledOnAreKnownAtBind(t *testing.T) {
	s := newScript(t)
	asked := questions(s)
	describe := frontend(t, &pgproto3.Describe{ObjectType: 'S', Name: "s"})
	s.mustSend(join(parse("s", "x"), describe, syncMessage()))
	types := encodeBackend(&pgproto3.ParameterDescription{ParameterOIDs: []uint32{25, 0x01020304}})
	s.mustAnswer(parsed(), types, message('n', nil), ready('I'))
	s.mustSend(bind("", "s"))
	if diff := cmp.Diff([]uint32{25, 0x01020304}, (*asked)[1].Bind.DescribedTypes); diff != "" {
		t.Error(diff)
	}
	if got := kinds(s.agent); got != "1tnZ" {
		t.Errorf("the agent got %s", got)
	}

	// PREPARE makes statements that the engine does not know.
	s = newScript(t)
	s.mustSend(join(describe, syncMessage()))
	s.mustAnswer(types, message('n', nil), ready('I'))
	if got := kinds(s.agent); got != "tnZ" {
		t.Errorf("the agent got %s", got)
	}
}

func TestFormatsOfParametersMustFitTheirNumber(t *testing.T) {
	three := [][]byte{[]byte("a"), []byte("b"), []byte("c")}
	for name, c := range map[string]struct {
		formats []int16
		want    []int16
		refused bool
	}{
		"none means text":     {nil, []int16{0, 0, 0}, false},
		"one means all":       {[]int16{1}, []int16{1, 1, 1}, false},
		"each its own":        {[]int16{0, 1, 0}, []int16{0, 1, 0}, false},
		"two for three":       {[]int16{0, 1}, nil, true},
		"four for three":      {[]int16{0, 1, 1, 1}, nil, true},
		"beyond what is said": {[]int16{1, 1, 1}, []int16{1, 1, 1, 0}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			asked := questions(s)
			s.mustSend(parse("s", "x"))
			s.mustAnswer(parsed())
			s.mustSend(frontend(t, &pgproto3.Bind{PreparedStatement: "s", ParameterFormatCodes: c.formats, Parameters: three}))
			if c.refused {
				if !refusedWith(s, "08P01") || len(*asked) != 1 {
					t.Errorf("got %q", errorsIn(s.agent))
				}
				return
			}
			for i, want := range c.want {
				if got := (*asked)[1].Bind.Format(i); got != want {
					t.Errorf("parameter %d has format %d", i+1, got)
				}
			}
		})
	}
}
