package alerts

import (
	"context"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// The things that an operator does to an alert.
const (
	ActionAcknowledge = "ack"
	ActionResolve     = "resolve"
)

// Change does to an alert what an operator decided, within the transaction that
// also writes the audit log. It returns store.ErrNotFound for an unknown alert
// and store.ErrState for one that is over.
func Change(ctx context.Context, tx store.Tx, id, action, by, note string, now time.Time) (store.Alert, error) {
	a, err := store.AlertOf(ctx, tx, id)
	if err != nil {
		return a, err
	}
	if a.State == Resolved {
		return a, store.ErrState
	}
	switch action {
	case ActionAcknowledge:
		a = Acknowledge(a, by, note, now)
	case ActionResolve:
		a = Resolve(a, by, note, now)
	default:
		return a, &df.Error{Code: "INVALID_REQUEST", Message: "an alert can be acknowledged or resolved", Status: http.StatusBadRequest}
	}
	return a, store.UpdateAlert(ctx, tx, a)
}
