package ghl

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

func TestOpportunitiesAreTheContactsOwnAndStagesHaveNames(t *testing.T) {
	ctx := t.Context()
	rows := `{"opportunities":[
		{"id":"o1","contactId":"c1","pipelineId":"p1","pipelineStageId":"5a-1","status":"Open","updatedAt":"2030-01-03T00:00:00.000Z","lastStageChangeAt":"2030-01-02T00:00:00.000Z"},
		{"id":"o2","contact":{"id":"c1"},"pipelineId":"p1","pipelineStageId":"5a-2","status":"won","lastStageChangeAt":"2030-01-01T00:00:00.000Z","lastStatusChangeAt":"2030-01-05T00:00:00.000Z"},
		{"id":"o3","contactId":"c2","pipelineStageId":"5a-1","status":"open"}],"meta":{"total":3}}`
	got, err := stubClient(t, answering(200, rows)).OpportunitiesOf(ctx, "c1")
	if err != nil || len(got) != 2 || got[0].StageID != "5a-1" || got[0].Status != "open" || !got[0].ChangedAt.Equal(time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)) ||
		!got[1].ChangedAt.Equal(time.Date(2030, 1, 5, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := stubClient(t, answering(200, `{"opportunities":[]}`)).OpportunitiesOf(ctx, ""); !df.IsCode(err, df.CodeInvalid) {
		t.Errorf("everybody's opportunities were asked for: %v", err)
	}
	if _, err := stubClient(t, answering(200, `{"meta":{}}`)).OpportunitiesOf(ctx, "c1"); !df.IsCode(err, df.CodeGarbled) {
		t.Errorf("an answer without the list is not none: %v", err)
	}
	pipelines, err := stubClient(t, answering(200, `{"pipelines":[{"id":"p1","name":"Sales","stages":[{"id":"5a-1","name":"Hot"}]}]}`)).Pipelines(ctx)
	if err != nil || len(pipelines) != 1 || pipelines[0].Stages["5a-1"] != "Hot" {
		t.Errorf("%+v, %v", pipelines, err)
	}
}

// The field that names a contact's agent need not exist, and a token that may not
// list custom fields must not keep contacts from being read.
func TestTheAgentsFieldIsReadWhereItExistsAndMissedNowhere(t *testing.T) {
	f := newFake(t)
	f.contacts["c1"] = map[string]any{"id": "c1", "customFields": []any{map[string]any{"id": "cf1", "value": "Dana"}}}
	asked, refused := 0, false
	f.answer = func(w http.ResponseWriter, r *http.Request, _ map[string]any) bool {
		if !strings.Contains(r.URL.Path, "customFields") {
			return false
		}
		if asked++; refused {
			refuse(w, 403, "The token is not authorized for this scope.")
		}
		return refused
	}
	now := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	there := NewSide(SideOptions{Client: f.client(), Agents: directory{}, AgentField: "Case Number", Clock: clock})
	field := df.CustomField("Case Number")
	c, err := there.Read(t.Context(), df.Ref{ID: "c1"})
	if err != nil || c.Get(field) != "Dana" || there.Holds(field) || there.Writable(field) {
		t.Errorf("%v, %v; holds it: %v", c.Fields, err, there.Holds(field))
	}
	gone := NewSide(SideOptions{Client: f.client(), Agents: directory{}, AgentField: "assignedAgent", Clock: clock})
	asked = 0
	for range 3 {
		if c, err := gone.Read(t.Context(), df.Ref{ID: "c1"}); err != nil || c.Known(df.CustomField("assignedAgent")) {
			t.Fatalf("%v, %v", c.Fields, err)
		}
		now = now.Add(2 * time.Minute)
	}
	if asked != 1 {
		t.Errorf("a field that is missing was looked for %d times", asked)
	}
	refused = true
	barred := NewSide(SideOptions{Client: f.client(), Agents: directory{}, AgentField: "assignedAgent", Clock: clock})
	if _, err := barred.Read(t.Context(), df.Ref{ID: "c1"}); err != nil {
		t.Errorf("a contact cannot be read for want of an optional field: %v", err)
	}
	needed := NewSide(SideOptions{Client: f.client(), Agents: directory{}, AgentField: "assignedAgent", CustomFields: map[string]string{"case": "cf1"}, Clock: clock})
	if _, err := needed.Read(t.Context(), df.Ref{ID: "c1"}); err == nil {
		t.Error("a field that is needed cannot be looked for, and nobody is told")
	}
}

func TestAContactTellsWhenItWasCreated(t *testing.T) {
	f := newFake(t)
	f.contacts["c1"] = map[string]any{"id": "c1", "dateAdded": "2030-01-02T03:04:05.000Z"}
	c, err := testSide(f).Read(t.Context(), df.Ref{ID: "c1"})
	if err != nil || !c.CreatedAt.Equal(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("%v, %v", c.CreatedAt, err)
	}
}
