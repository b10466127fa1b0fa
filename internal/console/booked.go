package console

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/appointments"
	"github.com/df-middleware/dfm/internal/store"
)

// bookedView is an appointment or an opportunity on a person's timeline.
type bookedView struct {
	ID      string             `json:"id"`
	Kind    string             `json:"kind"`
	Status  string             `json:"status"`
	Title   string             `json:"title"`
	Start   *time.Time         `json:"start"`
	Stage   string             `json:"stage,omitempty"`
	History []appointments.Act `json:"history"`
}

// booked lists the person's appointments and opportunities, each where it last
// changed.
func (s *Server) booked(ctx context.Context, personID string) ([]timelineEntry, error) {
	var entries []timelineEntry
	for _, kind := range []appointments.Kind{appointments.Appointment, appointments.Opportunity} {
		items, err := s.Store.Items(ctx, store.ItemFilter{Kind: string(kind), PersonID: personID, Limit: timelineMost})
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			var told []appointments.Telling
			if err := json.Unmarshal([]byte(item.Told), &told); err != nil {
				return nil, fmt.Errorf("read what was told of an %s: %w", kind, err)
			}
			state := appointments.StateOf(told)
			view := bookedView{ID: item.ID, Kind: item.Kind, Status: item.Standing, Title: state.Get(appointments.Title),
				Start: optional(item.StartsAt), Stage: state.Get(appointments.Stage), History: appointments.History(kind, told)}
			entries = append(entries, timelineEntry{At: item.ChangedAt, Kind: item.Kind, Booked: &view})
		}
	}
	return entries, nil
}
