package engine

import "encoding/binary"

// reserved begins the names of the engine's own prepared statements and portals; agents may not use them.
const reserved = "_sluice_"

// Messages to the server (PostgreSQL, "Message Formats").

func appendMessage(dst []byte, kind byte, body func([]byte) []byte) []byte {
	start := len(dst)
	dst = append(dst, kind, 0, 0, 0, 0)
	dst = body(dst)
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1)) //nolint:gosec // bounded by the caller
	return dst
}

func appendQuery(dst []byte, sql string) []byte {
	return appendMessage(dst, 'Q', func(b []byte) []byte { return append(append(b, sql...), 0) })
}

func appendParse(dst []byte, name, sql string) []byte {
	return appendMessage(dst, 'P', func(b []byte) []byte {
		b = append(append(b, name...), 0)
		b = append(append(b, sql...), 0)
		return append(b, 0, 0)
	})
}

// appendBind binds without parameters, results as text.
func appendBind(dst []byte, portal, statement string) []byte {
	return appendMessage(dst, 'B', func(b []byte) []byte {
		b = append(append(b, portal...), 0)
		b = append(append(b, statement...), 0)
		return append(b, 0, 0, 0, 0, 0, 0)
	})
}

func appendDescribePortal(dst, portal []byte) []byte {
	return appendMessage(dst, 'D', func(b []byte) []byte { return append(append(append(b, 'P'), portal...), 0) })
}

func appendExecute(dst []byte, portal string) []byte {
	return appendMessage(dst, 'E', func(b []byte) []byte { return append(append(append(b, portal...), 0), 0, 0, 0, 0) })
}

func appendClose(dst []byte, what byte, name string) []byte {
	return appendMessage(dst, 'C', func(b []byte) []byte { return append(append(append(b, what), name...), 0) })
}

func appendSync(dst []byte) []byte  { return append(dst, 'S', 0, 0, 0, 4) }
func appendFlush(dst []byte) []byte { return append(dst, 'H', 0, 0, 0, 4) }
