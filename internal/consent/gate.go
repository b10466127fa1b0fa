package consent

import (
	"context"
	"errors"
	"net/http"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Registry tells the current state of a phone number. OptOutOf returns
// store.ErrNotFound for a number that never opted out.
type Registry interface {
	OptOutOf(ctx context.Context, phone string) (store.OptOut, error)
}

// Gate stands in front of every outbound text.
type Gate struct{ Registry Registry }

// ErrOptedOut refuses a text to somebody who said stop.
var ErrOptedOut = &df.Error{Code: "OPTED_OUT", Message: "this number has opted out of texts", Status: http.StatusForbidden}

// MayText returns nil when a text may go to the number, in E.164. It returns
// ErrOptedOut for one that opted out, and CONSENT_UNAVAILABLE when that cannot
// be found out; nothing is sent then.
func (g Gate) MayText(ctx context.Context, to string) error {
	state, err := g.Registry.OptOutOf(ctx, to)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return &df.Error{Code: "CONSENT_UNAVAILABLE", Message: "consent cannot be checked now, so nothing is sent",
			Status: http.StatusServiceUnavailable, Err: err}
	case state.Status != "opted_in":
		return ErrOptedOut
	}
	return nil
}
