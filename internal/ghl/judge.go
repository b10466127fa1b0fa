package ghl

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/egress"
)

// CodeForbidden is the code of a call that our token may not make: it lacks the
// scope, or has no access to the location.
const CodeForbidden = "forbidden"

// judge makes a verdict of an answer that is no 2xx. GHL's own words are not
// passed on, for they may repeat what was sent; the names of refused fields, the
// matching field of a duplicate and the trace id are.
func judge(operation string, sent []byte, answer egress.Answer) *df.CallError {
	body, _ := parseObject(answer.Body)
	words := messages(body)
	e := failure(operation, df.Refused, df.CodeInvalid, "")
	e.Status = answer.Status
	switch {
	case answer.Status == http.StatusUnauthorized:
		// Retried, not refused: events must outlive a token that is mended tomorrow.
		e.Outcome, e.Code, e.Message = df.RetryLater, df.CodeUnauthorized, "GHL refuses the token"
	case answer.Status == http.StatusForbidden:
		e.Code, e.Message = CodeForbidden, "the token lacks the scope or the location"
	case isDuplicate(body, words):
		e.Code, e.ContactID = df.CodeDuplicate, body.child("meta").id("contactId")
		e.Message = duplicateText(body)
	case answer.Status == http.StatusNotFound, saysNotFound(answer.Status, words):
		e.Code, e.Message = df.CodeNotFound, "it does not exist"
	case answer.Status < 400:
		e.Message = "GHL answered with a redirect"
	default:
		e.Message = refusedText(sent, words)
	}
	if trace := traceID(body); trace != "" {
		e.Message += "; trace " + trace
	}
	return e
}

// messages returns what GHL says: a string in most errors, an array in a 422.
func messages(body object) []string {
	if text, ok := body["message"].(string); ok {
		return []string{text}
	}
	words, _ := body.texts("message")
	return words
}

// isDuplicate recognises the 400 (no specification has it) for a phone or e-mail
// that another contact of the location has.
func isDuplicate(body object, words []string) bool {
	meta := body.child("meta")
	return meta.id("contactId") != "" && meta.text("matchingField") != "" ||
		slices.ContainsFunc(words, func(s string) bool {
			return strings.Contains(strings.ToLower(s), "duplicated contact")
		})
}

func duplicateText(body object) string {
	switch field := body.child("meta").text("matchingField"); field {
	case "phone", "email":
		return "another contact has this " + field
	}
	return "another contact has this phone or email"
}

// saysNotFound recognises a missing entity that is answered with 400 or 422.
func saysNotFound(status int, words []string) bool {
	return (status == http.StatusBadRequest || status == http.StatusUnprocessableEntity) &&
		slices.ContainsFunc(words, func(s string) bool {
			return strings.HasSuffix(strings.TrimRight(strings.ToLower(s), ".! "), "not found")
		})
}

// refusedText names the fields of ours that GHL's complaints mention. Only names
// that we sent can appear in it, so no value can.
func refusedText(sent []byte, complaints []string) string {
	ours := make(map[string]bool)
	var tree any
	if json.Unmarshal(sent, &tree) == nil {
		collectNames(tree, ours)
	}
	var named []string
	for _, complaint := range complaints {
		for _, word := range strings.FieldsFunc(complaint, notInName) {
			if ours[word] && !slices.Contains(named, word) {
				named = append(named, word)
			}
		}
	}
	if len(named) == 0 {
		return "GHL refuses the request"
	}
	slices.Sort(named)
	return "GHL refuses " + strings.Join(named, ", ")
}

func collectNames(tree any, names map[string]bool) {
	switch v := tree.(type) {
	case map[string]any:
		for name, inner := range v {
			names[name] = true
			collectNames(inner, names)
		}
	case []any:
		for _, inner := range v {
			collectNames(inner, names)
		}
	}
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
}

func traceID(body object) string {
	trace := body.text("traceId")
	if len(trace) > 64 || strings.ContainsFunc(trace, func(r rune) bool { return r != '-' && notInName(r) }) {
		return ""
	}
	return trace
}
