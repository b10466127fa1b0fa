package messages

import (
	"context"
	"errors"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// Ledger keeps effects and messages. Every Write is one transaction under the
// lane's lease.
type Ledger interface {
	// Effect returns an effect, and one in state New when there is none.
	Effect(ctx context.Context, key string) (store.Effect, error)
	// Message returns the message with one of the ids, or false.
	Message(ctx context.Context, key store.MessageKey) (store.Message, bool, error)
	// Sent returns the oldest text that we sent to the number with these words
	// since the given time and that no report was about yet, or false.
	Sent(ctx context.Context, to df.Phone, bodyHash string, since time.Time) (store.Message, bool, error)
	// WrittenTo returns the number of ours that the customer wrote to last.
	WrittenTo(ctx context.Context, customer df.Phone) (df.Phone, error)
	// Write keeps an entry, all or nothing. It fails with people.ErrLeaseLost
	// when the lane has another owner by now.
	Write(ctx context.Context, lease people.Lease, entry Entry) error

	// Tellings takes messages whose state GHL is to be told, and Told gives
	// one back; seen is the state that was told.
	Tellings(ctx context.Context, now, until time.Time, limit int) ([]store.Message, error)
	Told(ctx context.Context, m store.Message, seen string, issue *store.Issue) error
}

// Entry is what one step leaves behind. Its parts may be missing.
type Entry struct {
	Effect  *store.Effect
	From    effects.State // of Effect, before
	Message *store.Message
	Log     []store.SyncRow
}

// Stored is the Ledger of production: the store's tables.
type Stored struct{ Store *store.Store }

var _ Ledger = Stored{}

// Effect implements Ledger.
func (s Stored) Effect(ctx context.Context, key string) (store.Effect, error) {
	e, err := store.EffectByKey(ctx, s.Store, key)
	if errors.Is(err, store.ErrNotFound) {
		return store.Effect{Key: key}, nil
	}
	return e, err
}

// Message implements Ledger.
func (s Stored) Message(ctx context.Context, key store.MessageKey) (store.Message, bool, error) {
	return found(store.FindMessage(ctx, s.Store, key))
}

// Sent implements Ledger.
func (s Stored) Sent(ctx context.Context, to df.Phone, bodyHash string, since time.Time) (store.Message, bool, error) {
	return found(store.SentMessage(ctx, s.Store, to, bodyHash, since))
}

func found(m store.Message, err error) (store.Message, bool, error) {
	if errors.Is(err, store.ErrNotFound) {
		return m, false, nil
	}
	return m, err == nil, err
}

// WrittenTo implements Ledger.
func (s Stored) WrittenTo(ctx context.Context, customer df.Phone) (df.Phone, error) {
	return store.LastWrittenTo(ctx, s.Store, customer)
}

// Write implements Ledger.
func (s Stored) Write(ctx context.Context, lease people.Lease, entry Entry) error {
	return people.FromStore(s.Store.InTx(ctx, func(tx store.Tx) error {
		if lease != (people.Lease{}) {
			if err := store.Guard(ctx, tx, store.Lease(lease)); err != nil {
				return err
			}
		}
		if entry.Effect != nil {
			if err := store.MoveEffect(ctx, tx, *entry.Effect, string(entry.From)); err != nil {
				return err
			}
		}
		if entry.Message != nil {
			if err := store.SaveMessage(ctx, tx, *entry.Message); err != nil {
				return err
			}
		}
		return store.InsertSync(ctx, tx, entry.Log...)
	}))
}

// Tellings implements Ledger.
func (s Stored) Tellings(ctx context.Context, now, until time.Time, limit int) ([]store.Message, error) {
	return s.Store.ClaimTellings(ctx, now, until, limit)
}

// Told implements Ledger.
func (s Stored) Told(ctx context.Context, m store.Message, seen string, issue *store.Issue) error {
	return s.Store.InTx(ctx, func(tx store.Tx) error {
		if err := store.FinishTelling(ctx, tx, m, seen); err != nil {
			return err
		}
		switch {
		case m.PersonID == "":
			return nil
		case issue != nil:
			return store.PutIssue(ctx, tx, *issue)
		case m.TellError == "":
			return store.EndIssue(ctx, tx, m.PersonID, tellTopic)
		}
		return nil
	})
}
