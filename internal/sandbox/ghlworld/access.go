package ghlworld

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// The dated versions of the two API families. Each also takes "v3".
const (
	crm      = "2021-07-28" // contacts, locations, users, objects, oauth
	inboxAPI = "2021-04-15" // conversations, messages, calendars
)

// call is one request that was let in.
type call struct {
	w    http.ResponseWriter
	r    *http.Request
	body stage.Object
	who  *grant
	v3   bool
}

// grant is what a token may do. The PIT's never expires.
type grant struct {
	token      string
	userType   string // Location or Company
	locationID string
	expires    time.Time
	provider   bool // may act as the app's conversation provider
}

// failure is an answer that is not a success.
type failure struct {
	status int
	body   map[string]any
}

func fail(status int, message string) *failure {
	body := map[string]any{"statusCode": status, "message": message}
	switch status {
	case http.StatusBadRequest:
		body["error"] = "Bad Request"
	case http.StatusUnauthorized:
		body["error"] = "Unauthorized"
	case http.StatusForbidden:
		body["error"] = "Forbidden"
	case http.StatusNotFound:
		body["error"] = "Not Found"
	}
	return &failure{status, body}
}

// invalid is the validator's answer: message is an array here and nowhere else.
func invalid(violations ...string) *failure {
	return &failure{http.StatusUnprocessableEntity, map[string]any{
		"statusCode": 422, "message": violations, "error": "Unprocessable Entity",
	}}
}

// handler does the work of one operation under the world's lock and returns the
// status and body of the answer.
type handler func(c *call) (int, any, *failure)

// route adds an operation that needs a token and a version header.
func (w *World) route(operation, method, pattern, version string, h handler) {
	w.Route(operation, method, pattern, func(rw http.ResponseWriter, r *http.Request) {
		c := &call{w: rw, r: r}
		status, body, failed := w.admit(c, version, h)
		if failed != nil {
			status, body = failed.status, failed.body
		}
		w.answer(rw, status, body)
	})
}

func (w *World) admit(c *call, version string, h handler) (int, any, *failure) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.takeRate(c.w.Header()) {
		return 0, nil, fail(http.StatusTooManyRequests, "Too Many Requests")
	}
	if c.who = w.bearer(c.r); c.who == nil {
		return 0, nil, fail(http.StatusUnauthorized, "Invalid token: access token is invalid")
	}
	if f := w.version(c, version); f != nil {
		return 0, nil, f
	}
	if f := c.read(); f != nil {
		return 0, nil, f
	}
	return h(c)
}

// version asks for the Version header. A missing one is answered with 401,
// which is no sign of a bad token.
func (w *World) version(c *call, family string) *failure {
	published := []string{"2021-04-15", "2021-07-28", "2023-02-21", "v3"}
	switch got := c.r.Header.Get("Version"); {
	case got == "":
		return fail(http.StatusUnauthorized, "version header was not found.")
	case got == "v3":
		c.v3 = true
	case got == family, w.config.AnyVersion && slices.Contains(published, got):
	default:
		return fail(http.StatusUnauthorized, "version header is invalid")
	}
	return nil
}

func (c *call) read() *failure {
	raw, err := io.ReadAll(c.r.Body)
	if err != nil {
		return fail(http.StatusBadRequest, "Unexpected end of input")
	}
	if strings.HasPrefix(c.r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		raw = stage.FormAsJSON(raw)
	}
	c.body, err = stage.ReadObject(raw)
	if err != nil {
		return fail(http.StatusBadRequest, "Unexpected token in JSON")
	}
	return nil
}

// answer adds the traceId that accompanies every response.
func (w *World) answer(rw http.ResponseWriter, status int, body any) {
	if object, ok := body.(map[string]any); ok {
		object["traceId"] = w.UUID()
	}
	if body == nil {
		rw.WriteHeader(status)
		return
	}
	stage.JSON(rw, status, body)
}

func (w *World) bearer(r *http.Request) *grant {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return nil
	}
	if subtle.ConstantTimeCompare([]byte(token), []byte(w.config.PIT)) == 1 {
		return &grant{token: token, userType: "Location", locationID: w.config.LocationID, provider: w.config.PITIsProvider}
	}
	g := w.tokens[token]
	if g == nil || !w.Now().Before(g.expires) {
		return nil
	}
	return g
}

// reach refuses a location that the token does not belong to.
func (w *World) reach(c *call, locationID string) *failure {
	if locationID == "" {
		return invalid("locationId should not be empty", "locationId must be a string")
	}
	if c.who.userType == "Location" && locationID != c.who.locationID || locationID != w.config.LocationID {
		return fail(http.StatusForbidden, "The token does not have access to this location.")
	}
	return nil
}

// takeRate counts a request against the burst limit.
func (w *World) takeRate(h http.Header) bool {
	w.prune()
	if len(w.recent) >= w.config.RateMax {
		return false
	}
	w.recent = append(w.recent, w.Now())
	w.today++
	w.setRate(h)
	return true
}

func (w *World) prune() {
	oldest := w.Now().Add(-w.config.RateInterval)
	kept := w.recent[:0]
	for _, at := range w.recent {
		if at.After(oldest) {
			kept = append(kept, at)
		}
	}
	w.recent = kept
}

func (w *World) rateHeaders(h http.Header) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prune()
	w.setRate(h)
}

const dailyLimit = 200000

func (w *World) setRate(h http.Header) {
	h.Set("X-RateLimit-Limit-Daily", strconv.Itoa(dailyLimit))
	h.Set("X-RateLimit-Daily-Remaining", strconv.Itoa(max(0, dailyLimit-w.today)))
	h.Set("X-RateLimit-Interval-Milliseconds", strconv.FormatInt(w.config.RateInterval.Milliseconds(), 10))
	h.Set("X-RateLimit-Max", strconv.Itoa(w.config.RateMax))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, w.config.RateMax-len(w.recent))))
}

// cannot is the framework's answer to paths that it does not know; a trailing
// slash more or less makes such a path.
func cannot(w http.ResponseWriter, r *http.Request) {
	stage.JSON(w, http.StatusNotFound, map[string]any{
		"message": fmt.Sprintf("Cannot %s %s", r.Method, r.URL.Path), "error": "Not Found", "statusCode": 404,
	})
}

// number returns a query or body number, or the fallback.
func number(text string, fallback int) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return fallback
	}
	return n
}

func isNumber(value any) bool { _, ok := value.(json.Number); return ok }
