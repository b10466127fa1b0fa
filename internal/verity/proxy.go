package verity

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// streamed is what the reverse proxy needs to know of a request it carries.
type streamed struct {
	g     *Gateway
	sent  admitted
	token string // Authorization value to pass on, or ""
	fault *df.Error
	gone  bool // the caller did not wait
	long  bool // the answer may be long
	stop  context.CancelFunc
}

type streamedKey struct{}

func streamOf(r *http.Request) *streamed {
	s, _ := r.Context().Value(streamedKey{}).(*streamed)
	return s
}

// serveProxy is the streaming twin: the same checks, and then the request and
// the answer as they are. The gateway key comes in X-API-Key, because
// Authorization carries the Clerk token.
func (g *Gateway) serveProxy(w http.ResponseWriter, r *http.Request, path string) {
	x := exchange{started: g.cfg.Clock()}
	x.sent.template = unmatched
	status, code := statusCallerGone, ""
	defer func() { g.served(r, &x, routeProxy, status, code) }() // also when the answer is broken off
	done, err := g.stream(w, r, &x, path)
	switch {
	case errors.Is(err, errCallerEnd):
		panic(http.ErrAbortHandler) // returning would answer 200
	case err != nil:
		fault := df.AsError(err)
		status, code = fault.Status, fault.Code
		secure(w.Header())
		g.refuseRequest(w, err)
	default:
		status = done
	}
}

func (g *Gateway) stream(w http.ResponseWriter, r *http.Request, x *exchange, path string) (int, error) {
	var err error
	if x.caller, err = g.authenticate(r, "X-Api-Key"); err != nil {
		return 0, err
	}
	if len(r.Header["Authorization"]) > 1 {
		return 0, invalidToken(nil)
	}
	x.request = Request{Endpoint: path, Method: r.Method, Authorization: r.Header.Get("Authorization"), authorized: len(r.Header["Authorization"]) > 0}
	if r.Method == http.MethodHead { // a GET whose answer has no body
		x.request.Method = http.MethodGet
	}
	if x.sent, err = g.admit(r.Context(), &x.request, false); err != nil {
		return 0, err
	}
	if err := g.gateStream(w, r, &x.sent); err != nil {
		return 0, err
	}
	if r.ContentLength > g.cfg.MaxStreamBody {
		return 0, tooLarge(g.cfg.MaxStreamBody)
	}
	if !g.inFlight.acquire(x.caller.ID) {
		return 0, errOverloaded
	}
	defer g.inFlight.release(x.caller.ID)
	return g.carry(w, r, x)
}

func (g *Gateway) carry(w http.ResponseWriter, r *http.Request, x *exchange) (int, error) {
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	s := &streamed{g: g, sent: x.sent, stop: stop}
	if x.sent.identity != nil {
		s.token = x.request.Authorization
	} else if g.cfg.TextsWithAPIKey && g.cfg.APIKey.Set() && isTextPath(x.sent.path) {
		s.token = "Bearer " + g.cfg.APIKey.Reveal()
	}
	control := http.NewResponseController(w)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &watchedUpload{ReadCloser: http.MaxBytesReader(w, r.Body, g.cfg.MaxStreamBody), idle: g.cfg.StreamIdle, control: control}
	}
	recorder := &statusWriter{ResponseWriter: w, stream: s, control: control}
	defer recorder.end()
	g.proxy.ServeHTTP(recorder, r.WithContext(context.WithValue(ctx, streamedKey{}, s)))
	if s.fault != nil {
		return 0, s.fault
	}
	if s.gone || recorder.status == 0 {
		return 0, errCallerEnd
	}
	return recorder.status, nil
}

// gateStream reads the body of an operation that sends texts, so that the
// opt-out gate sees exactly the bytes that Verity will read.
func (g *Gateway) gateStream(w http.ResponseWriter, r *http.Request, a *admitted) error {
	if a.recipient == "" {
		return nil
	}
	if r.Header.Get("Content-Encoding") != "" {
		return invalid("", "the body of a text must not be compressed")
	}
	var in buffer // not pooled: the transport may read it after we return
	if err := g.readBody(w, r, &in); err != nil {
		return err
	}
	if err := strictjson.Check(in.b, maxBodyDepth); err != nil {
		return unreadable(err)
	}
	if err := g.mayText(r.Context(), a, in.b); err != nil {
		return err
	}
	r.Body = io.NopCloser(strings.NewReader(string(in.b)))
	r.ContentLength = int64(len(in.b))
	r.TransferEncoding = nil
	return nil
}

// statusWriter remembers the status of the answer, and gives a caller that
// stops reading a long one no more than the idle time.
type statusWriter struct {
	http.ResponseWriter
	status  int
	stream  *streamed
	control *http.ResponseController
}

