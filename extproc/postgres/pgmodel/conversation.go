package pgmodel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
	"pgregory.net/rapid"
)

// Farewell brings any conversation to an end in which everything is answered: it gives up a COPY, ends the batch, and
// with it what is ignored.
func Farewell() []byte {
	return bytes.Join([][]byte{frontend(&pgproto3.CopyFail{Message: "over"}), frontend(&pgproto3.Sync{})}, nil)
}

// Terminate is what ends the connection.
func Terminate() []byte { return frontend(&pgproto3.Terminate{}) }

func frontend(m pgproto3.FrontendMessage) []byte {
	b, err := m.Encode(nil)
	if err != nil {
		panic(err) // nothing here is longer than the protocol can carry
	}
	return b
}

// Names are those of statements and portals that are worth trying: two of them are the same to PostgreSQL, and longer than
// it keeps.
func Names() []string { return []string{"", "", "", "a", "b", Long, Long + "x", Long + "y"} }

// Messages generates what a frontend may send next: single messages in any order, and now and then the sequences that
// drivers send. Statements are drawn from the texts, what they are called from the names.
func Messages(texts, called []string) *rapid.Generator[[]byte] {
	names := rapid.SampledFrom(called)
	text := rapid.OneOf(rapid.SampledFrom(texts), rapid.SampledFrom(texts), rapid.Map(rapid.SliceOfN(rapid.SampledFrom(texts), 2, 4),
		func(parts []string) string { return strings.Join(parts, ";") }))
	most := rapid.SampledFrom([]uint32{0, 0, 0, 1, 2, 3, 4})
	rows := rapid.SampledFrom([]string{"1\n", "2\n", "1", "x\n", "", "7\n8\n"})
	value := rapid.SampledFrom([]string{"1", "2", "13"})
	return rapid.Custom(func(t *rapid.T) []byte {
		bindOf := func(portal, statement, text string) []byte {
			m := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement}
			if text == ByValue || text == "" && rapid.IntRange(0, 5).Draw(t, "parameter") == 0 {
				m.Parameters = [][]byte{[]byte(value.Draw(t, "value"))}
			}
			return frontend(m)
		}
		switch rapid.IntRange(0, 20).Draw(t, "kind") {
		case 0, 1:
			return frontend(&pgproto3.Query{String: text.Draw(t, "sql")})
		case 2:
			return frontend(&pgproto3.Parse{Name: names.Draw(t, "name"), Query: text.Draw(t, "sql")})
		case 3:
			return bindOf(names.Draw(t, "portal"), names.Draw(t, "name"), "")
		case 4, 5:
			return frontend(&pgproto3.Execute{Portal: names.Draw(t, "portal"), MaxRows: most.Draw(t, "most")})
		case 6:
			return frontend(&pgproto3.Describe{ObjectType: 'S', Name: names.Draw(t, "name")})
		case 7:
			return frontend(&pgproto3.Describe{ObjectType: 'P', Name: names.Draw(t, "portal")})
		case 8:
			return frontend(&pgproto3.Close{ObjectType: rapid.SampledFrom([]byte("SP")).Draw(t, "what"), Name: names.Draw(t, "name")})
		case 9, 10:
			return frontend(&pgproto3.Sync{})
		case 11:
			return frontend(&pgproto3.Flush{})
		case 12, 13:
			return frontend(&pgproto3.CopyData{Data: []byte(rows.Draw(t, "rows"))})
		case 14:
			return frontend(&pgproto3.CopyDone{})
		case 15:
			return frontend(&pgproto3.CopyFail{Message: "given up"})
		case 16: // COPY by simple Query, as libpq does it
			return join(frontend(&pgproto3.Query{String: "copy sink from stdin"}), frontend(&pgproto3.CopyData{Data: []byte(rows.Draw(t, "rows"))}),
				frontend(&pgproto3.CopyDone{}))
		default: // a statement, as drivers send it
			sql, name, portal := rapid.SampledFrom(texts).Draw(t, "sql"), names.Draw(t, "name"), names.Draw(t, "portal")
			out := join(frontend(&pgproto3.Parse{Name: name, Query: sql}), bindOf(portal, name, sql))
			if rapid.Bool().Draw(t, "describe") {
				out = join(out, frontend(&pgproto3.Describe{ObjectType: 'P', Name: portal}))
			}
			out = join(out, frontend(&pgproto3.Execute{Portal: portal, MaxRows: most.Draw(t, "most")}))
			if rapid.Bool().Draw(t, "close") {
				out = join(out, frontend(&pgproto3.Close{ObjectType: 'S', Name: name}))
			}
			return join(out, frontend(&pgproto3.Sync{}))
		}
	})
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// Transcript puts what a server sent into words, one a message: what the model does not know, such as texts, is left
// out. Names are of OIDs.
func Transcript(b []byte, oids map[uint32]string) (out []string) {
	for len(b) >= 5 {
		size := int(binary.BigEndian.Uint32(b[1:])) + 1
		if len(b) < size {
			return append(out, fmt.Sprintf("cut %q", b))
		}
		out = append(out, words(b[0], b[5:size], oids))
		b = b[size:]
	}
	if len(b) > 0 {
		out = append(out, fmt.Sprintf("cut %q", b))
	}
	return out
}

func words(kind byte, body []byte, oids map[uint32]string) string {
	switch kind {
	case 'E', 'N':
		var e pgproto3.ErrorResponse
		if e.Decode(body) != nil {
			return "malformed " + string(kind)
		}
		return string(kind) + " " + e.SeverityUnlocalized + " " + e.Code
	case 'T':
		var m pgproto3.RowDescription
		if m.Decode(body) != nil {
			return "malformed T"
		}
		s := "T"
		for _, f := range m.Fields {
			s += fmt.Sprintf(" %s=%s.%d", f.Name, oids[f.TableOID], f.TableAttributeNumber)
		}
		return s
	case 'S':
		return "" // settings are not modelled
	case 'D', 'd', 'C', 'Z', 'G', 'H', 't':
		return fmt.Sprintf("%c %q", kind, body)
	}
	return string(kind)
}

// Requests puts what a frontend sends into words.
func Requests(b []byte) (out []string) {
	for len(b) >= 5 {
		size := min(int(binary.BigEndian.Uint32(b[1:]))+1, len(b))
		out = append(out, fmt.Sprintf("%c %q", b[0], b[5:size]))
		b = b[size:]
	}
	return out
}
