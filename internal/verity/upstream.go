package verity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The ways in which a call gets no answer.
var (
	errOpen      = errors.New("verity has failed repeatedly and is left alone for a moment")
	errDial      = errors.New("verity cannot be reached")
	errTimeout   = errors.New("verity did not answer in time")
	errBroken    = errors.New("verity broke the connection off")
	errTooLarge  = errors.New("verity's answer is too large")
	errCallerEnd = errors.New("the caller went away")
)

// outgoing is one call to Verity.
type outgoing struct {
	method   string
	path     string // canonical, percent-encoded
	query    string
	header   http.Header
	body     []byte
	template string // for metrics and for the breaker of a slow operation
}

// answer is what Verity answered, read whole. Its body lives in a buffer that
// goes back to the pool with release.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// buffer is a reusable slice of bytes.
type buffer struct{ b []byte }

// maxPooled is the largest buffer that is kept for the next call.
const maxPooled = 256 << 10

func (g *Gateway) takeBuffer() *buffer { return g.buffers.Get().(*buffer) }

func (g *Gateway) giveBuffer(b *buffer) {
	if cap(b.b) <= maxPooled {
		b.b = b.b[:0]
		g.buffers.Put(b)
	}
}

// call sends out and reads the answer into buf, all within the time limit.
func (g *Gateway) call(ctx context.Context, out outgoing, buf *buffer) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
	defer cancel()
	for hop := 0; ; hop++ {
		a, err := g.callOnce(ctx, out, buf)
		if err != nil || hop == maxRedirects {
			return a, err
		}
		path, query, follow := g.redirect(out, a)
		if !follow {
			return a, nil
		}
		out.path, out.query = path, query
	}
}

func (g *Gateway) callOnce(ctx context.Context, out outgoing, buf *buffer) (answer, error) {
	request := g.newRequest(ctx, out)
	response, err := g.roundTrip(request, out.template)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }() // read whole, or given up
	if response.StatusCode < 200 {
		return answer{}, errBroken // a switch of protocols that nobody asked for
	}
	if buf.b, err = readInto(buf.b[:0], response.Body, g.cfg.MaxAnswer); err != nil {
		if !errors.Is(err, errTooLarge) {
			err = classify(ctx, err)
		}
		return answer{}, err
	}
	return answer{status: response.StatusCode, header: response.Header, body: buf.b}, nil
}

func (g *Gateway) newRequest(ctx context.Context, out outgoing) *http.Request {
	request := &http.Request{
		Method: out.method, URL: g.target(out.path, out.query), Host: g.base.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: out.header,
	}
	if out.body != nil {
		request.Body = io.NopCloser(bytes.NewReader(out.body))
		request.ContentLength = int64(len(out.body))
		// Lets the transport repeat a call of which it wrote nothing at all
		// because a kept connection was closed meanwhile.
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.body)), nil }
	}
	return request.WithContext(ctx)
}

// target puts a canonical path behind the base URL.
func (g *Gateway) target(path, query string) *url.URL {
	u := *g.base
	u.RawQuery = query
	if strings.IndexByte(path, '%') < 0 && g.base.RawPath == "" {
		u.Path = g.base.Path + path
		return &u
	}
	decoded, err := url.PathUnescape(path)
	if err != nil { // cannot be: resolve encoded it
		decoded = path
	}
	u.RawPath = g.base.EscapedPath() + path
	u.Path = g.base.Path + decoded
	return &u
}

// readInto reads all of r, but no more than limit.
func readInto(dst []byte, r io.Reader, limit int64) ([]byte, error) {
	if dst == nil {
		dst = make([]byte, 0, 4<<10)
	}
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case int64(len(dst)) > limit:
			return dst, errTooLarge
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}

// maxRedirects is how many redirects to Verity itself a GET follows.
const maxRedirects = 3

// redirect returns where a redirect leads, when it may be followed: a GET, to
// Verity itself, under /api, to a path that resolves like any other. Any other
// redirect is the answer.
func (g *Gateway) redirect(out outgoing, a answer) (path, query string, follow bool) {
	switch a.status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return "", "", false
	}
	if out.method != http.MethodGet {
		return "", "", false
	}
	to, err := g.target(out.path, out.query).Parse(a.header.Get("Location"))
	if err != nil || to.Host != g.base.Host || to.Scheme != g.base.Scheme || to.User != nil {
		return "", "", false
	}
	rest, inside := strings.CutPrefix(to.EscapedPath(), g.base.EscapedPath())
	if !inside {
		return "", "", false
	}
	path, _, err = resolve(rest, nil)
	return path, to.RawQuery, err == nil
}

