package pgmodel

import (
	"bytes"

	"github.com/jackc/pgx/v5/pgproto3"
)

// failure is an error, by its SQLSTATE: texts are not modelled, but that one about what cannot be read quotes it.
type failure struct {
	code   string
	quotes string
	// file is the source that raised it, where a client could tell by that.
	file string
}

func refused() *failure { return &failure{code: "42501"} }

// unparsed is the error of a text that the grammar does not take.
func unparsed(text string) *failure { return &failure{code: Fault(text), file: "scan.l", quotes: text} }

func (f *failure) encode(severity string) []byte {
	return encode(&pgproto3.ErrorResponse{
		Severity: severity, SeverityUnlocalized: severity, Code: f.code, Message: "modelled" + f.quotes, File: f.file,
	})
}

func (b *Backend) notice(code string) {
	b.put(encode(&pgproto3.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: code, Message: "modelled"}))
	b.flush()
}

func encode(m pgproto3.BackendMessage) []byte {
	b, err := m.Encode(nil)
	if err != nil {
		panic(err) // nothing here is longer than the protocol can carry
	}
	return b
}

func message(kind byte, body []byte) []byte {
	n := len(body) + 4
	return append([]byte{kind, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...) //nolint:gosec // the bytes of a number
}

func complete(tag string) []byte {
	return encode(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
}

func rowDescription(fields []Field) []byte {
	m := &pgproto3.RowDescription{}
	for _, f := range fields {
		m.Fields = append(m.Fields, pgproto3.FieldDescription{
			Name: []byte(f.Name), TableOID: f.Relation, TableAttributeNumber: uint16(f.Number), //nolint:gosec // small
			DataTypeOID: f.Type, DataTypeSize: f.Size, TypeModifier: -1,
		})
	}
	return encode(m)
}

func parameterDescription(s *Statement) []byte {
	m := &pgproto3.ParameterDescription{}
	if s != nil && s.parameters > 0 {
		m.ParameterOIDs = []uint32{typeInt4}
	}
	return encode(m)
}

func dataRow(values []string) []byte {
	m := &pgproto3.DataRow{}
	for _, v := range values {
		m.Values = append(m.Values, []byte(v))
	}
	return encode(m)
}

func copyResponse(kind byte, columns int) []byte {
	formats := make([]uint16, columns)
	if kind == 'G' {
		return encode(&pgproto3.CopyInResponse{ColumnFormatCodes: formats})
	}
	return encode(&pgproto3.CopyOutResponse{ColumnFormatCodes: formats})
}

// cstring takes a string up to its zero byte: messages that have none do not get here.
func cstring(b []byte) (s, rest string) {
	i := bytes.IndexByte(b, 0)
	return string(b[:i]), string(b[i+1:])
}
