package toolset

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/verity"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// Call is what arguments ask for.
type Call struct {
	Request verity.Request
	Fields  []string // the projection of the answer; empty for all of it
}

// Call builds the call that the arguments ask for, which must have passed
// Check. Numbers and bodies go out byte for byte. The error is an
// *ArgumentError.
func (t *Tool) Call(arguments json.RawMessage) (Call, error) {
	op := t.Operation
	call := Call{Request: verity.Request{Endpoint: op.Path, Method: op.Method}}
	if t.flat {
		return call, t.setBody(&call.Request, arguments)
	}
	err := strictjson.Members(arguments, func(group string, value []byte) error {
		switch group {
		case groupPath:
			return eachParameter(op, "path", value, func(p catalogue.Parameter, value []byte) error {
				return setPath(&call.Request, p, value)
			})
		case groupQuery:
			return eachParameter(op, "query", value, func(p catalogue.Parameter, value []byte) error {
				if call.Request.Query == nil {
					call.Request.Query = url.Values{}
				}
				return addQuery(call.Request.Query, p, value)
			})
		case groupHeader:
			return eachParameter(op, "header", value, func(p catalogue.Parameter, value []byte) error {
				return setHeader(&call.Request, p, value)
			})
		case groupBody:
			return t.setBody(&call.Request, value)
		case argFields:
			return json.Unmarshal(value, &call.Fields)
		}
		return nil
	})
	return call, err
}

func eachParameter(op *catalogue.Operation, in string, group []byte, set func(catalogue.Parameter, []byte) error) error {
	return strictjson.Members(group, func(name string, value []byte) error {
		i := slices.IndexFunc(op.Parameters, func(p catalogue.Parameter) bool { return p.In == in && p.Name == name })
		if i < 0 || strictjson.KindOf(value) == strictjson.Null {
			return nil
		}
		return set(op.Parameters[i], value)
	})
}

// setPath fills one parameter of the path, whose value must be one segment.
func setPath(r *verity.Request, p catalogue.Parameter, value []byte) error {
	text, err := simpleStyle(p, value)
	if err != nil {
		return err
	}
	if text == "" || text == "." || text == ".." || strings.ContainsAny(text, "/\\") {
		return badArgument("path.%s must be one plain segment of a path, without slashes", p.Name)
	}
	if r.Params == nil {
		r.Params = map[string]string{}
	}
	r.Params[p.Name] = text
	return nil
}

func setHeader(r *verity.Request, p catalogue.Parameter, value []byte) error {
	text, err := simpleStyle(p, value)
	if err != nil {
		return err
	}
	if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		return badArgument("headers.%s must not contain control characters", p.Name)
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set(p.Name, text)
	return nil
}

// scalar returns the text of a string, of a number as it is spelled, or of a
// boolean.
func scalar(value []byte) (string, bool) {
	switch strictjson.KindOf(value) {
	case strictjson.Text:
		return strictjson.String(value)
	case strictjson.Number, strictjson.Bool:
		return strings.TrimSpace(string(value)), true
	}
	return "", false
}
