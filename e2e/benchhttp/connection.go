package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
)

// connection is a keep-alive HTTP/1.1 client of one connection, with as little work of its own as can be: what it takes
// is in every arm's time alike, and makes them look more alike than they are.
type connection struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
}

func connect(ctx context.Context, address, path, token string) (*connection, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: benchhttp\r\n", path, address)
	if token != "" {
		request += "Authorization: Bearer " + token + "\r\n"
	}
	return &connection{conn: conn, reader: bufio.NewReaderSize(conn, 64<<10), request: []byte(request + "\r\n")}, nil
}

// ask sends the request and reads the whole answer. It returns the length of the body.
func (c *connection) ask() (int64, error) {
	if _, err := c.conn.Write(c.request); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, res.Body)
	if closeErr := res.Body.Close(); err == nil {
		err = closeErr
	}
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("the answer is %s", res.Status)
	}
	return n, err
}

func (c *connection) close() { _ = c.conn.Close() } // everything was read
