package verity

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// exchange is one request at POST /api/verity on its way through.
type exchange struct {
	started time.Time
	caller  Caller
	request Request
	sent    admitted
	encoded string // "base64" when the data is no text
}

func (g *Gateway) serveCall(w http.ResponseWriter, r *http.Request) {
	x := exchange{started: g.cfg.Clock()}
	x.sent.template = unmatched
	in, out := g.takeBuffer(), g.takeBuffer()
	defer g.giveBuffer(in)
	defer g.giveBuffer(out)

	status, err := g.exchange(w, r, &x, in, out)
	if errors.Is(err, errCallerEnd) {
		g.served(r, &x, routeCall, statusCallerGone, "")
		panic(http.ErrAbortHandler) // returning would answer 200
	}
	code := ""
	if err != nil {
		fault := envelopeFault(err)
		status, code = fault.Status, fault.Code
		if after := retryAfter(err); after != "" {
			w.Header()["Retry-After"] = []string{after}
		}
		out.b = appendFailure(out.b[:0], fault)
		g.logFault("/api/verity", fault)
	}
	g.writeEnvelope(w, &x, status, out)
	g.served(r, &x, routeCall, status, code)
}

// statusCallerGone is what metrics call a request whose caller did not wait.
const statusCallerGone = 499

// exchange does the call. On success out holds the envelope up to its meta.
func (g *Gateway) exchange(w http.ResponseWriter, r *http.Request, x *exchange, in, out *buffer) (int, error) {
	var err error
	if x.caller, err = g.authenticate(r, "Authorization"); err != nil {
		return 0, err
	}
	if err := g.readBody(w, r, in); err != nil {
		return 0, err
	}
	if x.request, err = decodeRequest(in.b); err != nil {
		return 0, err
	}
	if x.sent, err = g.admit(r.Context(), &x.request, false); err != nil {
		return 0, err
	}
	if err := g.checkBody(r.Context(), &x.sent, x.request.Body); err != nil {
		return 0, err
	}
	if !g.inFlight.acquire(x.caller.ID) {
		return 0, errOverloaded
	}
	defer g.inFlight.release(x.caller.ID)
	body := g.takeBuffer()
	defer g.giveBuffer(body)
	a, err := g.call(r.Context(), g.prepare(&x.request, &x.sent), body)
	if err != nil {
		return 0, err
	}
	return g.wrap(w, x, a, out)
}

var errOverloaded = &df.Error{Code: "OVERLOADED", Message: "too many calls are under way", Status: http.StatusServiceUnavailable, Err: waitError{time.Second}}

// readBody reads a request's body within its limits of size and time.
func (g *Gateway) readBody(w http.ResponseWriter, r *http.Request, in *buffer) error {
	if r.ContentLength > g.cfg.MaxBody {
		return tooLarge(g.cfg.MaxBody)
	}
	control := http.NewResponseController(w)
	// Tests' recorders have no deadlines; the server's own have.
	_ = control.SetReadDeadline(time.Now().Add(g.cfg.BodyTimeout))
	var err error
	in.b, err = readInto(in.b[:0], r.Body, g.cfg.MaxBody)
	_ = control.SetReadDeadline(time.Time{})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTooLarge):
		w.Header()["Connection"] = []string{"close"} // the rest is not read
		return tooLarge(g.cfg.MaxBody)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header()["Connection"] = []string{"close"}
		return invalid("", "the body did not arrive in time")
	case r.Context().Err() != nil:
		return errCallerEnd
	}
	return invalid("", "the body did not arrive whole")
}

