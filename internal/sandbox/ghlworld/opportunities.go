package ghlworld

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Pipeline is a pipeline of the location.
type Pipeline struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Stages []Stage `json:"stages"`
}

// Stage is a stage of a pipeline. Its id is a UUID.
type Stage struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Opportunity is one deal.
type Opportunity struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	ContactID  string    `json:"contactId"`
	PipelineID string    `json:"pipelineId"`
	StageID    string    `json:"pipelineStageId"`
	Status     string    `json:"status"` // open, won, lost, abandoned
	CreatedAt  time.Time `json:"createdAt"`
	UpdatedAt  time.Time `json:"updatedAt"`
	StageAt    time.Time `json:"lastStageChangeAt"`
	StatusAt   time.Time `json:"lastStatusChangeAt"`
}

// ErrNoOpportunity is returned for opportunities and stages that are not there.
var ErrNoOpportunity = errors.New("no such opportunity or stage")

func (o *Opportunity) view(w *World) map[string]any {
	return map[string]any{
		"id": o.ID, "name": o.Name, "monetaryValue": 0, "pipelineId": o.PipelineID, "pipelineStageId": o.StageID,
		"pipelineStageUId": o.StageID, "assignedTo": "", "status": o.Status, "source": "", "contactId": o.ContactID,
		"locationId": w.config.LocationID, "createdAt": stage.ISO(o.CreatedAt), "updatedAt": stage.ISO(o.UpdatedAt),
		"lastStageChangeAt": stage.ISO(o.StageAt), "lastStatusChangeAt": stage.ISO(o.StatusAt),
		"contact": map[string]any{"id": o.ContactID, "tags": []string{}},
	}
}

// stageID finds a stage of any pipeline by its name.
func (w *World) stageID(name string) (pipeline, id string, ok bool) {
	for _, p := range w.config.Pipelines {
		for _, s := range p.Stages {
			if s.Name == name {
				return p.ID, s.ID, true
			}
		}
	}
	return "", "", false
}

func (w *World) opportunityEvent(event string, o *Opportunity) {
	w.emit(event, map[string]any{"id": o.ID, "name": o.Name, "contactId": o.ContactID, "pipelineId": o.PipelineID,
		"pipelineStageId": o.StageID, "status": o.Status, "dateAdded": stage.ISO(o.CreatedAt), "source": "", "assignedTo": ""})
}

// OpenOpportunity is a user who opens an opportunity for a contact, in the stage
// with the name.
func (w *World) OpenOpportunity(contactID, stageName string) (Opportunity, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	pipeline, id, ok := w.stageID(stageName)
	if !ok || w.contacts[contactID] == nil {
		return Opportunity{}, fmt.Errorf("open opportunity: %w", ErrNoOpportunity)
	}
	now := w.Now()
	o := &Opportunity{ID: w.ID(20), Name: "Deal", ContactID: contactID, PipelineID: pipeline, StageID: id, Status: "open",
		CreatedAt: now, UpdatedAt: now, StageAt: now, StatusAt: now}
	w.opportunities = append(w.opportunities, o)
	w.opportunityEvent("OpportunityCreate", o)
	return *o, nil
}

// MoveOpportunity is a user who drags an opportunity to another stage.
func (w *World) MoveOpportunity(opportunityID, stageName string) error {
	pipeline, id, ok := w.stageID(stageName)
	if !ok {
		return fmt.Errorf("move opportunity: %w", ErrNoOpportunity)
	}
	return w.changeOpportunity(opportunityID, "OpportunityStageUpdate", func(o *Opportunity) {
		o.PipelineID, o.StageID, o.StageAt = pipeline, id, w.Now()
	})
}

// SetOpportunityStatus is a user who wins, loses, abandons or reopens one.
func (w *World) SetOpportunityStatus(opportunityID, status string) error {
	return w.changeOpportunity(opportunityID, "OpportunityStatusUpdate", func(o *Opportunity) { o.Status, o.StatusAt = status, w.Now() })
}

func (w *World) changeOpportunity(id, event string, change func(*Opportunity)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.opportunities, func(o *Opportunity) bool { return o.ID == id })
	if i < 0 {
		return fmt.Errorf("change opportunity: %w", ErrNoOpportunity)
	}
	change(w.opportunities[i])
	w.opportunities[i].UpdatedAt = w.Now()
	w.opportunityEvent(event, w.opportunities[i])
	return nil
}

// searchOpportunities takes its filters in snake case; others are ignored, as
// are those that it does not know.
func (w *World) searchOpportunities(c *call) (int, any, *failure) {
	query := c.r.URL.Query()
	if f := w.reach(c, query.Get("location_id")); f != nil {
		return 0, nil, f
	}
	limit := number(query.Get("limit"), 20)
	if limit > 100 {
		return 0, nil, invalid("limit must not be greater than 100")
	}
	out := []map[string]any{}
	for _, o := range w.opportunities {
		status := query.Get("status")
		if wanted(query.Get("contact_id"), o.ContactID) && wanted(query.Get("pipeline_id"), o.PipelineID) &&
			wanted(query.Get("pipeline_stage_id"), o.StageID) && (status == "all" || wanted(status, o.Status)) {
			out = append(out, o.view(w))
		}
	}
	return http.StatusOK, map[string]any{"opportunities": out[:min(len(out), limit)], "meta": map[string]any{"total": len(out)}}, nil
}

func (w *World) listPipelines(c *call) (int, any, *failure) {
	if f := w.reach(c, c.r.URL.Query().Get("locationId")); f != nil {
		return 0, nil, f
	}
	return http.StatusOK, map[string]any{"pipelines": w.config.Pipelines}, nil
}
