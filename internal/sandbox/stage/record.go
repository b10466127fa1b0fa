package stage

import (
	"net/http"
	"net/url"
	"time"
)

// Request is one request that an upstream has seen. It is a test's evidence and
// keeps everything, credentials too; the control endpoints show it without them.
type Request struct {
	Seq       int         `json:"seq"` // counts from 1
	At        time.Time   `json:"at"`
	Operation string      `json:"operation"` // the upstream's name for it, or "unknown"
	Method    string      `json:"method"`
	Path      string      `json:"path"`
	Query     url.Values  `json:"-"`
	Header    http.Header `json:"-"`
	Body      []byte      `json:"-"`
	Status    int         `json:"status"` // 0 when the answer was lost
	Prank     Prank       `json:"prank,omitempty"`

	nth int // which call of its operation
}

// ring keeps the newest requests.
type ring struct {
	size  int
	items []*Request
}

func (r *ring) add(q *Request) {
	r.items = append(r.items, q)
	if len(r.items) > r.size {
		r.items = append(r.items[:0:0], r.items[len(r.items)-r.size:]...)
	}
}

func (r *ring) copy() []Request {
	out := make([]Request, len(r.items))
	for i, q := range r.items {
		out[i] = *q
	}
	return out
}

// answer remembers the status that a handler sent.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach flushing and deadlines.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// void is where the answer of a handler goes that nobody will read.
type void struct{ header http.Header }

func (v void) Header() http.Header         { return v.header }
func (v void) Write(p []byte) (int, error) { return len(p), nil }
func (v void) WriteHeader(int)             {}
