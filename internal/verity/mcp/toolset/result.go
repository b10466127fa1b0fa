package toolset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/df-middleware/dfm/internal/verity"
	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// DefaultMaxResult is how many bytes of an answer a model gets. Claude Code, for
// one, takes no more than about 25,000 tokens.
const DefaultMaxResult = 60_000

// maxBinary is the largest binary answer that is passed on, before base64.
const maxBinary = 4 << 20

// Result is what a tool call comes to.
type Result struct {
	IsError    bool
	Texts      []string        // what a model reads, the main text first
	Structured json.RawMessage // an object that says the same, or nil
	Binary     *Binary         // what is no text, or nil
	Code       string          // of the failure, for the audit log; "" when all went well
	Status     int             // HTTP status of Verity's answer, 0 when there was none
}

// Binary is an answer that is no text.
type Binary struct {
	Type string // media type
	Data []byte
	URI  string // names what was read
}

// Failure returns a result that tells the model what went wrong and what to do.
func Failure(code, format string, args ...any) Result {
	return Result{IsError: true, Code: code, Texts: []string{fmt.Sprintf(format, args...)}}
}

// Result shapes Verity's answer: JSON as text and structured content, shortened
// to limit bytes with a hint how to get the rest; pictures, sounds and other
// bytes as they are; an HTTP error as a failure that says what to change.
func (t *Tool) Result(answer *verity.Response, fields []string, limit int) Result {
	result := t.shape(answer, fields, limit)
	result.Status = answer.Status
	return result
}

func (t *Tool) shape(answer *verity.Response, fields []string, limit int) Result {
	if !answer.OK() {
		return t.refusal(answer)
	}
	body := bytes.TrimSpace(answer.Body)
	if len(body) == 0 {
		return Result{Texts: []string{fmt.Sprintf("Done (HTTP %d, no content).", answer.Status)}}
	}
	mediaType, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	isJSON := strictjson.Check(body, 200) == nil
	switch {
	case isJSON && (mediaType == "" || formOf(mediaType) == bodyJSON):
		return t.jsonResult(body, fields, limit)
	case formOf(mediaType) == bodyText && utf8.Valid(body), mediaType == "" && utf8.Valid(body), formOf(mediaType) == bodyJSON && utf8.Valid(body):
		return t.textResult(string(answer.Body), limit)
	}
	return t.binaryResult(answer, mediaType)
}

func (t *Tool) binaryResult(answer *verity.Response, mediaType string) Result {
	if len(answer.Body) > maxBinary {
		return Failure("TOO_LARGE", "The answer is %d bytes of %s, more than the %d that can be passed on.", len(answer.Body), mediaType, maxBinary)
	}
	if mediaType == "" {
		mediaType = "application/octet-stream"
	}
	return Result{Binary: &Binary{Type: mediaType, Data: answer.Body, URI: "verity://" + t.Operation.Path}}
}

func (t *Tool) textResult(text string, limit int) Result {
	if len(text) <= limit {
		return Result{Texts: []string{text}}
	}
	return Result{Texts: []string{cut(text, limit), fmt.Sprintf("Cut off after %d of %d bytes. %s", limit, len(text), t.moreHint())}}
}

func (t *Tool) jsonResult(body []byte, fields []string, limit int) Result {
	var missing []string
	if len(fields) > 0 {
		body, missing = project(body, fields)
	}
	result := Result{Texts: []string{string(body)}}
	if len(body) > limit {
		short, note := shorten(body, limit)
		if short == nil {
			return Result{Texts: []string{cut(string(body), limit),
				fmt.Sprintf("Cut off after %d of %d bytes, so this is not complete JSON. %s", limit, len(body), t.moreHint())}}
		}
		body = short
		result.Texts = []string{string(body), note + " " + t.moreHint()}
	}
	if len(missing) > 0 {
		result.Texts = append(result.Texts, "The answer has no "+strings.Join(missing, ", ")+".")
	}
	result.Structured = body
	if strictjson.KindOf(body) != strictjson.Object {
		result.Structured = slices.Concat([]byte(`{"result":`), body, []byte("}"))
	}
	return result
}

// moreHint says how to get what was left out.
func (t *Tool) moreHint() string {
	var ways []string
	if len(t.paging) > 0 {
		ways = append(ways, "page with "+strings.Join(t.paging, ", "))
	}
	if t.Operation.Method == "GET" && !t.flat {
		ways = append(ways, `name what you need in fields, for example {"fields":["data.id"]}`)
	}
	if len(ways) == 0 {
		return "Ask for less, with narrower arguments."
	}
	return "For the rest, " + strings.Join(ways, ", or ") + "."
}

