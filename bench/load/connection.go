package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// answerWithin bounds one request, so that no run waits for ever.
const answerWithin = 30 * time.Second

// connection is one keep-alive HTTP/1.1 connection.
type connection struct {
	net    net.Conn
	reader *bufio.Reader
}

func dial(address string) (*connection, error) {
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &connection{net: c, reader: bufio.NewReaderSize(c, 16<<10)}, nil
}

// do sends a whole request and reads the whole answer. It returns the status,
// and whether the server will take another request on this connection.
func (c *connection) do(request []byte) (status int, again bool, err error) {
	if err := c.net.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return 0, false, err
	}
	if _, err := c.net.Write(request); err != nil {
		return 0, false, fmt.Errorf("send request: %w", err)
	}
	head, err := c.head()
	if err != nil {
		return 0, false, fmt.Errorf("read answer: %w", err)
	}
	switch {
	case head.chunked:
		err = c.skipChunks()
	case head.status == 204 || head.status == 304:
	case head.length < 0:
		return head.status, false, errors.New("read answer: neither a length nor chunks")
	default:
		_, err = c.reader.Discard(head.length)
	}
	if err != nil {
		return 0, false, fmt.Errorf("read answer's body: %w", err)
	}
	return head.status, !head.close, nil
}

// head is what matters of an answer's first lines.
type head struct {
	status  int
	length  int // -1 when not said
	chunked bool
	close   bool
}

func (c *connection) head() (head, error) {
	line, err := c.line()
	if err != nil {
		return head{}, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return head{}, fmt.Errorf("not HTTP/1: %q", line)
	}
	h := head{length: -1}
	if h.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return head{}, fmt.Errorf("not a status: %q", line)
	}
	for {
		line, err := c.line()
		if err != nil {
			return head{}, err
		}
		if len(line) == 0 {
			return h, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if h.length, err = strconv.Atoi(string(value)); err != nil {
				return head{}, fmt.Errorf("not a length: %q", line)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("Connection")):
			h.close = bytes.EqualFold(value, []byte("close"))
		}
	}
}

// line reads up to a line's end and returns it without. The bytes are good
// until the next read.
func (c *connection) line() ([]byte, error) {
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

func (c *connection) skipChunks() error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 32)
		if err != nil {
			return fmt.Errorf("not a chunk: %q", line)
		}
		if n == 0 {
			_, err := c.line() // no trailers: the empty line
			return err
		}
		if _, err := io.CopyN(io.Discard, c.reader, n+2); err != nil {
			return err
		}
	}
}

func (c *connection) hangUp() { _ = c.net.Close() }
