package ghl

import (
	"errors"
	"strings"
	"testing"

	"github.com/df-middleware/dfm/internal/df"
)

func callError(t *testing.T, err error) *df.CallError {
	t.Helper()
	var call *df.CallError
	if !errors.As(err, &call) {
		t.Fatalf("no CallError: %v", err)
	}
	return call
}

// Errors used to be flattened to text, so that a duplicate could not be told
// from an outage (D-48).
func TestAnswersAreJudged(t *testing.T) {
	tests := []struct {
		name    string
		status  int
		body    string
		code    string
		outcome df.Outcome
		text    string
		contact string
	}{
		{"duplicate", 400, `{"statusCode":400,"message":"This location does not allow duplicated contacts.","meta":{"contactId":"c9","matchingField":"phone","contactName":"Dana"},"traceId":"ab-1"}`,
			df.CodeDuplicate, df.Refused, "another contact has this phone; trace ab-1", "c9"},
		{"duplicate without its meta", 400, `{"message":"This location does not allow duplicated contacts."}`,
			df.CodeDuplicate, df.Refused, "another contact has this phone or email", ""},
		{"bad request", 400, `{"statusCode":400,"message":"Bad Request"}`, df.CodeInvalid, df.Refused, "GHL refuses the request", ""},
		{"gone, as 400", 400, `{"message":"Contact with id c1 not found"}`, df.CodeNotFound, df.Refused, "it does not exist", ""},
		{"token", 401, `{"statusCode":401,"message":"Invalid token: access token is invalid"}`,
			df.CodeUnauthorized, df.RetryLater, "GHL refuses the token", ""},
		{"location", 403, `{"message":"The token does not have access to this location."}`,
			CodeForbidden, df.Refused, "the token lacks the scope or the location", ""},
		{"gone", 404, `{"statusCode":404}`, df.CodeNotFound, df.Refused, "it does not exist", ""},
		{"validation, an array", 422, `{"message":["property phone should not exist","email dana@example.test must be an email"],"traceId":"not a trace +1 500"}`,
			df.CodeInvalid, df.Refused, "GHL refuses email, phone", ""},
		{"validation, text", 422, `{"message":"phone +15005550111 is invalid"}`, df.CodeInvalid, df.Refused, "GHL refuses phone", ""},
		{"no JSON", 418, `<html>dana@example.test</html>`, df.CodeInvalid, df.Refused, "GHL refuses the request", ""},
		{"redirect", 302, ``, df.CodeInvalid, df.Refused, "GHL answered with a redirect", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			caller := answering(tt.status, tt.body)
			err := stubClient(t, caller).UpdateContact(t.Context(), "c1",
				ContactUpdate{Phone: Set("+15005550111"), Email: Set("dana@example.test")})
			e := callError(t, err)
			if e.Code != tt.code || e.Outcome != tt.outcome || e.Message != tt.text || e.ContactID != tt.contact || e.Status != tt.status {
				t.Errorf("got %+v", e)
			}
			if strings.Contains(e.Error(), "5005550111") || strings.Contains(e.Error(), "example.test") {
				t.Errorf("personal data in %q", e)
			}
		})
	}
}

// The write took place although the answer is empty; it used to be recorded as
// failed and done again (D-93).
func TestEmptyAnswerToAWriteIsDone(t *testing.T) {
	for _, body := range []string{"", "null", "<html>", `{"succeded":true}`, `{"succeeded":true}`} {
		c := stubClient(t, answering(200, body))
		errs := []error{c.UpdateContact(t.Context(), "c1", ContactUpdate{City: Set("Tampa")}), c.DeleteContact(t.Context(), "c1"),
			c.AddTags(t.Context(), "c1", []string{"a"}), c.RemoveTags(t.Context(), "c1", []string{"a"}),
			c.UpdateNote(t.Context(), "c1", "n1", NoteDraft{Body: "x"}), c.DeleteNote(t.Context(), "c1", "n1"),
			c.SetMessageStatus(t.Context(), "m1", "delivered", nil), c.SetAttachments(t.Context(), "m1", nil)}
		if err := errors.Join(errs...); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// GHL has answered 201 with nothing and stored nothing: neither done nor refused.
func TestCreationWithoutAnIdIsUnclear(t *testing.T) {
	for _, body := range []string{"", "{}", `{"contact":{}}`, `{"success":true}`} {
		c := stubClient(t, answering(201, body))
		_, contact := c.CreateContact(t.Context(), NewContact{}, nil)
		_, note := c.CreateNote(t.Context(), "c1", NoteDraft{Body: "x"})
		_, conversation := c.CreateConversation(t.Context(), "c1")
		_, inbound := c.AddInbound(t.Context(), InboundMessage{Type: "SMS"})
		_, call := c.AddExternalCall(t.Context(), ExternalCall{})
		for _, err := range []error{contact, note, conversation, inbound, call} {
			if e := callError(t, err); e.Outcome != df.Unclear || e.Code != df.CodeGarbled {
				t.Errorf("%q: %+v", body, e)
			}
		}
	}
}

// A search that failed used to count as "not found" and made duplicates (D-47).
func TestGarbledListIsNotAnEmptyOne(t *testing.T) {
	for _, body := range []string{"", "{}", "<html>Just a moment</html>", `{"contacts":"none"}`} {
		c := stubClient(t, answering(200, body))
		_, duplicate := c.FindDuplicate(t.Context(), "+15005550111", "")
		_, _, search := c.SearchContacts(t.Context(), SearchQuery{})
		_, conversation := c.FindConversation(t.Context(), "c1")
		_, _, list := c.ListMessages(t.Context(), "v1", "")
		_, fields := c.ListCustomFields(t.Context())
		for i, err := range []error{duplicate, search, conversation, list, fields} {
			if e := callError(t, err); e.Outcome != df.RetryLater || e.Code != df.CodeGarbled {
				t.Errorf("%q, %d: %+v", body, i, e)
			}
		}
	}
}

func TestFindDuplicateTellsNoneFromSomebody(t *testing.T) {
	for body, want := range map[string]string{
		`{"contact":null}`: "", `{"traceId":"t"}`: "", `{"contact":{"id":"c1"}}`: "c1", `{"contact":{"_id":"c1","phone":"x"}}`: "c1",
	} {
		caller := answering(200, body)
		got, err := stubClient(t, caller).FindDuplicate(t.Context(), "+15005550111", "")
		if err != nil || (got == nil) != (want == "") || got != nil && got.ID != want {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
		if !strings.HasSuffix(caller.calls[0].URL, "/contacts/search/duplicate?locationId=loc1&number=%2B15005550111") {
			t.Errorf("URL %s", caller.calls[0].URL)
		}
	}
}