// WriteHeader remembers the final status and passes it on.
func (w *statusWriter) WriteHeader(status int) {
	if status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write passes on.
func (w *statusWriter) Write(p []byte) (int, error) {
	if w.stream.long {
		_ = w.control.SetWriteDeadline(time.Now().Add(w.stream.g.cfg.StreamIdle))
	}
	return w.ResponseWriter.Write(p)
}

// end takes the deadline off a connection that may serve more requests.
func (w *statusWriter) end() {
	if w.stream.long {
		_ = w.control.SetWriteDeadline(time.Time{})
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// watchedUpload gives a caller that stops sending its body no more than the
// idle time.
type watchedUpload struct {
	io.ReadCloser
	idle    time.Duration
	control *http.ResponseController
}

// Read passes on.
func (b *watchedUpload) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.idle))
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// newProxy builds the reverse proxy. It flushes at once by itself where the
// length of an answer is not known, and keeps no more than a pooled buffer of
// an answer in memory.
func (g *Gateway) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        g.rewrite,
		Transport:      streamTransport{g},
		BufferPool:     newCopyBuffers(),
		ModifyResponse: g.tidyAnswer,
		ErrorHandler:   streamFault,
		ErrorLog:       log.New(io.Discard, "", 0), // its lines quote URLs; the Observer sees every end
	}
}

// rewrite replaces everything that the caller could have influenced: the
// target, and all headers but those on the list.
func (g *Gateway) rewrite(p *httputil.ProxyRequest) {
	s := streamOf(p.In)
	header := make(http.Header, 8)
	for name, values := range p.In.Header {
		if g.streamed[name] {
			header[name] = values
		}
	}
	if _, set := header["User-Agent"]; !set {
		header["User-Agent"] = userAgent
	}
	if s.token != "" {
		header["Authorization"] = []string{s.token}
	}
	p.Out.Header = header
	p.Out.URL = g.target(s.sent.path, p.Out.URL.RawQuery)
	p.Out.Host = g.base.Host
}

// streamTransport sends through the same breakers and retries as the envelope.
type streamTransport struct{ g *Gateway }

// RoundTrip sends the request.
func (t streamTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.g.roundTrip(r, streamOf(r).sent.template)
}

// tidyAnswer takes out of an answer what is ours to say, and watches a body
// that may be long for standing still.
func (g *Gateway) tidyAnswer(response *http.Response) error {
	for name := range response.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			delete(response.Header, name)
		}
	}
	response.Header["X-Content-Type-Options"] = noSniff
	if response.StatusCode < 200 {
		return errBroken
	}
	if n := response.ContentLength; n < 0 || n > 64<<10 {
		s := streamOf(response.Request)
		s.long = true
		response.Body = &watchedBody{ReadCloser: response.Body, idle: g.cfg.StreamIdle, timer: time.AfterFunc(g.cfg.StreamIdle, s.stop)}
	}
	return nil
}

// watchedBody ends the call when nothing was read from it for too long.
type watchedBody struct {
	io.ReadCloser
	idle  time.Duration
	timer *time.Timer
}

// Read passes on and winds the watch up again.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		b.timer.Reset(b.idle)
	}
	return n, err
}

// Close stops the watch.
func (b *watchedBody) Close() error {
	b.timer.Stop()
	return b.ReadCloser.Close()
}

// streamFault keeps the reason for which there is no answer; serveProxy says it.
func streamFault(_ http.ResponseWriter, r *http.Request, err error) {
	s := streamOf(r)
	tooLong, isTooLong := errors.AsType[*http.MaxBytesError](err)
	switch {
	case isTooLong:
		s.fault = tooLarge(tooLong.Limit)
	case errors.Is(err, errCallerEnd):
		s.gone = true
		return
	case errors.Is(err, errTimeout):
		s.fault = &df.Error{Code: "PROXY_ERROR", Message: errTimeout.Error(), Status: http.StatusGatewayTimeout, Err: err}
	default:
		fault := *envelopeFault(err)
		fault.Status = http.StatusBadGateway
		s.fault = &fault
	}
	s.g.logFault(routeProxy, s.fault)
}

// copyBuffers lends the reverse proxy its copy buffers.
type copyBuffers struct{ pool sync.Pool }

func newCopyBuffers() *copyBuffers {
	return &copyBuffers{sync.Pool{New: func() any {
		b := make([]byte, 32<<10)
		return &b
	}}}
}

// Get lends a buffer.
func (c *copyBuffers) Get() []byte { return *c.pool.Get().(*[]byte) }

// Put takes a buffer back.
func (c *copyBuffers) Put(b []byte) { c.pool.Put(&b) }
