package broadcasts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// GHL is what the room needs of GoHighLevel. Every error is, or wraps, a
// *df.CallError.
type GHL interface {
	// FindRecord returns the id of the broadcast's record, "" when there is none.
	FindRecord(ctx context.Context, broadcastID string) (recordID string, err error)
	CreateRecord(ctx context.Context, properties map[string]any) (recordID string, err error)
	// UpdateRecord may be repeated; df.CodeNotFound means that it is gone.
	UpdateRecord(ctx context.Context, recordID string, properties map[string]any) error
}

// Source tells how a broadcast went by now. Its errors are *df.CallError.
type Source interface {
	Figures(ctx context.Context, broadcastID string) (Figures, error)
}

// Announcement is one event about a broadcast.
type Announcement struct {
	EventID string
	At      time.Time // by Verity's clock when it was true, else when we heard
	Heard   time.Time // by ours when we heard
	// Figures are those that it carries, if it does.
	Figures *Figures
}

// Desk works broadcasts. GHL and Verity may be missing.
type Desk struct {
	Store   *store.Store
	Effects effects.Runner
	GHL     GHL
	Verity  Source
	Clock   df.Clock
	NewID   func() string
}

// Work takes in what was announced about one broadcast since the last time, all
// at once, and brings its record in GHL up to date. Nothing announced means that
// the figures are asked for anew. An error means that the lane was lost.
func (d *Desk) Work(ctx context.Context, lease people.Lease, id string, announced []Announcement) (effects.Outcome, error) {
	b, err := store.BroadcastByID(ctx, d.Store, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return effects.Trouble(err)
	}
	if errors.Is(err, store.ErrNotFound) {
		b = store.Broadcast{ID: id, CreatedAt: d.Clock()}
	}
	figures, fresh, err := d.figures(ctx, &b, announced)
	if err != nil {
		return effects.Trouble(err)
	}
	b.UpdatedAt = d.Clock()
	if err := d.save(ctx, lease, b); err != nil {
		return effects.Trouble(err)
	}
	hash, err := hashOf(Record(id, figures))
	if err != nil {
		return effects.Trouble(err)
	}
	outcome := effects.Outcome{Status: df.Done}
	switch {
	case !fresh && hash == b.RecordHash: // else a turn before this could not write the record
		outcome = effects.Skipped("superseded: newer figures are known")
	case d.GHL == nil:
		outcome = effects.Skipped("GHL is not configured; the figures are kept")
	default:
		eventID := ""
		if len(announced) > 0 {
			eventID = announced[len(announced)-1].EventID
		}
		if err := d.show(ctx, lease, &b, figures, eventID); err != nil {
			return effects.Trouble(err)
		}
	}
	b.Events, b.UpdatedAt = b.Events+int64(len(announced)), d.Clock() // counted where they end, not at every try
	if err := d.save(ctx, lease, b); err != nil {
		return effects.Trouble(err)
	}
	return outcome, nil
}

// The origins of figures.
const (
	fromPayload = "payload" // as of Verity's clock
	fromVerity  = "verity"  // as of ours, when we asked
)

// figures finds the newest figures. fresh is false when those that are known are
// newer than everything that was announced; they are returned then.
func (d *Desk) figures(ctx context.Context, b *store.Broadcast, announced []Announcement) (f Figures, fresh bool, err error) {
	newest, carried := best(announced)
	if d.superseded(*b, announced, newest, carried) {
		if err := json.Unmarshal([]byte(b.Figures), &f); err != nil {
			return f, false, fmt.Errorf("read a broadcast's figures: %w", err)
		}
		return f, false, nil
	}
	origin := fromPayload
	switch {
	case carried != nil && (d.Verity == nil || carried == newest && newer(*b, *carried, announced)):
		f = *carried.Figures
		b.AsOf = carried.At
	case d.Verity == nil:
		return f, false, &df.CallError{Upstream: "verity", Operation: "read broadcast analytics", Outcome: df.Refused,
			Code: df.CodeUnconfigured, Message: "the event carries no figures, and no token of ours is configured to ask Verity for them"}
	default:
		origin = fromVerity
		asked := d.Clock()
		if f, err = d.Verity.Figures(ctx, b.ID); err != nil {
			return f, false, err
		}
		b.AsOf = asked
	}
	text, err := json.Marshal(f)
	if err != nil {
		return f, false, fmt.Errorf("keep a broadcast's figures: %w", err)
	}
	b.Figures, b.Origin = string(text), origin
	return f, true, nil
}

