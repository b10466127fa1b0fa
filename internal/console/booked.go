package console

import (
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

// viewBooked says how an appointment or opportunity stands, and its history.
func viewBooked(item store.Item) (bookedView, error) {
	kind := appointments.Kind(item.Kind)
	var told []appointments.Telling
	if err := json.Unmarshal([]byte(item.Told), &told); err != nil {
		return bookedView{}, fmt.Errorf("read what was told of an %s: %w", kind, err)
	}
	state := appointments.StateOf(told)
	return bookedView{ID: item.ID, Kind: item.Kind, Status: item.Standing, Title: state.Get(appointments.Title),
		Start: optional(item.StartsAt), Stage: state.Get(appointments.Stage), History: appointments.History(kind, told)}, nil
}
