package aloware

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
	"github.com/df-middleware/dfm/internal/payload"
)

const upstream = "aloware"

// timeout bounds one call. Round trips of 1.3 to 2.2 s were measured.
const timeout = 15 * time.Second

// Caller makes one call to Aloware and judges what came of it. *egress.Client is
// the one that runs; tests bring their own.
type Caller interface {
	Do(ctx context.Context, call egress.Call) (egress.Answer, error)
}

// Client speaks Aloware's public API. All of it lies below /webhook and takes one
// account token: in the query of a GET, in the body of a POST.
type Client struct {
	caller   Caller
	base     string
	token    df.Secret
	class    egress.Class
	redactor *egress.Redactor
}

// NewClient returns a client for the API below base, e.g.
// "https://app.aloware.io/api/v1". Without a token every call is refused with
// df.CodeUnconfigured.
func NewClient(caller Caller, base string, token df.Secret) *Client {
	return &Client{caller: caller, base: strings.TrimRight(base, "/"), token: token,
		redactor: egress.NewRedactor([]string{token.Reveal()}, nil)}
}

// Reserved returns a client whose calls may use the share of the budget that is
// kept back for opt-outs.
func (c *Client) Reserved() *Client {
	reserved := *c
	reserved.class = egress.Reserved
	return &reserved
}

// endpoint is one of Aloware's calls.
type endpoint struct {
	operation  string
	path       string
	repeatable bool
}

// reply is a JSON answer of Aloware's, with a 2xx status.
type reply struct {
	status int
	body   []byte
}

func (c *Client) get(ctx context.Context, e endpoint, query url.Values) (reply, error) {
	target := c.base + e.path + "?"
	if len(query) > 0 {
		target += query.Encode() + "&"
	}
	target += "api_token=" + url.QueryEscape(c.token.Reveal())
	return c.do(ctx, e, egress.Call{Method: http.MethodGet, URL: target, Repeatable: true})
}

func (c *Client) post(ctx context.Context, e endpoint, fields map[string]any) (reply, error) {
	body := maps.Clone(fields)
	body["api_token"] = c.token.Reveal()
	encoded, err := json.Marshal(body)
	if err != nil {
		return reply{}, c.refuse(e, df.CodeInvalid, "the request cannot be written as JSON")
	}
	return c.do(ctx, e, egress.Call{Method: http.MethodPost, URL: c.base + e.path, Body: encoded, Repeatable: e.repeatable})
}

func (c *Client) do(ctx context.Context, e endpoint, call egress.Call) (reply, error) {
	if !c.token.Set() {
		return reply{}, c.refuse(e, df.CodeUnconfigured, "ALOWARE_API_TOKEN is not set")
	}
	call.Operation, call.Class, call.Timeout = e.operation, c.class, timeout
	call.Header = http.Header{"Accept": {"application/json"}}
	if call.Body != nil {
		call.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.caller.Do(ctx, call)
	if err != nil {
		return reply{}, err
	}
	return c.judge(e, answer)
}

// judge turns an answer into a reply or a verdict. Aloware answers unknown paths,
// and sometimes bad tokens, with HTTP 200 and its web page, so a status counts
// only together with JSON. A 404 says that a contact does not exist only when it
// does not speak of the route: taken for "no such contact", a wrong base URL
// would have every contact created again.
func (c *Client) judge(e endpoint, answer egress.Answer) (reply, error) {
	isJSON := jsonAnswer(answer)
	switch {
	case answer.Status >= 200 && answer.Status < 300 && isJSON:
		return reply{answer.Status, answer.Body}, nil
	case answer.Status == http.StatusUnauthorized, answer.Status == http.StatusForbidden:
		return reply{}, c.refusal(e, answer, df.CodeUnauthorized)
	case !isJSON:
		return reply{}, c.garbled(e, answer, "the answer is not JSON")
	case answer.Status == http.StatusNotFound && !strings.Contains(errorText(answer.Body), "route"):
		return reply{}, c.refusal(e, answer, df.CodeNotFound)
	case answer.Status == http.StatusConflict:
		return reply{}, c.refusal(e, answer, df.CodeDuplicate)
	default:
		return reply{}, c.refusal(e, answer, df.CodeInvalid)
	}
}

func jsonAnswer(answer egress.Answer) bool {
	kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return false
	}
	return json.Valid(answer.Body)
}

func (c *Client) refuse(e endpoint, code, message string) *df.CallError {
	return &df.CallError{Upstream: upstream, Operation: e.operation, Outcome: df.Refused, Code: code, Message: message}
}

// refusal carries Aloware's own words, cut short and without personal data.
func (c *Client) refusal(e endpoint, answer egress.Answer, code string) *df.CallError {
	failure := c.refuse(e, code, shorten(c.redactor.Text(errorText(answer.Body))))
	failure.Status = answer.Status
	return failure
}

// garbled is the verdict on an answer that proves nothing: what may be repeated
// is, and what may not has to be looked up.
func (c *Client) garbled(e endpoint, answer egress.Answer, message string) *df.CallError {
	failure := c.refuse(e, df.CodeGarbled, message)
	failure.Status = answer.Status
	switch {
	case e.repeatable:
		failure.Outcome = df.RetryLater
	case answer.Status < 300:
		failure.Outcome = df.Unclear
	}
	return failure
}

// errorText finds the sentence in any of Aloware's error shapes: error, message,
// errors by field, or message together with errors.
func errorText(body []byte) string {
	root, err := parseRecord(body)
	if err != nil {
		return ""
	}
	texts := make([]string, 0, 4)
	for _, key := range [...]string{"error", "message"} {
		if text := root.text(key); text != "" {
			texts = append(texts, text)
		}
	}
	fields, _ := root["errors"].(map[string]any)
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		list, ok := fields[field].([]any)
		if !ok {
			list = []any{fields[field]}
		}
		for _, entry := range list {
			if text, _ := payload.Scalar(entry); text != "" {
				texts = append(texts, fmt.Sprintf("%s: %s", field, text))
			}
		}
	}
	return strings.Join(texts, "; ")
}

func shorten(text string) string {
	const most = 300
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// id sends a numeric id as the number that Aloware knows it as.
func id(text string) any {
	if text == "" || len(text) > 18 || text[0] == '0' && len(text) > 1 || strings.Trim(text, "0123456789") != "" {
		return text
	}
	return json.Number(text)
}
