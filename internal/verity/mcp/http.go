package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	sdkauth "github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/df-middleware/dfm/internal/df"
)

// Path is where the protocol is spoken.
const Path = "/mcp"

// MetadataPath is where clients learn how to authorise (RFC 9728); behind it may
// stand the path of the resource.
const MetadataPath = "/.well-known/oauth-protected-resource"

// firstStateless is the first revision without sessions.
const firstStateless = "2026-07-28"

const (
	versionHeader = "Mcp-Protocol-Version"
	maxBody       = 4 << 20          // of a request, in bytes
	sessionIdle   = 15 * time.Minute // after which a session of an older revision ends
	maxBearer     = 8 << 10
)

// Door says who may come in over HTTP.
type Door struct {
	// Authenticate judges a bearer token. It returns a *df.Error with status
	// 401, 403, 429 or 503; one with a method RetryAfter() time.Duration in its
	// chain says when to come back.
	Authenticate func(ctx context.Context, token string) (Caller, error)
	// BaseURL is our public address; its host may be asked for, and pages from
	// it may ask. Empty means that we are reached only as we listen.
	BaseURL string
	// AnyHost accepts every Host: for servers that are reached by names we do
	// not know. Callers need their bearer token in any case.
	AnyHost bool
	Origins []string // of web pages that may call us, besides our own; "*" for any
	Issuers []string // OAuth issuers whose tokens we accept, for the metadata
}

// handler is the door for HTTP.
type handler struct {
	door      Door
	base      *url.URL
	stateful  http.Handler
	stateless http.Handler
	sessions  int // how many there may be
	stopping  sync.Once
	server    *Server
}

// Mux is what routes are added to, as to http.ServeMux.
type Mux interface {
	Handle(pattern string, handler http.Handler)
}

// Register puts the protocol and its metadata on a mux.
func (s *Server) Register(mux Mux, door Door) {
	h := s.Handler(door)
	mux.Handle(Path, h)
	mux.Handle(MetadataPath, h)
	mux.Handle(MetadataPath+Path, h)
}

// Handler returns the door for HTTP. It serves Path and MetadataPath.
func (s *Server) Handler(door Door) http.Handler { return s.newHandler(door) }

func (s *Server) newHandler(door Door) *handler {
	h := &handler{door: door, server: s, sessions: maxSessions}
	if base, err := url.Parse(door.BaseURL); err == nil && base.Host != "" {
		h.base = base
	}
	own := func(*http.Request) *sdk.Server { return s.sdk }
	options := sdk.StreamableHTTPOptions{
		SessionTimeout: sessionIdle, MaxRequestBodyBytes: maxBody,
		DisableLocalhostProtection: true, // judged here, and also behind a proxy on this machine
	}
	h.stateful = sdk.NewStreamableHTTPHandler(own, &options)
	newer := options
	newer.Stateless, newer.PropagateRequestCancellation = true, true
	h.stateless = sdk.NewStreamableHTTPHandler(own, &newer)
	return h
}

// ServeHTTP judges where a request comes from, then who sends it, and only then
// lets the protocol see it.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.endWithServer(r)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if !h.hostFits(r.Host) {
		answer(w, http.StatusForbidden, "FORBIDDEN", "the Host is not ours")
		return
	}
	if !h.originFits(r) {
		answer(w, http.StatusForbidden, "FORBIDDEN", "web pages of this Origin may not call us")
		return
	}
	h.allowPage(w, r)
	switch {
	case strings.HasPrefix(r.URL.Path, MetadataPath):
		h.metadata(w, r)
	case r.Method == http.MethodOptions:
		w.WriteHeader(http.StatusNoContent)
	default:
		h.enter(w, r)
	}
}

// endWithServer closes all sessions when the HTTP server begins to stop: their
// streams would keep it from it.
func (h *handler) endWithServer(r *http.Request) {
	h.stopping.Do(func() {
		if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok {
			server.RegisterOnShutdown(h.server.Close)
		}
	})
}

// hostFits reports whether the request asks for us. A page that has made its own
// name lead to this machine (DNS rebinding) asks for that name.
func (h *handler) hostFits(host string) bool {
	if h.door.AnyHost || h.base != nil && strings.EqualFold(host, h.base.Host) {
		return true
	}
	return isLoopback(host)
}

