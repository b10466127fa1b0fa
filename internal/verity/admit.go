package verity

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity/catalogue"
	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// unmatched is the template of calls that the catalogue does not know.
const unmatched = "unmatched"

// admitted is a request that may be sent.
type admitted struct {
	method    string
	path      string // canonical, percent-encoded
	values    url.Values
	query     string // values, encoded
	op        *catalogue.Operation
	template  string
	identity  *Identity
	recipient string // field of the body with the number that gets a text, or ""
}

// admit puts a request through every check that does not need its body, in the
// order of the contract's table. With own, the caller is this program itself
// with its own token, whose rights Verity judges.
func (g *Gateway) admit(ctx context.Context, r *Request, own bool) (admitted, error) {
	a := admitted{method: r.Method, template: unmatched}
	path, written, err := resolve(r.Endpoint, r.Params)
	if err != nil {
		return a, err
	}
	a.path = path
	if !catalogue.KnownMethod(r.Method) {
		return a, refuse(http.StatusBadRequest, "INVALID_METHOD", "method must be one of "+strings.Join(catalogue.Methods(), ", "))
	}
	if a.values, err = r.withQuery(written); err != nil {
		return a, err
	}
	a.query = a.values.Encode()
	given := r.authorized || r.Authorization != ""
	if a.identity, err = g.verify(ctx, r.Authorization, given); err != nil {
		return a, err
	}
	if err := g.consult(&a, own); err != nil {
		return a, err
	}
	a.recipient = recipient(&a)
	return a, nil
}

// consult asks the catalogue.
func (g *Gateway) consult(a *admitted, own bool) error {
	known := g.cfg.Catalogue()
	if known != nil {
		if op, found := known.Match(a.method, a.path); found {
			a.op, a.template = op, op.Path
		}
	}
	switch {
	case g.cfg.Mode != Enforce:
		if g.cfg.Mode == Warn && known != nil && a.op == nil {
			g.cfg.Log.Warn("call to an operation that the catalogue does not list", "method", a.method)
		}
		return nil
	case known == nil:
		return errNoCatalogue
	case a.op == nil:
		return refuse(http.StatusNotFound, "ENDPOINT_NOT_FOUND", "the catalogue has no such operation")
	case own && a.identity == nil:
		return nil
	}
	return authorise(a.op.Auth, a.identity)
}

var errNoCatalogue = refuse(http.StatusServiceUnavailable, "CATALOG_UNAVAILABLE", "the catalogue is not available")

// authorise compares the caller with the level that an operation asks for. A
// level that is not known is as high as the highest.
func authorise(level catalogue.Auth, who *Identity) error {
	if level == catalogue.NoAuth {
		return nil
	}
	if who == nil {
		return refuse(http.StatusUnauthorized, "AUTH_REQUIRED", "this operation needs a Clerk token")
	}
	allowed := who.Admin
	switch level {
	case catalogue.RequireAuth:
		allowed = true
	case catalogue.RequireUser:
		allowed = !who.Machine
	}
	if !allowed {
		return refuse(http.StatusForbidden, "FORBIDDEN", "this operation needs more rights than the Clerk token has")
	}
	return nil
}

// checkBody puts the body through what needs it: the schema and the opt-out gate.
func (g *Gateway) checkBody(ctx context.Context, a *admitted, body []byte) error {
	if g.cfg.Validate && g.cfg.Mode == Enforce && a.op != nil {
		if known := g.cfg.Catalogue(); known != nil {
			if found := known.Validate(a.op, a.path, a.values, body); len(found) > 0 {
				refused := invalid("", "the request does not fit the operation's schema")
				refused.Details = found
				return refused
			}
		}
	}
	return g.mayText(ctx, a, body)
}

// textWords are path segments by which an operation that sends texts gives
// itself away, where the catalogue does not say so.
var textWords = []string{"sms", "send-sms", "send-message", "send-text", "texts"}

// maxRecipients bounds what one call may make the gate look up.
const maxRecipients = 500

// anyRecipient asks for every field that usually holds a number.
const anyRecipient = "*"

// recipient returns the field of the body that holds the number which gets a
// text. Paths are compared without regard to case, as Express routes them.
func recipient(a *admitted) string {
	if a.method == http.MethodGet {
		return ""
	}
	if isTextPath(a.path) {
		return "to"
	}
	if a.op != nil && a.op.SendsText != "" {
		return a.op.SendsText
	}
	for segment := range strings.SplitSeq(a.path, "/") {
		for _, word := range textWords {
			if strings.EqualFold(segment, word) {
				return anyRecipient
			}
		}
	}
	return ""
}

func isTextPath(path string) bool {
	return strings.EqualFold(strings.TrimSuffix(path, "/"), catalogue.TextPath)
}

// mayText asks the gate for every number that the body would send a text to.
// Where the field is known, a body without it is refused: what the gate cannot
// see it cannot allow.
func (g *Gateway) mayText(ctx context.Context, a *admitted, body []byte) error {
	if a.recipient == "" {
		return nil
	}
	numbers := numbersIn(body, a.recipient)
	if a.recipient != anyRecipient && len(numbers) == 0 {
		return invalid("body."+a.recipient, "must be the phone number that gets the text")
	}
	if len(numbers) > maxRecipients {
		return invalid("body", "has too many phone numbers for one call")
	}
	for _, number := range numbers {
		phone, err := df.ParsePhone(number, "")
		if err != nil {
			if a.recipient == anyRecipient {
				continue
			}
			return invalid("body."+a.recipient, "must be a phone number")
		}
		if err := g.askGate(ctx, string(phone)); err != nil {
			return err
		}
	}
	return nil
}

func (g *Gateway) askGate(ctx context.Context, to string) error {
	err := errors.New("no opt-out gate is configured")
	if g.cfg.Gate != nil {
		err = g.cfg.Gate.MayText(ctx, to)
	}
	if err == nil {
		return nil
	}
	return &df.Error{Code: CodeOptedOut, Message: "this number must not get texts", Status: http.StatusForbidden, Err: err}
}

// CodeOptedOut is the code of a text that the opt-out gate did not let through.
const CodeOptedOut = "OPTED_OUT"

var recipientFields = []string{"to", "phone", "phoneNumber", "phoneE164", "recipient", "recipients", "numbers"}

// numbersIn returns the texts in a field of the body, which may be a string, a
// list of strings or a list of objects with such fields. A dotted name leads
// into objects.
func numbersIn(body json.RawMessage, field string) []string {
	if field == anyRecipient {
		var all []string
		for _, name := range recipientFields {
			all = append(all, numbersIn(body, name)...)
		}
		return all
	}
	name, rest, nested := strings.Cut(field, ".")
	var found []string
	_ = strictjson.Members(body, func(member string, value []byte) error {
		switch {
		case member != name:
		case nested:
			found = append(found, numbersIn(value, rest)...)
		default:
			found = append(found, phoneTexts(value)...)
		}
		return nil
	})
	return found
}

func phoneTexts(value json.RawMessage) []string {
	switch strictjson.KindOf(value) {
	case strictjson.Text, strictjson.Number:
		text, _ := scalar(value)
		return []string{text}
	case strictjson.Object:
		return numbersIn(value, anyRecipient)
	case strictjson.Array:
		var all []string
		_ = strictjson.Elements(value, func(_ int, item []byte) error {
			all = append(all, phoneTexts(item)...)
			return nil
		})
		return all
	}
	return nil
}
