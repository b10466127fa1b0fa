package effects

import (
	"context"
	"errors"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// DefaultSettle is how long a call without an answer may still be under way. It
// is longer than any one call lasts.
const DefaultSettle = 30 * time.Second

// saveTime is how long the ledger is waited for once a call was made: what was
// sent was sent, whoever has stopped waiting for us meanwhile.
const saveTime = 5 * time.Second

// Runner brings effects about. Everything but Settle is required.
type Runner struct {
	Store *store.Store
	Clock df.Clock
	// Settle is how long a call without an answer may still be under way, so
	// that looking for what it did would prove nothing. Zero means
	// DefaultSettle.
	Settle time.Duration
}

// Once is something that must happen once, at an upstream that can be asked
// whether it has.
type Once struct {
	Key      string // names it for ever
	Kind     string // for people
	PersonID string
	EventID  string // of the event that first asked for it
	// Call makes it happen and returns the id that the upstream gave it.
	Call func(ctx context.Context) (id string, err error)
	// Look asks the upstream whether it has happened, and returns "" when not.
	Look func(ctx context.Context) (id string, err error)
	// Keep writes the id down, in the transaction that settles the effect.
	Keep func(ctx context.Context, tx store.Tx, id string) error
}

// Do brings it about unless it has happened already. Its error is that of the
// call, to be judged by df.OutcomeOf, or people.ErrLeaseLost; after any error it
// may be asked for again.
func (r Runner) Do(ctx context.Context, lease people.Lease, o Once) error {
	e, err := store.EffectByKey(ctx, r.Store, o.Key)
	if errors.Is(err, store.ErrNotFound) {
		e, err = store.Effect{Key: o.Key, Kind: o.Kind, PersonID: o.PersonID, EventID: o.EventID, Request: "{}"}, nil
	}
	if err != nil {
		return err
	}
	switch State(e.State) {
	case Done:
		return nil
	case Claimed, Unknown:
		if there, err := r.lookUp(ctx, lease, &e, o); there || err != nil {
			return err
		}
	}
	e.Attempts++
	if err := r.move(ctx, lease, &e, Claim, nil); err != nil {
		return err
	}
	id, called := o.Call(ctx)
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	if called == nil {
		e.Error = ""
		return r.move(saving, lease, &e, Succeed, keeping(o, id))
	}
	e.Error = Safe(called)
	if err := r.move(saving, lease, &e, Ended(called), nil); err != nil {
		return err
	}
	return called
}

// lookUp finds out whether an earlier try took effect.
func (r Runner) lookUp(ctx context.Context, lease people.Lease, e *store.Effect, o Once) (there bool, err error) {
	settle := r.Settle
	if settle == 0 {
		settle = DefaultSettle
	}
	if at := e.UpdatedAt.Add(settle); r.Clock().Before(at) {
		return false, &df.CallError{Upstream: "effects", Operation: o.Kind, Outcome: df.RetryLater, RetryAt: at,
			Code: df.CodeUnavailable, Message: "an earlier try may still be under way"}
	}
	if State(e.State) == Claimed {
		if err := r.move(ctx, lease, e, Orphan, nil); err != nil {
			return false, err
		}
	}
	id, err := o.Look(ctx)
	if err != nil {
		return false, err
	}
	if id == "" {
		return false, r.move(ctx, lease, e, Absent, nil)
	}
	return true, r.move(ctx, lease, e, Found, keeping(o, id))
}

func keeping(o Once, id string) func(context.Context, store.Tx) error {
	return func(ctx context.Context, tx store.Tx) error { return o.Keep(ctx, tx, id) }
}

// move brings the effect one step forward, under the lane's lease, with what is
// kept along with it.
func (r Runner) move(ctx context.Context, lease people.Lease, e *store.Effect, step Step, along func(context.Context, store.Tx) error) error {
	from := State(e.State)
	to, err := Next(from, step)
	if err != nil {
		return err
	}
	next := *e
	next.State, next.UpdatedAt = string(to), r.Clock()
	if from == New {
		next.CreatedAt = next.UpdatedAt
	}
	err = people.FromStore(r.Store.InTx(ctx, func(tx store.Tx) error {
		if lease != (people.Lease{}) {
			if err := store.Guard(ctx, tx, store.Lease(lease)); err != nil {
				return err
			}
		}
		if err := store.MoveEffect(ctx, tx, next, string(from)); err != nil || along == nil {
			return err
		}
		return along(ctx, tx)
	}))
	if err == nil {
		*e = next
	}
	return err
}