// best finds the newest announcement and the newest that carries figures.
func best(announced []Announcement) (newest, carried *Announcement) {
	for i, a := range announced {
		// Of two at once, one that carries none means that Verity knows more.
		if newest == nil || a.At.After(newest.At) || a.At.Equal(newest.At) && newest.Figures != nil {
			newest = &announced[i]
		}
		if a.Figures != nil && (carried == nil || !a.At.Before(carried.At)) {
			carried = &announced[i]
		}
	}
	return newest, carried
}

// superseded reports whether what is known is newer than all that was announced.
// Verity's answer is, if we asked for it after we had heard: both times are by
// our clock. Otherwise the clocks of two systems say little, so Verity is asked
// when it can be; when it cannot, they are all there is.
func (d *Desk) superseded(b store.Broadcast, announced []Announcement, newest, carried *Announcement) bool {
	if b.Figures == "" || newest == nil {
		return false
	}
	if b.Origin == fromVerity && !slices.ContainsFunc(announced, func(a Announcement) bool { return a.Heard.After(b.AsOf) }) {
		return true
	}
	if d.Verity != nil {
		return false
	}
	if carried != nil {
		return carried.At.Before(b.AsOf)
	}
	return newest.At.Before(b.AsOf)
}

// newer reports whether an announcement is certainly not older than what is
// known or was announced beside it: all those times are by Verity's clock, and
// credible. One that was cut to the time we heard it says that Verity's clock is
// ahead, and no longer how the others stand to it.
func newer(b store.Broadcast, a Announcement, announced []Announcement) bool {
	if slices.ContainsFunc(announced, func(other Announcement) bool { return !other.At.Before(other.Heard) }) {
		return false
	}
	return b.Figures == "" || b.Origin == fromPayload && !a.At.Before(b.AsOf)
}

// show brings the record in GHL up to date, making it if need be. The caller keeps
// what b says of it then.
func (d *Desk) show(ctx context.Context, lease people.Lease, b *store.Broadcast, f Figures, eventID string) error {
	properties := Record(b.ID, f)
	hash, err := hashOf(properties)
	if err != nil || b.RecordHash == hash && b.RecordID != "" {
		return err
	}
	if b.RecordID != "" {
		err := d.update(ctx, b, properties, hash)
		if !df.IsCode(err, df.CodeNotFound) {
			return err
		}
		b.RecordID = "" // somebody deleted it; the broadcast is still worth a record
	}
	written, number := "", b.Records+1
	err = d.Effects.Do(ctx, lease, effects.Once{
		Key: "broadcast_record:" + b.ID + ":" + strconv.Itoa(number), Kind: "broadcast_record", EventID: eventID,
		Call: func(ctx context.Context) (string, error) {
			// Another system may have made it, or we before our database
			// was lost.
			id, err := d.GHL.FindRecord(ctx, b.ID)
			if id != "" || err != nil {
				return id, err
			}
			if id, err = d.GHL.CreateRecord(ctx, properties); err == nil {
				written = hash
			}
			return id, err
		},
		Look: func(ctx context.Context) (string, error) { return d.GHL.FindRecord(ctx, b.ID) },
		Keep: func(ctx context.Context, tx store.Tx, id string) error {
			b.RecordID, b.RecordHash, b.Records = id, written, number
			if err := store.SaveBroadcast(ctx, tx, *b); err != nil {
				return err
			}
			return store.InsertSync(ctx, tx, d.row(*b, eventID))
		},
	})
	if err != nil || b.RecordHash == hash {
		return err
	}
	return d.update(ctx, b, properties, hash)
}

func (d *Desk) update(ctx context.Context, b *store.Broadcast, properties map[string]any, hash string) error {
	err := d.GHL.UpdateRecord(ctx, b.RecordID, properties)
	if err == nil {
		b.RecordHash = hash
	}
	return err
}

func hashOf(properties map[string]any) (string, error) {
	text, err := json.Marshal(properties) // keys are sorted
	if err != nil {
		return "", fmt.Errorf("write a broadcast's record: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}

func (d *Desk) save(ctx context.Context, lease people.Lease, b store.Broadcast) error {
	return people.FromStore(d.Store.InTx(ctx, func(tx store.Tx) error {
		if lease != (people.Lease{}) {
			if err := store.Guard(ctx, tx, store.Lease(lease)); err != nil {
				return err
			}
		}
		return store.SaveBroadcast(ctx, tx, b)
	}))
}

func (d *Desk) row(b store.Broadcast, eventID string) store.SyncRow {
	now := d.Clock()
	return store.SyncRow{ID: d.NewID(), Direction: df.VerityToGHL, EntityType: "broadcast", EntityID: b.ID, SourceID: b.ID,
		TargetID: b.RecordID, Status: "success", StartedAt: now, FinishedAt: now, CorrelationID: eventID}
}