// shorten keeps the shape of a JSON value and drops the last elements of its
// largest list: the value itself, or a member of it. It returns nil when there
// is no list whose shortening would help.
func shorten(body []byte, limit int) (short []byte, note string) {
	place, list := largestList(body)
	if list == nil {
		return nil, ""
	}
	room := limit - (len(body) - len(list)) - 2
	var kept bytes.Buffer
	shown, total := 0, 0
	_ = strictjson.Elements(list, func(_ int, item []byte) error {
		total++
		if shown == total-1 && kept.Len()+len(item)+1 <= room {
			if shown > 0 {
				kept.WriteByte(',')
			}
			kept.Write(item)
			shown++
		}
		return nil
	})
	if shown == 0 {
		return nil, ""
	}
	start := bytes.Index(body, list)
	short = slices.Concat(body[:start], []byte("["), kept.Bytes(), []byte("]"), body[start+len(list):])
	return short, fmt.Sprintf("Shortened: the first %d of %d elements%s are shown.", shown, total, place)
}

func largestList(body []byte) (place string, list []byte) {
	if strictjson.KindOf(body) == strictjson.Array {
		return "", body
	}
	consider := func(name string, value []byte) {
		if strictjson.KindOf(value) == strictjson.Array && len(value) > len(list) {
			place, list = " of "+name, value
		}
	}
	_ = strictjson.Members(body, func(name string, value []byte) error {
		consider(name, value)
		return strictjson.Members(value, func(inner string, value []byte) error {
			consider(name+"."+inner, value)
			return nil
		})
	})
	return place, list
}

// maxErrorText is how much of an error's body a model gets.
const maxErrorText = 2000

// refusal turns an HTTP error into text that tells the model what to change.
func (t *Tool) refusal(answer *verity.Response) Result {
	said := errorText(answer.Body)
	if said == "" {
		said = http.StatusText(answer.Status)
	}
	return Failure(fmt.Sprintf("HTTP_%d", answer.Status), "Verity refused the call with HTTP %d: %s\n%s", answer.Status, said, t.advice(answer))
}

func (t *Tool) advice(answer *verity.Response) string {
	status := answer.Status
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "This server's account may not do that. Trying again will not help; tell the user."
	case status == http.StatusNotFound || status == http.StatusGone:
		return "Nothing is there. Check the ids in path, for example by listing first."
	case status == http.StatusConflict || status == http.StatusPreconditionFailed:
		return "It clashes with the present state. Read the current state before you try again."
	case status == http.StatusTooManyRequests:
		wait := answer.Header.Get("Retry-After")
		if wait == "" || len(wait) > 40 {
			return "Too many calls. Wait before you try again."
		}
		return "Too many calls. Wait " + wait + " seconds before you try again."
	case status >= 500 && t.Idempotent:
		return "The fault is on Verity's side. You may try once more; then tell the user."
	case status >= 500:
		return "The fault is on Verity's side, and it is not known whether the call took effect. Check before you repeat it."
	case status >= 300 && status < 400:
		return "Verity sent the call elsewhere, which is not followed. Tell the user."
	}
	text := "Change the arguments that the message names"
	if len(t.required) > 0 {
		text += "; required are " + strings.Join(t.required, ", ")
	}
	return text + "."
}

// errorText returns the message of an error's body, or the body cut short.
func errorText(body []byte) string {
	body = bytes.TrimSpace(body)
	if !utf8.Valid(body) {
		return ""
	}
	if strictjson.Check(body, 64) == nil {
		if message := messageIn(body); message != "" {
			return cut(message, maxErrorText)
		}
	}
	if bytes.HasPrefix(body, []byte("<")) { // a page for people
		return ""
	}
	return cut(string(body), maxErrorText)
}

func messageIn(body []byte) string {
	var message, details string
	_ = strictjson.Members(body, func(name string, value []byte) error {
		text, isText := strictjson.String(value)
		switch name {
		case "error", "message", "detail", "title":
			if !isText {
				text = messageIn(value)
			}
			if message == "" {
				message = text
			}
		case "errors", "details", "issues":
			details = ": " + string(value)
		}
		return nil
	})
	if message == "" {
		return ""
	}
	return message + details
}