func tooLarge(limit int64) *df.Error {
	return refuse(http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE", fmt.Sprintf("the request body is larger than %d bytes", limit))
}

// prepare builds what goes upstream from an admitted request.
func (g *Gateway) prepare(r *Request, a *admitted) outgoing {
	header := make(http.Header, len(r.Header)+4)
	for name, values := range r.Header {
		if key := http.CanonicalHeaderKey(name); g.allowed[key] {
			header[key] = values
		}
	}
	header["User-Agent"] = userAgent
	if a.identity != nil {
		header["Authorization"] = []string{r.Authorization}
	} else if g.cfg.TextsWithAPIKey && g.cfg.APIKey.Set() && isTextPath(a.path) {
		header["Authorization"] = []string{"Bearer " + g.cfg.APIKey.Reveal()}
	}
	out := outgoing{method: a.method, path: a.path, query: a.query, header: header, template: a.template}
	delete(header, "Content-Type")
	if r.Body != nil && sends(a.method) {
		out.body = r.Body
		header["Content-Type"] = jsonType
		if given := r.Header["Content-Type"]; len(given) == 1 && isJSONType(given[0]) {
			header["Content-Type"] = given
		}
	}
	return out
}

var (
	userAgent = []string{"df-middleware"}
	jsonType  = []string{"application/json"}
)

func isJSONType(value string) bool {
	mediaType, _, err := mime.ParseMediaType(value)
	return err == nil && (mediaType == "application/json" || strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json"))
}

// wrap puts Verity's answer into the envelope, or returns it as an error.
func (g *Gateway) wrap(w http.ResponseWriter, x *exchange, a answer, out *buffer) (int, error) {
	if wait := a.header.Get("Retry-After"); wait != "" && len(wait) < 64 {
		w.Header()["Retry-After"] = []string{wait}
	}
	if a.status < 200 || a.status > 299 {
		return 0, upstreamError(a)
	}
	out.b = append(out.b[:0], `{"success":true,"data":`...)
	out.b, x.encoded = appendData(out.b, a)
	return a.status, nil
}

// appendData writes the answer's body as a JSON value: JSON as it stands, an
// empty body as null, text as a string, and what is no text in base64.
func appendData(dst []byte, a answer) (out []byte, encoding string) {
	declared := a.header["Content-Type"]
	isJSON := len(declared) == 0 || isJSONType(declared[0])
	switch {
	case len(a.body) == 0:
		return append(dst, "null"...), ""
	case !utf8.Valid(a.body):
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, a.body)
		return append(dst, '"'), "base64"
	case isJSON && json.Valid(a.body):
		return append(dst, a.body...), ""
	}
	return strictjson.AppendString(dst, string(a.body)), ""
}

// upstreamError turns a refusal of Verity's into an error for the caller. What
// it says of the request (4xx) is passed on whole; of its own troubles (5xx)
// only the message, because details of those tend to be stack traces.
func upstreamError(a answer) *df.Error {
	e := &df.Error{
		Code: "HTTP_" + strconv.Itoa(a.status), Status: a.status,
		Message: strings.TrimSuffix(fmt.Sprintf("HTTP %d: %s", a.status, http.StatusText(a.status)), ": "),
	}
	if !utf8.Valid(a.body) || !json.Valid(a.body) {
		return e
	}
	if message := saidMessage(a.body); message != "" {
		e.Message = message
	}
	if a.status < 500 {
		e.Details = json.RawMessage(a.body)
	}
	return e
}

// saidMessage finds the sentence in an error body: error, error.message or message.
func saidMessage(body []byte) string {
	found := map[string]string{}
	_ = strictjson.Members(body, func(name string, value []byte) error {
		if text, isText := strictjson.String(value); isText && (name == "error" || name == "message") {
			found[name] = text
		}
		if name == "error" {
			_ = strictjson.Members(value, func(inner string, value []byte) error {
				if text, isText := strictjson.String(value); isText && inner == "message" {
					found["error"] = text
				}
				return nil
			})
		}
		return nil
	})
	message := found["error"]
	if message == "" {
		message = found["message"]
	}
	if len(message) > 500 {
		message = strings.ToValidUTF8(message[:500], "") + "…"
	}
	return message
}

// envelopeFault returns what the caller is told of an error.
func envelopeFault(err error) *df.Error {
	if fault, found := errors.AsType[*df.Error](err); found {
		return fault
	}
	for _, known := range []error{errOpen, errDial, errTimeout, errBroken, errTooLarge} {
		if errors.Is(err, known) {
			return &df.Error{Code: "PROXY_ERROR", Message: known.Error(), Status: http.StatusInternalServerError, Err: err}
		}
	}
	return df.AsError(err)
}

func appendFailure(dst []byte, e *df.Error) []byte {
	dst = append(dst, `{"success":false,"error":{"message":`...)
	dst = strictjson.AppendString(dst, e.Message)
	dst = append(dst, `,"code":`...)
	dst = strictjson.AppendString(dst, e.Code)
	if e.Details != nil {
		if details, err := json.Marshal(e.Details); err == nil {
			dst = append(append(dst, `,"details":`...), details...)
		}
	}
	return append(dst, '}')
}

// writeEnvelope adds the meta and sends the envelope.
func (g *Gateway) writeEnvelope(w http.ResponseWriter, x *exchange, status int, out *buffer) {
	now := g.cfg.Clock()
	out.b = append(out.b, `,"meta":{"endpoint":`...)
	out.b = strictjson.AppendString(out.b, x.request.Endpoint[:min(len(x.request.Endpoint), maxEndpoint)])
	out.b = append(out.b, `,"method":`...)
	out.b = strictjson.AppendString(out.b, x.request.Method[:min(len(x.request.Method), 16)])
	out.b = append(out.b, `,"status":`...)
	out.b = strconv.AppendInt(out.b, int64(status), 10)
	out.b = append(out.b, `,"duration":`...)
	out.b = strconv.AppendInt(out.b, now.Sub(x.started).Milliseconds(), 10)
	out.b = append(out.b, `,"timestamp":"`...)
	out.b = now.UTC().AppendFormat(out.b, "2006-01-02T15:04:05.000Z")
	out.b = append(out.b, '"')
	if x.encoded != "" {
		out.b = append(out.b, `,"encoding":"base64"`...)
	}
	out.b = append(out.b, "}}\n"...)
	g.writeJSON(w, status, out.b)
}

// writeTimeout bounds how long a caller may take to read an answer.
const writeTimeout = time.Minute

func (g *Gateway) writeJSON(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	switch status {
	case http.StatusNoContent, http.StatusResetContent, http.StatusNotModified: // HTTP allows them no body
		w.WriteHeader(status)
		return
	}
	header["Content-Type"] = jsonAnswer
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	if len(body) <= 64<<10 {
		_, _ = w.Write(body) // the caller may be gone; there is nobody to tell
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, _ = w.Write(body)
	_ = control.SetWriteDeadline(time.Time{})
}

var jsonAnswer = []string{"application/json; charset=utf-8"}
