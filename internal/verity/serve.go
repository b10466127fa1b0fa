package verity

import (
	"errors"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// The gateway's routes.
const (
	routeCall     = "/api/verity"
	routeProxy    = "/api/verity/proxy"
	routeDocument = "/api/openapi.json"
	routeHealth   = "/health"
	routeReady    = "/ready"
	routeMetric   = "/metrics"
)

// ServeHTTP serves the routes of the contract, §3. Paths are compared as they
// were sent, not as a multiplexer would tidy them.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer g.recover(w, r)
	path := r.URL.EscapedPath()
	if g.crossOrigin(w, r) {
		return
	}
	if rest, under := strings.CutPrefix(path, routeProxy+"/"); under {
		g.serveProxy(w, r, "/"+rest)
		return
	}
	secure(w.Header())
	serve, there := g.routes[path]
	if !there {
		g.refuseRequest(w, notFound)
		return
	}
	serve(w, r)
}

// table is what the gateway answers at, path by path; the proxy's paths are all
// that begin with its own.
func (g *Gateway) table() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{
		routeCall: g.serveVerity, routeCall + "/": g.serveVerity,
		routeHealth: g.readers(g.serveHealth), routeReady: g.readers(g.ready.serve),
	}
	if g.cfg.Metrics != nil {
		routes[routeMetric] = g.readers(g.cfg.Metrics.ServeHTTP)
	}
	if g.cfg.Document != nil {
		routes[routeDocument] = g.readers(g.serveDocument)
	}
	return routes
}

// Routes lists what the gateway answers at, as patterns of http.ServeMux.
func (g *Gateway) Routes() []string {
	patterns := []string{routeProxy + "/"}
	for path := range g.routes {
		if strings.HasSuffix(path, "/") {
			path += "{$}"
		}
		patterns = append(patterns, path)
	}
	slices.Sort(patterns)
	return patterns
}

// serveDocument describes the gateway to whoever may call it.
func (g *Gateway) serveDocument(w http.ResponseWriter, r *http.Request) {
	if _, err := g.authenticate(r, "Authorization"); err != nil {
		g.refuseRequest(w, err)
		return
	}
	g.writeJSON(w, http.StatusOK, g.cfg.Document)
}

var notFound = refuse(http.StatusNotFound, "NOT_FOUND", "there is nothing here; calls go to POST /api/verity")

func (g *Gateway) serveVerity(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		g.serveCall(w, r)
	case http.MethodGet, http.MethodHead:
		g.serveCatalogue(w, r)
	default:
		g.wrongMethod(w, "GET, HEAD, POST")
	}
}

// readers passes GET and HEAD on.
func (g *Gateway) readers(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			g.wrongMethod(w, "GET, HEAD")
			return
		}
		serve(w, r)
	}
}

func (g *Gateway) wrongMethod(w http.ResponseWriter, allowed string) {
	w.Header().Set("Allow", allowed)
	g.refuseRequest(w, refuse(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "this address takes "+allowed))
}

// refuseRequest answers with an error that has no envelope's meta.
func (g *Gateway) refuseRequest(w http.ResponseWriter, err error) {
	if after := retryAfter(err); after != "" {
		w.Header().Set("Retry-After", after)
	}
	fault := df.AsError(err)
	body := append(appendFailure(nil, fault), "}\n"...)
	g.writeJSON(w, fault.Status, body)
}

// recover answers a panic with 500 and no details, and lets go of the
// connection when an answer had begun.
func (g *Gateway) recover(w http.ResponseWriter, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if err, isError := cause.(error); isError && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler) // the proxy's way to break an answer off
	}
	g.cfg.Log.Error("panic in the gateway", "method", r.Method, "panic_type", typeName(cause), "stack", string(debug.Stack()))
	g.refuseRequest(w, refuse(http.StatusInternalServerError, "INTERNAL", "something went wrong on our side"))
}

// typeName says what was thrown without what it says: a panic's text may quote
// a caller's data.
func typeName(cause any) string {
	switch cause.(type) {
	case error:
		return "error"
	case string:
		return "string"
	}
	return "other"
}

// secure sets the headers that keep browsers from making anything of our
// answers but data.
func secure(h http.Header) {
	h["X-Content-Type-Options"] = noSniff
	h["Cache-Control"] = noStore
	h["Content-Security-Policy"] = noContent
	h["Referrer-Policy"] = noReferrer
}

var (
	noSniff    = []string{"nosniff"}
	noStore    = []string{"no-store"}
	noContent  = []string{"default-src 'none'; frame-ancestors 'none'"}
	noReferrer = []string{"no-referrer"}
)

// crossOrigin sets the CORS headers for an allowed origin, and answers a
// preflight request. Credentials are never allowed: keys travel in headers that
// a page must know, not in cookies.
func (g *Gateway) crossOrigin(w http.ResponseWriter, r *http.Request) (answered bool) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
	switch {
	case g.origins[origin]:
		h.Set("Access-Control-Allow-Origin", origin)
	case g.origins["*"]:
		h.Set("Access-Control-Allow-Origin", "*")
	default:
		if preflight {
			w.WriteHeader(http.StatusForbidden)
		}
		return preflight
	}
	h.Set("Access-Control-Expose-Headers", "ETag, Retry-After, X-Request-Id")
	if preflight {
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Api-Key, Idempotency-Key, If-Match, If-None-Match, X-Request-Id")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	}
	return preflight
}

// serveCatalogue answers GET /api/verity.
func (g *Gateway) serveCatalogue(w http.ResponseWriter, r *http.Request) {
	if _, err := g.authenticate(r, "Authorization"); err != nil {
		g.refuseRequest(w, err)
		return
	}
	known := g.cfg.Catalogue()
	if known == nil {
		g.refuseRequest(w, errNoCatalogue)
		return
	}
	query := r.URL.Query()
	listing, etag := known.Listing(query.Get("domain"), query.Get("q"))
	h := w.Header()
	h.Set("ETag", etag)
	h.Set("Cache-Control", "private, no-cache")
	if matches(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := make([]byte, 0, len(listing)+256)
	body = append(append(body, `{"success":true,"data":{"catalog":`...), listing...)
	body = append(body, `,"gateway":{"endpoint":"/api/verity","method":"POST","description":`...)
	body = strictjson.AppendString(body, "Send endpoint, method, params, query, body and headers as one JSON object; the answer comes in an envelope.")
	g.writeJSON(w, http.StatusOK, append(body, "}}}\n"...))
}

func matches(header, etag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
			return true
		}
	}
	return false
}

func (g *Gateway) served(r *http.Request, x *exchange, route string, status int, code string) {
	e := Exchange{
		Route: route, Method: x.sent.method, Template: x.sent.template, Caller: x.caller,
		Status: status, Code: code, Duration: g.cfg.Clock().Sub(x.started),
	}
	if e.Method == "" || code == "INVALID_METHOD" {
		e.Method = r.Method
	}
	if x.sent.identity != nil {
		e.Subject = x.sent.identity.Subject
	}
	g.cfg.Observer.Served(e)
}

// logFault logs what is our trouble or Verity's; a caller's mistakes are counted,
// not logged.
func (g *Gateway) logFault(route string, fault *df.Error) {
	if fault.Status < 500 || strings.HasPrefix(fault.Code, "HTTP_") {
		return
	}
	cause := fault.Message
	var reason *noAnswer
	if errors.As(fault.Err, &reason) {
		cause = reason.Error()
	}
	g.cfg.Log.Error("call to verity failed", "route", route, "code", fault.Code, "cause", cause)
}
