package ghlworld

import (
	"errors"
	"slices"
	"testing"
)

func TestOpportunitiesMoveAndAreFoundBySnakeCaseOnly(t *testing.T) {
	b := set(t, nil)
	one, err := b.CreateContact(map[string]string{"phone": "+15005550111"})
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.CreateContact(map[string]string{"phone": "+15005550112"})
	if err != nil {
		t.Fatal(err)
	}
	deal, err := b.OpenOpportunity(one.ID, "New Lead")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.OpenOpportunity(other.ID, "Hot"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.MoveOpportunity(deal.ID, "Hot"), b.SetOpportunityStatus(deal.ID, "won")); err != nil {
		t.Fatal(err)
	}
	search := "/opportunities/search?location_id=SandboxLocation00001&status=all&contact_id=" + one.ID
	rows := b.must(200, "GET", search, "")["opportunities"].([]any)
	if len(rows) != 1 || rows[0].(map[string]any)["status"] != "won" || rows[0].(map[string]any)["pipelineStageId"] != b.Settings().Pipelines[0].Stages[2].ID {
		t.Errorf("got %v", rows)
	}
	camel := "/opportunities/search?location_id=SandboxLocation00001&status=all&contactId=" + one.ID
	if rows := b.must(200, "GET", camel, "")["opportunities"].([]any); len(rows) != 2 {
		t.Errorf("a filter in camel case was obeyed: %v", rows)
	}
	if pipelines := b.must(200, "GET", "/opportunities/pipelines?locationId=SandboxLocation00001", "")["pipelines"].([]any); len(pipelines) != 1 {
		t.Errorf("got %v", pipelines)
	}
	want := []string{"ContactCreate", "ContactCreate", "OpportunityCreate", "OpportunityCreate", "OpportunityStageUpdate", "OpportunityStatusUpdate"}
	if got := b.types(); !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
	if _, err := b.OpenOpportunity(one.ID, "Nowhere"); !errors.Is(err, ErrNoOpportunity) {
		t.Error(err)
	}
	if err := b.MoveOpportunity("none", "Hot"); !errors.Is(err, ErrNoOpportunity) {
		t.Error(err)
	}
}
