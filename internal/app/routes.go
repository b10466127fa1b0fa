package app

import "net/http"

// routes is a multiplexer that can say what was added to it, so that a test can
// ask every address of the program whether it keeps strangers out.
type routes struct {
	mux      *http.ServeMux
	patterns []string
}

func newRoutes() *routes { return &routes{mux: http.NewServeMux()} }

// Handle adds a route, as that of http.ServeMux does.
func (r *routes) Handle(pattern string, handler http.Handler) {
	r.patterns = append(r.patterns, pattern)
	r.mux.Handle(pattern, handler)
}

// HandleFunc adds a route, as that of http.ServeMux does.
func (r *routes) HandleFunc(pattern string, handler http.HandlerFunc) { r.Handle(pattern, handler) }

// ServeHTTP implements http.Handler.
func (r *routes) ServeHTTP(w http.ResponseWriter, request *http.Request) { r.mux.ServeHTTP(w, request) }
