package mcp

import (
	"context"
	"errors"
	"io"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxLine bounds one message on standard input, in bytes.
const maxLine = 16 << 20

// Serve speaks on a pair of streams, one message a line, until the input ends or
// the context does. Nothing but messages is written to out.
func (s *Server) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	err := s.sdk.Run(ctx, &sdk.IOTransport{
		Reader: io.NopCloser(in), Writer: keepOpen{out}, MaxLineLength: maxLine,
	})
	if ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, sdk.ErrConnectionClosed) {
		return nil
	}
	return err
}

// keepOpen leaves the closing of a stream to whoever opened it.
type keepOpen struct{ io.Writer }

// Close does nothing.
func (keepOpen) Close() error { return nil }
