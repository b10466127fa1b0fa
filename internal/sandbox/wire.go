package sandbox

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// Wire is an http.RoundTripper without a network: requests go to the handler
// that is attached to their host, in this process. It makes runs repeatable and
// works inside testing/synctest, where sockets do not. Pass it as
// Config.Transport, and to the HTTP clients of the program under test.
type Wire struct {
	mu    sync.Mutex
	hosts map[string]http.Handler
}

// Attach answers requests to a host ("ghl.test") by a handler.
func (w *Wire) Attach(host string, handler http.Handler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hosts == nil {
		w.hosts = map[string]http.Handler{}
	}
	w.hosts[host] = handler
}

// RoundTrip runs the handler of the request's host. A handler that ends the
// connection (http.ErrAbortHandler) gives io.ErrUnexpectedEOF, as a broken
// connection would; an unknown host is an error, and so is a context that ends
// first.
func (w *Wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	handler := w.hosts[r.URL.Host]
	w.mu.Unlock()
	if r.Body != nil {
		defer r.Body.Close()
	}
	if handler == nil {
		return nil, fmt.Errorf("nobody answers at %s", r.URL.Host)
	}
	inbound, err := asServed(r)
	if err != nil {
		return nil, err
	}
	back := make(chan *http.Response, 1)
	go func() { back <- serve(handler, inbound) }()
	select {
	case answer := <-back:
		if answer == nil {
			return nil, io.ErrUnexpectedEOF
		}
		answer.Request = r
		return answer, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// asServed returns the request as a server sees it.
func asServed(r *http.Request) (*http.Request, error) {
	inbound := r.Clone(r.Context())
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, fmt.Errorf("read the request's body: %w", err)
		}
	}
	inbound.Body = io.NopCloser(bytes.NewReader(body))
	inbound.ContentLength = int64(len(body))
	inbound.RequestURI = r.URL.RequestURI()
	inbound.RemoteAddr = "127.0.0.1:1"
	if inbound.Host == "" {
		inbound.Host = r.URL.Host
	}
	return inbound, nil
}

// serve returns nil when the handler ended the connection.
func serve(handler http.Handler, r *http.Request) (answer *http.Response) {
	page := &page{header: http.Header{}}
	defer func() {
		switch problem := recover(); problem {
		case nil:
			answer = page.response()
		case http.ErrAbortHandler:
			answer = nil
		default:
			panic(problem)
		}
	}()
	handler.ServeHTTP(page, r)
	return nil // the deferred function decides
}

// page collects an answer.
type page struct {
	header http.Header
	sent   http.Header // as it was when the status was written
	status int
	body   bytes.Buffer
}

func (p *page) Header() http.Header { return p.header }

func (p *page) WriteHeader(status int) {
	if p.status == 0 {
		p.status, p.sent = status, p.header.Clone()
	}
}

func (p *page) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return p.body.Write(b)
}

func (p *page) response() *http.Response {
	p.WriteHeader(http.StatusOK)
	return &http.Response{
		Status: fmt.Sprintf("%d %s", p.status, http.StatusText(p.status)), StatusCode: p.status, Header: p.sent,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(p.body.Bytes())), ContentLength: int64(p.body.Len()),
	}
}
