package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

func header(t testing.TB, version byte, tlvs ...proxyproto.TLV) []byte {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(version, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 4711}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 15432})
	if err := h.SetTLVs(tlvs); err != nil && version == 2 {
		t.Fatal(err)
	}
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tlv(kind proxyproto.PP2Type, value string) proxyproto.TLV {
	return proxyproto.TLV{Type: kind, Value: []byte(value)}
}

// unixPair connects two ends over a unix socket, as Envoy does.
func unixPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err = (&net.Dialer{}).DialContext(t.Context(), "unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func TestHandshake(t *testing.T) {
	good := []proxyproto.TLV{tlv(TLVTarget, "orders"), tlv(TLVNode, "envoy-1"), tlv(TLVRevision, "r1")}
	for _, c := range []struct {
		name, fault string
		sent        []byte
	}{
		{"a full header is taken", "", header(t, 2, good...)},
		{"other TLVs are left alone", "", header(t, 2, append(good, tlv(0xEA, "x"))...)},
		{"no header", "no PROXY header", []byte("GET / HTTP/1.1\r\n\r\n     ")},
		{"a forged PostgreSQL startup in place of the header", "no PROXY header", []byte{0, 0, 0, 8, 4, 210, 22, 47, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"version 1", "version 2 is needed", header(t, 1)},
		{"a LOCAL header", "LOCAL", append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20, 0, 0, 0)},
		{"a target twice", "stands twice", header(t, 2, append(good, tlv(TLVTarget, "other"))...)},
		{"a target that Envoy did not know", "has no value", header(t, 2, tlv(TLVTarget, "-"), good[1], good[2])},
		{"an empty node", "has no value", header(t, 2, good[0], tlv(TLVNode, ""), good[2])},
		{"no target", "names no target", header(t, 2, good[1:]...)},
		{"no revision", "names no target", header(t, 2, good[:2]...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			near, far := unixPair(t)
			if _, err := far.Write(append(bytes.Clone(c.sent), "after"...)); err != nil {
				t.Fatal(err)
			}
			conn, err := Handshake(t.Context(), near, 5*time.Second)
			if c.fault != "" {
				var fault *HeaderError
				if !errors.As(err, &fault) || !strings.Contains(err.Error(), c.fault) {
					t.Fatalf("got %v, want %q", err, c.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := Origin{Client: "10.0.0.7:4711", Target: "orders", Node: "envoy-1", Revision: "r1"}
			if conn.Origin != want {
				t.Errorf("got %+v", conn.Origin)
			}
			rest := make([]byte, 5)
			if _, err := io.ReadFull(conn, rest); err != nil || string(rest) != "after" {
				t.Errorf("lost what came behind the header: %q %v", rest, err)
			}
		})
	}
}

func TestHandshakeEndsWithoutAHeader(t *testing.T) {
	near, _ := unixPair(t)
	start := time.Now()
	if _, err := Handshake(t.Context(), near, 50*time.Millisecond); err == nil {
		t.Fatal("a silent peer was taken")
	}
	if time.Since(start) > 5*time.Second {
		t.Error("the timeout was not kept")
	}
}

func TestPlainTCPIsNotTaken(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	if _, err := Handshake(context.Background(), near, time.Second); err == nil || !strings.Contains(err.Error(), "neither a unix socket") {
		t.Errorf("got %v", err)
	}
}

func FuzzOrigin(f *testing.F) {
	f.Add(header(f, 2, tlv(TLVTarget, "orders"), tlv(TLVNode, "n"), tlv(TLVRevision, "1")))
	f.Add([]byte("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		o, err := originOf(h)
		if err == nil && (o.Target == "" || o.Node == "" || o.Revision == "" || o.Target == "-") {
			t.Fatalf("took %+v", o)
		}
	})
}