func isLoopback(host string) bool {
	name := host
	if bare, _, err := net.SplitHostPort(host); err == nil {
		name = bare
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// originFits judges the pages that browsers send requests for. Other clients
// send no Origin.
func (h *handler) originFits(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return true
	}
	origin, err := url.Parse(values[0])
	if len(values) > 1 || err != nil || origin.Host == "" || origin.Scheme != "http" && origin.Scheme != "https" || origin.User != nil {
		return false
	}
	text := origin.Scheme + "://" + origin.Host
	switch {
	case slices.Contains(h.door.Origins, "*"), slices.Contains(h.door.Origins, text):
		return true
	case h.base != nil && strings.EqualFold(text, h.base.Scheme+"://"+h.base.Host):
		return true
	}
	return strings.EqualFold(origin.Host, r.Host) && isLoopback(r.Host)
}

// allowPage tells browsers that the page, which has been judged, may read.
func (h *handler) allowPage(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", origin)
	header.Add("Vary", "Origin")
	header.Set("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS")
	header.Set("Access-Control-Allow-Headers", "Authorization, *") // * does not cover Authorization, and Mcp-Param-… are many
	header.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate, Retry-After")
	header.Set("Access-Control-Max-Age", "600")
}

// enter finds out who asks and hands over to the handler of the revision that
// the client speaks.
func (h *handler) enter(w http.ResponseWriter, r *http.Request) {
	token, given := bearer(r)
	if token == "" {
		h.refuse(w, r, given, &df.Error{Code: "UNAUTHORIZED", Message: "a bearer token is needed", Status: http.StatusUnauthorized})
		return
	}
	caller, err := h.door.Authenticate(r.Context(), token)
	if err != nil {
		h.refuse(w, r, given, err)
		return
	}
	next := h.stateful
	switch {
	case r.Header.Get(versionHeader) >= firstStateless:
		next = h.stateless
	case r.Header.Get("Mcp-Session-Id") == "" && h.full():
		h.refuse(w, r, given, &df.Error{Code: "UNAVAILABLE", Message: "there are too many sessions", Status: http.StatusServiceUnavailable})
		return
	}
	info := &sdkauth.TokenInfo{UserID: caller.ID, Scopes: []string{scope}, Extra: map[string]any{callerKey: caller}}
	verified := func(context.Context, string, *http.Request) (*sdkauth.TokenInfo, error) { return info, nil }
	sdkauth.RequireBearerToken(verified, &sdkauth.RequireBearerTokenOptions{AllowMissingExpiration: true})(next).ServeHTTP(w, r)
}

// maxSessions bounds the sessions of older revisions, each of which holds memory
// until it ends.
const maxSessions = 5000

// full reports whether no further session may be opened.
func (h *handler) full() bool {
	open := 0
	for range h.server.sdk.Sessions() {
		open++
	}
	return open >= h.sessions
}

// scope is what a key needs.
const scope = "mcp"

// bearer returns the token of the Authorization header. Two headers are none:
// which of them counts would depend on who reads the request.
func bearer(r *http.Request) (token string, given bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", len(values) > 0
	}
	kind, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(kind, "Bearer") || len(token) > maxBearer || strings.ContainsAny(token, " \t,") {
		return "", true
	}
	return token, true
}

// refuse answers somebody who may not come in, and says how he might.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, given bool, err error) {
	known := df.AsError(err)
	challenge := `Bearer resource_metadata="` + h.origin(r) + MetadataPath + Path + `", scope="` + scope + `"`
	switch {
	case known.Status == http.StatusForbidden:
		w.Header().Set("WWW-Authenticate", challenge+`, error="insufficient_scope"`)
	case known.Status == http.StatusUnauthorized && given:
		w.Header().Set("WWW-Authenticate", challenge+`, error="invalid_token"`)
	case known.Status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", challenge)
	}
	var wait interface{ RetryAfter() time.Duration }
	if errors.As(err, &wait) {
		seconds := (wait.RetryAfter() + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(seconds))))
	}
	answer(w, known.Status, known.Code, known.Message)
}

// origin returns our public scheme and host: the configured one, else the one
// that was asked for, which has been judged.
func (h *handler) origin(r *http.Request) string {
	if h.base != nil {
		return h.base.Scheme + "://" + h.base.Host
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// metadata tells clients what the resource is and who issues tokens for it.
func (h *handler) metadata(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		answer(w, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "only GET is answered here")
		return
	}
	document := map[string]any{
		"resource": h.origin(r) + Path, "resource_name": "df-middleware", "bearer_methods_supported": []string{"header"},
		"scopes_supported": []string{scope},
	}
	if len(h.door.Issuers) > 0 {
		document["authorization_servers"] = h.door.Issuers
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=300")
	_ = json.NewEncoder(w).Encode(document) // the reader may have gone
}

// answer writes an error of the external contract.
func answer(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the reader may have gone
		"success": false, "error": map[string]string{"code": code, "message": message},
	})
}

func invalidParams(message string) error {
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: message}
}
