package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxLine bounds one message on standard input, in bytes.
const maxLine = 16 << 20

// lastAnswers is how long requests that are under way may take to be answered
// when the input has ended.
const lastAnswers = 10 * time.Second

// Serve speaks on a pair of streams, one message a line, until the input ends or
// the context does. Requests that came before the end are still answered, so
// that a file of them can be piped in. Nothing but messages is written to out.
func (s *Server) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	p := &pending{answered: make(chan struct{}, 1)}
	err := s.sdk.Run(ctx, &sdk.IOTransport{
		Reader: io.NopCloser(&lastReader{Reader: in, pending: p, ctx: ctx}), Writer: countingWriter{out, p}, MaxLineLength: maxLine,
	})
	if ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, sdk.ErrConnectionClosed) {
		return nil
	}
	return err
}

// pending counts requests that have not been answered.
type pending struct {
	mu       sync.Mutex
	open     int
	answered chan struct{} // told of each answer
}

// message is what tells requests from answers and notifications.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
}

func (p *pending) read(line []byte) {
	var m message
	if json.Unmarshal(line, &m) == nil && m.ID != nil && m.Method != "" {
		p.mu.Lock()
		p.open++
		p.mu.Unlock()
	}
}

func (p *pending) wrote(line []byte) {
	var m message
	if json.Unmarshal(line, &m) != nil || m.ID == nil || m.Method != "" {
		return
	}
	p.mu.Lock()
	p.open--
	p.mu.Unlock()
	select {
	case p.answered <- struct{}{}:
	default: // the last one has not been heard yet
	}
}

// wait returns when all is answered, or will not be.
func (p *pending) wait(ctx context.Context) {
	deadline := time.After(lastAnswers)
	for {
		p.mu.Lock()
		open := p.open
		p.mu.Unlock()
		if open <= 0 {
			return
		}
		select {
		case <-p.answered:
		case <-deadline:
			return
		case <-ctx.Done():
			return
		}
	}
}

// lastReader holds the end of the input back until all is answered.
type lastReader struct {
	io.Reader
	pending *pending
	ctx     context.Context
	line    bytes.Buffer
	end     error
}

// Read implements io.Reader.
func (r *lastReader) Read(b []byte) (int, error) {
	if r.end == nil {
		n, err := r.Reader.Read(b)
		r.count(b[:n])
		r.end = err
		if n > 0 {
			return n, nil
		}
	}
	if errors.Is(r.end, io.EOF) {
		r.pending.wait(r.ctx)
	}
	return 0, r.end
}

func (r *lastReader) count(data []byte) {
	for len(data) > 0 {
		line, rest, whole := bytes.Cut(data, []byte{'\n'})
		if r.line.Len()+len(line) <= maxLine {
			r.line.Write(line)
		}
		if whole {
			r.pending.read(r.line.Bytes())
			r.line.Reset()
		}
		data = rest
	}
}

// countingWriter counts answers. It leaves the closing of the stream to whoever
// opened it.
type countingWriter struct {
	io.Writer
	pending *pending
}

// Write implements io.Writer; each call brings one whole message.
func (w countingWriter) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	w.pending.wrote(b)
	return n, err
}

// Close does nothing.
func (countingWriter) Close() error { return nil }
