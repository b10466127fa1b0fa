package console

import (
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

type syncView struct {
	ID            string       `json:"id"`
	Direction     df.Direction `json:"direction"`
	EntityType    string       `json:"entityType"`
	EntityID      string       `json:"entityId"`
	SourceID      string       `json:"sourceId"`
	TargetID      string       `json:"targetId,omitempty"`
	Status        string       `json:"status"`
	StartedAt     time.Time    `json:"startedAt"`
	FinishedAt    *time.Time   `json:"finishedAt"`
	Message       string       `json:"message,omitempty"`
	CorrelationID string       `json:"correlationId,omitempty"`
	PersonID      string       `json:"personId,omitempty"`
	Fields        string       `json:"fields,omitempty"`
}

func viewSyncs(rows []store.SyncRow) []syncView {
	views := make([]syncView, len(rows))
	for i, row := range rows {
		views[i] = syncView{
			ID: row.ID, Direction: row.Direction, EntityType: row.EntityType, EntityID: row.EntityID,
			SourceID: row.SourceID, TargetID: row.TargetID, Status: row.Status, StartedAt: row.StartedAt,
			FinishedAt: optional(row.FinishedAt), Message: row.Message, CorrelationID: row.CorrelationID,
			PersonID: row.PersonID, Fields: row.Fields,
		}
	}
	return views
}

func (s *Server) listSyncLog(r *http.Request) (any, error) {
	q := r.URL.Query()
	filter := store.SyncFilter{
		Direction: df.Direction(q.Get("direction")), Status: q.Get("status"), EntityID: q.Get("entityId"),
		PersonID: q.Get("personId"), CorrelationID: q.Get("correlationId"),
	}
	err := oneOf(r, "direction", df.Directions()...)
	if err != nil {
		return nil, err
	}
	if err := oneOf(r, "status", "success", "error", "skipped"); err != nil {
		return nil, err
	}
	if filter.Limit, err = limitOf(r); err != nil {
		return nil, err
	}
	if filter.Before, err = cursorOf(r); err != nil {
		return nil, err
	}
	rows, err := s.Store.SyncLog(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	var last int64
	if len(rows) > 0 {
		last = rows[len(rows)-1].Seq
	}
	return page{viewSyncs(rows), nextCursor(len(rows) == filter.Limit, last)}, nil
}
