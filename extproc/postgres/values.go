package postgres

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
)

// types knows PostgreSQL's own types and their formats. It is read only.
var types = pgtype.NewMap()

// typeName names a type by OID.
func typeName(oid uint32) string {
	if t, ok := types.TypeForOID(oid); ok {
		return t.Name
	}
	return "oid " + strconv.FormatUint(uint64(oid), 10)
}

// valueText shows a parameter to people: text as it is, a binary value as its type reads it, and what cannot be read as
// hexadecimal.
func valueText(oid uint32, format int16, value []byte) string {
	if format == pgtype.TextFormatCode && utf8.Valid(value) {
		return string(value)
	}
	t, ok := types.TypeForOID(oid)
	if format == pgtype.BinaryFormatCode && ok && oid != pgtype.ByteaOID {
		if v, err := t.Codec.DecodeDatabaseSQLValue(types, oid, format, value); err == nil {
			switch v := v.(type) {
			case time.Time:
				return v.Format(time.RFC3339Nano)
			case string:
				if utf8.ValidString(v) {
					return v
				}
			case int64, float64, bool:
				return fmt.Sprint(v)
			}
		}
	}
	return `\x` + hex.EncodeToString(value)
}
