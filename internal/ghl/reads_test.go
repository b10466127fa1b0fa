package ghl

import (
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

func TestMessagesAreReadWrappedAndFlat(t *testing.T) {
	const message = `{"id":"m1","messageType":"TYPE_CALL","altId":"x1","source":"api","dateUpdated":"2026-05-01T10:00:00.000Z",`
	for name, body := range map[string]string{
		"flat":    message + `"meta":{"callDuration":"61","callStatus":"completed"}}`,
		"wrapped": `{"traceId":"t","message":` + message + `"meta":{"call":{"duration":61,"status":"completed"}}}}`,
	} {
		m, err := stubClient(t, answering(200, body)).GetMessage(t.Context(), "m1")
		if err != nil || m.ID != "m1" || m.CallSeconds != 61 || m.CallStatus != "completed" || m.AltID != "x1" || m.Source != "api" {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	for name, body := range map[string]string{
		"flat":    `{"lastMessageId":"m1","nextPage":true,"messages":[{"id":"m1"}]}`,
		"wrapped": `{"messages":{"lastMessageId":"m1","nextPage":true,"messages":[{"id":"m1"}]}}`,
	} {
		page, next, err := stubClient(t, answering(200, body)).ListMessages(t.Context(), "v1", "m0", "TYPE_SMS", "TYPE_CALL")
		if err != nil || len(page) != 1 || next != "m1" {
			t.Errorf("%s: %v, %q, %v", name, page, next, err)
		}
	}
}

func TestStatusSetTooEarlyIsRetried(t *testing.T) {
	err := stubClient(t, answering(403, `{"message":"Forbidden"}`)).SetMessageStatus(t.Context(), "m1", "delivered", nil)
	if e := callError(t, err); e.Outcome != df.RetryLater || e.Code != CodeForbidden {
		t.Errorf("%+v", e)
	}
}

func TestConversationOfAnotherContactIsNotTaken(t *testing.T) {
	c := stubClient(t, answering(200, `{"conversations":[{"id":"v1","contactId":"c2"}],"total":1}`))
	if _, err := c.FindConversation(t.Context(), "c1"); !df.IsCode(err, df.CodeNotFound) {
		t.Errorf("%v", err)
	}
}

func TestLocationUsersTagsAndNotesAreRead(t *testing.T) {
	ctx := t.Context()
	location, err := stubClient(t, answering(200, `{"location":{"id":"loc1","companyId":"co1","timezone":"America/New_York","settings":{"allowDuplicateContact":true}}}`)).GetLocation(ctx)
	if err != nil || location != (Location{ID: "loc1", CompanyID: "co1", Timezone: "America/New_York", AllowsDuplicate: true}) {
		t.Errorf("location %+v, %v", location, err)
	}
	const user = `{"id":"u1","name":"Ana","firstName":"Ana","email":"Ana@Example.test","phone":"+1 202-555-0100","deleted":false}`
	want := User{ID: "u1", Name: "Ana", FirstName: "Ana", Email: "ana@example.test", Phone: "+12025550100"}
	if got, err := stubClient(t, answering(200, user)).GetUser(ctx, "u1"); err != nil || got != want {
		t.Errorf("bare user %+v, %v", got, err)
	}
	users, next, err := stubClient(t, answering(200, `{"users":[`+user+`],"count":3}`)).SearchUsers(ctx, UserQuery{CompanyID: "co1", Skip: 1, Limit: 1})
	if err != nil || len(users) != 1 || users[0] != want || next != 2 {
		t.Errorf("users %+v, next %d, %v", users, next, err)
	}
	if _, next, err = stubClient(t, answering(200, `{"users":[`+user+`]}`)).SearchUsers(ctx, UserQuery{CompanyID: "co1"}); err != nil || next != 0 {
		t.Errorf("last page: next %d, %v", next, err)
	}
	tags, err := stubClient(t, answering(200, `{"tags":[{"id":"t1","name":"hot","locationId":"loc1"}]}`)).ListTags(ctx)
	if err != nil || len(tags) != 1 || tags[0] != (Tag{ID: "t1", Name: "hot"}) {
		t.Errorf("tags %v, %v", tags, err)
	}
	const note = `{"id":"n1","body":"x","userId":"u1","contactId":"c1","dateAdded":"2026-05-01T10:00:00.000Z"}`
	wanted := Note{ID: "n1", Body: "x", UserID: "u1", ContactID: "c1", AddedAt: time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)}
	if got, err := stubClient(t, answering(200, `{"note":`+note+`}`)).GetNote(ctx, "c1", "n1"); err != nil || got != wanted {
		t.Errorf("note %+v, %v", got, err)
	}
	if got, err := stubClient(t, answering(200, `{"notes":[`+note+`]}`)).ListNotes(ctx, "c1"); err != nil || len(got) != 1 || got[0] != wanted {
		t.Errorf("notes %+v, %v", got, err)
	}
	if got, err := stubClient(t, answering(200, `{"notes":[]}`)).ListNotes(ctx, "c1"); err != nil || len(got) != 0 {
		t.Errorf("no notes %+v, %v", got, err)
	}
}
