package main

import (
	"context"
	"encoding/binary"
	"net"
)

// relay is the least that a processor for PostgreSQL can be: it reads, walks the message headers and writes. What
// Sluice does is measured against it.
func relay(ctx context.Context, l net.Listener, database string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }() // the pumps have ended
			up, err := (&net.Dialer{}).DialContext(ctx, "tcp", database)
			if err != nil {
				return
			}
			defer func() { _ = up.Close() }() // the same
			go pump(conn, up, 0)
			pump(up, conn, 1)
		}()
	}
}

// pump moves bytes one way. typed is 0 while the first message, the startup packet, has no type byte.
func pump(from, to net.Conn, typed int) {
	defer func() {
		_ = from.Close() // ends the other pump
		_ = to.Close()
	}()
	buf := make([]byte, 64<<10)
	var head [5]byte
	have, skip := 0, 0
	for {
		n, err := from.Read(buf)
		for b := buf[:n]; len(b) > 0; {
			if skip > 0 {
				k := min(skip, len(b))
				skip -= k
				b = b[k:]
				continue
			}
			k := copy(head[have:4+typed], b)
			have += k
			b = b[k:]
			if have == 4+typed {
				skip = int(binary.BigEndian.Uint32(head[typed:])) - 4
				have, typed = 0, 1
			}
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}
