package verity

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// Request is a call to Verity as somebody asks for it, before any check.
type Request struct {
	Endpoint string            // path, with {name} or [name] where Params fills in
	Method   string            // GET, POST, PUT, PATCH, DELETE
	Params   map[string]string // values of the path's parameters, not encoded
	Query    url.Values        // a key with several values is repeated
	Body     json.RawMessage   // JSON, sent byte for byte; nil sends none
	Header   http.Header       // what is on the allow-list goes upstream
	// Authorization is the caller's Clerk token as a header value, "Bearer …".
	Authorization string

	authorized bool // the caller sent an Authorization header, if only an empty one
}

// maxBodyDepth is how deep the JSON of a request may be nested.
const maxBodyDepth = 64

func invalid(field, message string) *df.Error {
	if field != "" {
		message = field + " " + message
	}
	return refuse(http.StatusBadRequest, "INVALID_REQUEST", message)
}

// decodeRequest reads the body of POST /api/verity. It knows only INVALID_REQUEST,
// names the field at fault, and keeps the call's own body byte for byte. A
// failed decoding still returns what could be read, for the answer's meta.
func decodeRequest(data []byte) (Request, error) {
	var request Request
	if err := strictjson.Check(data, maxBodyDepth); err != nil {
		return request, unreadable(err)
	}
	if strictjson.KindOf(data) != strictjson.Object {
		return request, invalid("", "the body must be a JSON object")
	}
	var first error
	_ = strictjson.Members(data, func(name string, value []byte) error {
		if err := request.set(name, value); err != nil && first == nil {
			first = err
		}
		return nil
	})
	switch {
	case first != nil:
		return request, first
	case request.Endpoint == "" && request.Method == "":
		return request, invalid("", "endpoint and method are needed")
	case request.Endpoint == "":
		return request, invalid("endpoint", "is needed")
	case request.Method == "":
		return request, invalid("method", "is needed")
	}
	return request, nil
}

func unreadable(err error) *df.Error {
	var duplicate *strictjson.DuplicateError
	switch {
	case errors.As(err, &duplicate):
		return invalid("", "the body gives a key twice")
	case errors.Is(err, strictjson.ErrDepth):
		return invalid("", "the body is nested too deeply")
	case errors.Is(err, strictjson.ErrUTF8):
		return invalid("", "the body is not valid UTF-8")
	}
	return invalid("", "the body is not valid JSON")
}

// set takes one field. Fields we do not know are left alone, as the original did.
func (r *Request) set(name string, value []byte) error {
	if strictjson.KindOf(value) == strictjson.Null {
		return nil
	}
	switch name {
	case "endpoint":
		return setText(name, value, &r.Endpoint)
	case "method":
		return setText(name, value, &r.Method)
	case "params":
		return r.setParams(value)
	case "query":
		return r.setQuery(value)
	case "headers":
		return r.setHeaders(value)
	case "body":
		r.Body = value
	}
	return nil
}

func setText(name string, value []byte, into *string) error {
	text, isText := strictjson.String(value)
	if !isText {
		return invalid(name, "must be a string, not "+strictjson.KindOf(value).String())
	}
	*into = text
	return nil
}

func wantObject(name string, value []byte) error {
	if kind := strictjson.KindOf(value); kind != strictjson.Object {
		return invalid(name, "must be an object, not "+kind.String())
	}
	return nil
}

func (r *Request) setParams(value []byte) error {
	if err := wantObject("params", value); err != nil {
		return err
	}
	return strictjson.Members(value, func(name string, value []byte) error {
		text, isScalar := scalar(value)
		if !isScalar {
			return invalid(fieldName("params", name), "must be a string, a number or a boolean")
		}
		if r.Params == nil {
			r.Params = make(map[string]string, 2)
		}
		r.Params[name] = text
		return nil
	})
}

func (r *Request) setQuery(value []byte) error {
	if err := wantObject("query", value); err != nil {
		return err
	}
	r.Query = make(url.Values, 4)
	return strictjson.Members(value, func(name string, value []byte) error {
		return r.addQuery(name, value)
	})
}

func (r *Request) addQuery(name string, value []byte) error {
	wrong := invalid(fieldName("query", name), "must be a scalar or an array of scalars")
	switch strictjson.KindOf(value) {
	case strictjson.Null:
		return nil
	case strictjson.Array:
		return strictjson.Elements(value, func(_ int, item []byte) error {
			text, isScalar := scalar(item)
			if !isScalar {
				return wrong
			}
			r.Query.Add(name, text)
			return nil
		})
	}
	text, isScalar := scalar(value)
	if !isScalar {
		return wrong
	}
	r.Query.Add(name, text)
	return nil
}

// scalar returns the text of a string, a number (as spelled) or a boolean.
func scalar(value []byte) (string, bool) {
	switch strictjson.KindOf(value) {
	case strictjson.Text:
		return strictjson.String(value)
	case strictjson.Number, strictjson.Bool:
		return string(value), true
	}
	return "", false
}

func (r *Request) setHeaders(value []byte) error {
	if err := wantObject("headers", value); err != nil {
		return err
	}
	r.Header = make(http.Header, 2)
	return strictjson.Members(value, func(name string, value []byte) error {
		text, isText := strictjson.String(value)
		if !isText {
			return invalid(fieldName("headers", name), "must be a string, not "+strictjson.KindOf(value).String())
		}
		return r.addHeader(name, text)
	})
}

func (r *Request) addHeader(name, value string) error {
	field := fieldName("headers", name)
	if !headerName(name) {
		return invalid("headers", "has a name that is no header name")
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return invalid(field, "must not contain control characters")
	}
	key := http.CanonicalHeaderKey(name)
	if key == "Authorization" {
		if r.authorized {
			return invalid(field, "is given twice in different letter case")
		}
		r.Authorization, r.authorized = value, true
		return nil
	}
	if _, twice := r.Header[key]; twice {
		return invalid(field, "is given twice in different letter case")
	}
	r.Header[key] = []string{value}
	return nil
}

// headerName reports whether name is a token in the sense of RFC 9110.
func headerName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return name != "" && len(name) <= 64
}

// fieldName names a field inside another, if the caller's name for it is fit
// to be shown.
func fieldName(outer, name string) string {
	if len(name) > 64 || strings.ContainsFunc(name, hidden) {
		return outer
	}
	return outer + "." + name
}

// withQuery returns the query that was written behind the endpoint together
// with the request's own, encoded.
func (r *Request) withQuery(written string) (url.Values, error) {
	if written == "" {
		return r.Query, nil
	}
	values, err := url.ParseQuery(written)
	if err != nil {
		return nil, badEndpoint("endpoint has a query that cannot be read")
	}
	for name, more := range r.Query {
		values[name] = append(values[name], more...)
	}
	return values, nil
}

// sends reports whether the method takes the request's body along. A body given
// with GET is left out, as the original did.
func sends(method string) bool { return method != http.MethodGet && catalogue.KnownMethod(method) }