// roundTrip sends the request unless a breaker is open, and tries again only
// when the connection could not even be opened and the method may be repeated.
func (g *Gateway) roundTrip(request *http.Request, template string) (*http.Response, error) {
	slow := g.slowBreaker(template)
	if err := g.admitTo(slow); err != nil {
		return nil, err
	}
	started := g.cfg.Clock()
	response, err := g.try(request)
	now := g.cfg.Clock()
	if err != nil {
		err = classify(request.Context(), err)
		g.judge(slow, now, err)
		if !errors.Is(err, errCallerEnd) {
			g.cfg.Observer.Called(request.Method, template, 0, now.Sub(started))
		}
		return nil, err
	}
	g.judge(slow, now, nil)
	g.cfg.Observer.Called(request.Method, template, response.StatusCode, now.Sub(started))
	return response, nil
}

// admitTo asks both breakers: that of Verity as a whole and that of the operation.
func (g *Gateway) admitTo(slow *breaker) error {
	now := g.cfg.Clock()
	wait, ok := g.host.allow(now)
	if !ok {
		return fmt.Errorf("%w: %w", errOpen, waitError{wait})
	}
	if wait, ok = slow.allow(now); !ok {
		g.host.report(now, unjudged)
		return fmt.Errorf("%w: %w", errOpen, waitError{wait})
	}
	return nil
}

// judge tells the breakers what became of a call. That nobody answers at all is
// Verity's fault; that one operation takes too long says nothing of the others.
func (g *Gateway) judge(slow *breaker, now time.Time, err error) {
	host, operation := succeeded, succeeded
	switch {
	case err == nil:
	case errors.Is(err, errCallerEnd):
		host, operation = unjudged, unjudged
	case errors.Is(err, errTimeout):
		host, operation = unjudged, failed
	default:
		host, operation = failed, unjudged
	}
	g.host.report(now, host)
	slow.report(now, operation)
}

func (g *Gateway) slowBreaker(template string) *breaker {
	if b, found := g.slow.Load(template); found {
		return b.(*breaker)
	}
	limit := g.cfg.BreakAfter
	if template == unmatched {
		limit = g.cfg.MaxInFlight // many operations in one: only when all of them hang
	}
	b, _ := g.slow.LoadOrStore(template, newBreaker(limit, g.cfg.BreakFor))
	return b.(*breaker)
}

// dialTries is how often an idempotent call tries to open a connection.
const dialTries = 3

func (g *Gateway) try(request *http.Request) (*http.Response, error) {
	protectKey(request.Header)
	for n := 1; ; n++ {
		response, err := g.cfg.Transport.RoundTrip(request)
		if err == nil || n == dialTries || !isDial(err) || !repeatable(request) {
			return response, err
		}
		timer := time.NewTimer(time.Duration(n) * 50 * time.Millisecond)
		select {
		case <-request.Context().Done():
			timer.Stop()
			return nil, err
		case <-timer.C:
		}
		if request.GetBody != nil {
			if request.Body, err = request.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// protectKey spells Idempotency-Key in lower case. Header names have no case on
// the wire, but http.Transport takes the canonical spelling as leave to send a
// POST again after it was written, and what Verity makes of the key is its
// affair: a text must not go out twice because we guessed.
func protectKey(header http.Header) {
	if values, found := header["Idempotency-Key"]; found {
		delete(header, "Idempotency-Key")
		header["idempotency-key"] = values
	}
}

// repeatable reports whether sending the request twice does no harm and is
// possible. A streamed body is gone once it was read.
func repeatable(request *http.Request) bool {
	switch request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return request.Body == nil || request.Body == http.NoBody || request.GetBody != nil
	}
	return false
}

func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// classify says in our words why there is no answer. The cause is kept for
// errors.Is and left out of the text, since it may hold a URL.
func classify(ctx context.Context, err error) error {
	var timeout interface{ Timeout() bool }
	kind := errBroken
	switch {
	case errors.Is(context.Cause(ctx), context.Canceled):
		kind = errCallerEnd
	case errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		kind = errTimeout
		if isDial(err) {
			kind = errDial
		}
	case isDial(err):
		kind = errDial
	}
	return &noAnswer{kind: kind, cause: err}
}

// noAnswer is a call without an answer, and why.
type noAnswer struct{ kind, cause error }

// Error says the kind only: the cause may quote a URL.
func (e *noAnswer) Error() string { return e.kind.Error() }

// Unwrap returns both.
func (e *noAnswer) Unwrap() []error { return []error{e.kind, e.cause} }
