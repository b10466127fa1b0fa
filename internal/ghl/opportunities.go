package ghl

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Opportunity is one deal of a contact's.
type Opportunity struct {
	ID         string
	ContactID  string
	PipelineID string
	StageID    string // a UUID; Pipelines names it
	Status     string // open, won, lost, abandoned
	ChangedAt  time.Time
}

// Pipeline is a pipeline with its stages.
type Pipeline struct {
	ID     string
	Name   string
	Stages map[string]string // names by id
}

// opportunitiesMost is the most that one page has. Nobody has more open deals.
const opportunitiesMost = "100"

// OpportunitiesOf returns a contact's opportunities, of any status. The query's
// names are snake case here and nowhere else. GHL may ignore a filter that it
// does not know, so rows of other contacts are left out.
func (c *Client) OpportunitiesOf(ctx context.Context, contactID string) ([]Opportunity, error) {
	if contactID == "" {
		return nil, failure("search opportunities", df.Refused, df.CodeInvalid, "there is no contact to search by")
	}
	_, rows, err := c.rows(ctx, request{operation: "search opportunities", family: FamilyOpportunities, method: http.MethodGet,
		path: "/opportunities/search", query: url.Values{"location_id": {c.location}, "contact_id": {contactID},
			"status": {"all"}, "limit": {opportunitiesMost}}}, "opportunities")
	if err != nil {
		return nil, err
	}
	found := make([]Opportunity, 0, len(rows))
	for _, row := range rows {
		o := Opportunity{ID: row.id("id", "_id"), PipelineID: row.id("pipelineId"), StageID: row.id("pipelineStageId", "pipelineStageUId"),
			Status: strings.ToLower(row.text("status")), ContactID: firstText(row.id("contactId"), row.child("contact").id("id")),
			ChangedAt: row.time("lastStageChangeAt", "lastStatusChangeAt", "updatedAt", "createdAt")}
		if at := row.time("lastStatusChangeAt"); at.After(o.ChangedAt) {
			o.ChangedAt = at
		}
		if o.ID != "" && (o.ContactID == "" || o.ContactID == contactID) {
			found = append(found, o)
		}
	}
	return found, nil
}

// Pipelines returns the location's pipelines, which give stages their names.
func (c *Client) Pipelines(ctx context.Context) ([]Pipeline, error) {
	_, rows, err := c.rows(ctx, request{operation: "list pipelines", family: FamilyOpportunities, method: http.MethodGet,
		path: "/opportunities/pipelines", query: url.Values{"locationId": {c.location}}}, "pipelines")
	if err != nil {
		return nil, err
	}
	pipelines := make([]Pipeline, 0, len(rows))
	for _, row := range rows {
		p := Pipeline{ID: row.id("id", "_id"), Name: row.text("name"), Stages: map[string]string{}}
		for _, stage := range row.list("stages") {
			p.Stages[stage.id("id", "_id")] = stage.text("name")
		}
		pipelines = append(pipelines, p)
	}
	return pipelines, nil
}
