package masking

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Types of characters with a length (pg_type.dat).
const (
	typeBPChar  = 1042
	typeVarchar = 1043
)

// longest is how many characters a type takes, by its modifier (PostgreSQL, "Character Types": the length and 4); 0 is
// any number.
func longest(oid uint32, modifier int32) int {
	if (oid == typeBPChar || oid == typeVarchar) && modifier >= 4 {
		return int(modifier) - 4
	}
	return 0
}

// longestNamed is the same by the name that format_type gives, such as "character varying(12)".
func longestNamed(oid uint32, name string) int {
	_, length, ok := strings.Cut(name, "(")
	if !ok || oid != typeBPChar && oid != typeVarchar {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, ")"))
	if err != nil {
		return 0
	}
	return n
}

// fit cuts what stands from start on to what the column takes, so that a masked copy can be loaded again.
func (h *hiding) fit(dst []byte, start int) []byte {
	if h.longest == 0 || len(dst)-start <= h.longest {
		return dst
	}
	at := start
	for range h.longest {
		_, n := utf8.DecodeRune(dst[at:])
		at += n
	}
	return dst[:at]
}
