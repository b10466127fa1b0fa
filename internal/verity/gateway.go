package verity

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
)

// Mode says what the catalogue decides.
type Mode string

// With Off the catalogue is only shown. With Warn a call that is not in it is
// logged and sent. With Enforce it is refused, and so is a caller who is not
// what the operation's authType asks for.
const (
	Off     Mode = "off"
	Warn    Mode = "warn"
	Enforce Mode = "enforce"
)

// Config is what a gateway is made of. Only BaseURL and Keys are needed; the
// zero value of everything else is a safe default.
type Config struct {
	BaseURL string // of Verity, without /api
	// Catalogue returns the catalogue in force, or nil when there is none.
	Catalogue func() *catalogue.Catalogue
	Mode      Mode // Warn when empty
	Validate  bool // with Enforce: compare requests with the operation's schema
	Keys      Keys
	Verifier  TokenVerifier // nil refuses every token
	Gate      Gate          // nil refuses every text
	// APIKey is Verity's key for the middleware's own endpoints (contract §7).
	APIKey df.Secret
	// TextsWithAPIKey sends APIKey along when a caller without a Clerk token
	// uses the send-message endpoint, which knows no other credential.
	TextsWithAPIKey bool

	Transport    http.RoundTripper // nil means egress.NewStreamTransport(Timeout)
	CORSOrigins  []string          // exact origins, or "*"
	AllowHeaders []string          // request headers that may go upstream besides the usual ones
	Checks       []Check           // dependencies for /ready
	Metrics      http.Handler      // GET /metrics; nil answers 404
	Document     []byte            // GET /api/openapi.json, for callers with a key; nil answers 404
	Observer     Observer
	Clock        df.Clock
	Log          *slog.Logger

	Timeout       time.Duration // of an upstream call, 30 s
	BodyTimeout   time.Duration // for a caller to send its body, 15 s
	StreamIdle    time.Duration // without a byte in a streamed answer, 2 min
	MaxBody       int64         // of a request, 1 MiB
	MaxAnswer     int64         // of an answer in an envelope, 16 MiB
	MaxStreamBody int64         // of a streamed request, 8 GiB
	MaxInFlight   int           // calls at once, 1024; one caller may hold three quarters
	BreakAfter    int           // failures in a row that open the breaker, 8
	BreakFor      time.Duration // how long it stays open, 5 s
}

// Observer is told what happened. Templates are those of the catalogue, or
// "unmatched", so that labels made of them are bounded.
type Observer interface {
	// Served is called once for each request at one of the gateway's doors.
	Served(Exchange)
	// Called is called once for each request sent to Verity. Status is 0 when
	// there was no answer.
	Called(method, template string, status int, took time.Duration)
}

// Exchange is one request at a door of the gateway, for metrics and audit.
type Exchange struct {
	Route    string // "/api/verity", "/api/verity/proxy", "/health", …
	Method   string // of the call to Verity, or of the request
	Template string
	Caller   Caller
	Subject  string // of the verified Clerk token
	Status   int    // 499 when the caller went away
	Code     string // of the error, or ""
	Duration time.Duration
}

// Gateway is the gateway of the external contract, §3, as an http.Handler.
type Gateway struct {
	cfg      Config
	base     *url.URL
	allowed  map[string]bool // canonical header names
	streamed map[string]bool // those of the streaming twin
	origins  map[string]bool
	inFlight *limiter
	host     *breaker
	slow     sync.Map // template → *breaker, for operations that time out
	proxy    *httputil.ReverseProxy
	ready    *readiness
	buffers  sync.Pool
	routes   map[string]http.HandlerFunc
}

// New returns a gateway, or an error that says what is wrong with the
// configuration.
func New(cfg Config) (*Gateway, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil || base.RawQuery != "" {
		return nil, errors.New("VERITY_BASE_URL must be an http(s) URL without user, query and fragment")
	}
	switch cfg.Mode {
	case "":
		cfg.Mode = Warn
	case Off, Warn, Enforce:
	default:
		return nil, errors.New("VERITY_CATALOG_MODE must be off, warn or enforce")
	}
	cfg.setDefaults()
	base.Path = strings.TrimSuffix(base.Path, "/")
	g := &Gateway{
		cfg: cfg, base: base,
		allowed:  headerSet(envelopeHeaders, cfg.AllowHeaders),
		streamed: headerSet(envelopeHeaders, streamHeaders, cfg.AllowHeaders),
		origins:  make(map[string]bool),
		inFlight: newLimiter(cfg.MaxInFlight),
		host:     newBreaker(cfg.BreakAfter, cfg.BreakFor),
		ready:    newReadiness(cfg.Checks, cfg.Clock, cfg.Log),
		buffers:  sync.Pool{New: func() any { return &buffer{} }},
	}
	for _, origin := range cfg.CORSOrigins {
		g.origins[strings.TrimSuffix(strings.TrimSpace(origin), "/")] = true
	}
	g.proxy, g.routes = g.newProxy(), g.table()
	return g, nil
}

func (cfg *Config) setDefaults() {
	orDuration(&cfg.Timeout, 30*time.Second)
	orDuration(&cfg.BodyTimeout, 15*time.Second)
	orDuration(&cfg.StreamIdle, 2*time.Minute)
	orDuration(&cfg.BreakFor, 5*time.Second)
	orSize(&cfg.MaxBody, 1<<20)
	orSize(&cfg.MaxAnswer, 16<<20)
	orSize(&cfg.MaxStreamBody, 8<<30)
	if cfg.MaxInFlight == 0 {
		cfg.MaxInFlight = 1024
	}
	if cfg.BreakAfter == 0 {
		cfg.BreakAfter = 8
	}
	if cfg.Transport == nil {
		cfg.Transport = egress.NewStreamTransport(cfg.Timeout)
	}
	if cfg.Catalogue == nil {
		cfg.Catalogue = func() *catalogue.Catalogue { return nil }
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Observer == nil {
		cfg.Observer = silent{}
	}
}

type silent struct{}

func (silent) Served(Exchange)                           {}
func (silent) Called(string, string, int, time.Duration) {}

func orDuration(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

func orSize(n *int64, value int64) {
	if *n == 0 {
		*n = value
	}
}

// The request headers that go upstream. Everything else stays here: hop-by-hop
// headers, Host, Cookie, whatever a proxy in front may have been trusted with
// (X-Forwarded-*, X-Real-Ip, X-Middleware-*), and our own key.
var (
	envelopeHeaders = []string{"Accept", "Accept-Language", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match",
		"Prefer", "Traceparent", "Tracestate", "X-Correlation-Id", "X-Request-Id"}
	streamHeaders = []string{"Accept-Encoding", "Cache-Control", "Content-Encoding", "If-Modified-Since", "If-Range",
		"If-Unmodified-Since", "Last-Event-Id", "Range", "User-Agent"}
)

// neverUpstream cannot be allowed by configuration.
var neverUpstream = []string{"Authorization", "Connection", "Content-Length", "Cookie", "Expect", "Forwarded", "Host", "Keep-Alive",
	"Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via", "X-Api-Key",
	"X-Http-Method", "X-Http-Method-Override", "X-Method-Override", "X-Original-Url", "X-Real-Ip", "X-Rewrite-Url"}

func headerSet(lists ...[]string) map[string]bool {
	set := make(map[string]bool)
	for _, list := range lists {
		for _, name := range list {
			set[http.CanonicalHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	for _, name := range neverUpstream {
		delete(set, name)
	}
	for name := range set {
		if strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Middleware-") {
			delete(set, name)
		}
	}
	return set
}
