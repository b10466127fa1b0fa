package app

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/retention"
	"github.com/df-middleware/dfm/internal/store"
)

// retention reads how long things are kept.
func (s *settings) retention() retention.Policy {
	const payloads, history = "DFM_RETENTION_PAYLOAD_DAYS", "DFM_RETENTION_HISTORY_DAYS"
	usual := s.days(payloads, retention.DefaultPayloads, 24*time.Hour)
	p := retention.Policy{
		Payloads: map[df.Source]time.Duration{},
		History:  s.days(history, retention.DefaultHistory, retention.LeastHistory),
		Records:  s.days("DFM_RETENTION_RECORD_DAYS", retention.LeastRecords, retention.LeastRecords),
	}
	for _, source := range []df.Source{df.SourceGHL, df.SourceAloware, df.SourceTexting, df.SourceBroadcast} {
		p.Payloads[source] = s.days(payloads+"_"+strings.ToUpper(string(source)), usual, 24*time.Hour)
		if p.History > 0 && p.Payloads[source] > p.History {
			s.wrong(history, "must not be shorter than what is kept of payloads")
		}
	}
	return p
}

// days reads a number of days; 0 is for ever.
func (s *settings) days(name string, otherwise, least time.Duration) time.Duration {
	const day = 24 * time.Hour
	n := s.number(name, int(otherwise/day), 0, 36_500)
	if n > 0 && time.Duration(n)*day < least {
		s.wrong(name, "must be at least "+strconv.Itoa(int(least/day))+" days, or 0 to keep for ever")
	}
	return time.Duration(n) * day
}

// retentionPause is how long others have their turn between two batches.
const retentionPause = 20 * time.Millisecond

// forget empties and deletes what is too old. What one run has no time for is
// left to the next.
func (a *App) forget(ctx context.Context) error {
	sweeper := retention.Sweeper{Store: a.store, Policy: a.config.Retention, Clock: a.clock, Pause: func(ctx context.Context) error {
		select {
		case <-time.After(retentionPause):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	swept, err := sweeper.Sweep(ctx)
	if len(swept) > 0 {
		a.log.Info("what was too old was forgotten", "rows", swept)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

func eraser(s *store.Store, clock df.Clock) *retention.Eraser {
	return &retention.Eraser{Store: s, Clock: clock, Random: rand.Reader}
}

// registerErasure adds the erasure of a person.
func (a *App) registerErasure(mux *routes, admin func(http.Handler) http.Handler) {
	const pattern = "POST /api/admin/people/{id}/erase"
	mux.Handle(pattern, admin(a.answering(pattern, a.erasePerson)))
}

// erasePerson counts what an erasure would come to, or does it: dryRun is the
// default, and confirm must repeat the person's id.
func (a *App) erasePerson(r *http.Request) (any, error) {
	var in struct {
		DryRun  *bool  `json:"dryRun"`
		Confirm string `json:"confirm"`
		Reason  string `json:"reason"`
	}
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	ctx, id := r.Context(), r.PathValue("id")
	if in.DryRun == nil || *in.DryRun {
		found, err := eraser(a.store, a.clock).Count(ctx, id)
		return single(map[string]any{"dryRun": true, "erasure": found}), err
	}
	done, err := a.erase(ctx, id, in.Confirm, in.Reason)
	return single(map[string]any{"dryRun": false, "erasure": done}), err
}

// erase erases a person whose id was repeated.
func (a *App) erase(ctx context.Context, id, confirm, reason string) (retention.Erasure, error) {
	if strings.TrimSpace(confirm) != id {
		return retention.Erasure{}, badRequest("confirm must be the id of the person: what is erased cannot be brought back")
	}
	return eraser(a.store, a.clock).Erase(ctx, id, auth.Actor(ctx), reason)
}

// ErasePerson erases a person, or with dry only counts. It opens the database of
// the settings.
func ErasePerson(ctx context.Context, config Config, options Options, id, reason string, dry bool) (result retention.Erasure, err error) {
	err = withStore(ctx, config, options, func(db *store.Store) error {
		if dry {
			result, err = eraser(db, options.Clock).Count(ctx, id)
		} else {
			result, err = eraser(db, options.Clock).Erase(ctx, id, auth.Actor(ctx), reason)
		}
		return err
	})
	return result, err
}

// withStore opens the database of the settings for one command.
func withStore(ctx context.Context, config Config, options Options, do func(*store.Store) error) (err error) {
	db, err := OpenStore(ctx, config, options.Log)
	if err != nil {
		return err
	}
	defer func() {
		if closing := db.Close(); err == nil {
			err = closing
		}
	}()
	if err := db.SchemaReady(ctx); err != nil {
		return err
	}
	return do(db)
}
