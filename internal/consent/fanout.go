package consent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// The states of a target's row. Pending waits for its first try, Failed for the
// next one; Absent found nobody with the number at that system, and is tried
// again when Reopen is called and now and then; Done is confirmed. A target is
// never given up.
const (
	StatePending = "pending"
	StateFailed  = "failed"
	StateAbsent  = "absent"
	StateDone    = "done"
)

const (
	claimTime   = 2 * time.Minute // after which another worker may try as well
	firstRetry  = 5 * time.Second
	maxRetry    = time.Hour
	absentRetry = 6 * time.Hour
)

// Fan brings every other system in line with a number's standing. Each target
// has a row of its own with its own tries; telling a target twice is the same as
// once. Any number of instances may run it.
type Fan struct {
	Store    *store.Store
	Recorder *Recorder
	GHL      GHLTarget     // nil when not configured
	Aloware  AlowareTarget // nil when not configured
	Clock    df.Clock
	Log      *slog.Logger
}

// FanOut tells every target of the number that is due now. It returns an error
// only when our own database fails; what a target answers is kept in its row.
func (f *Fan) FanOut(ctx context.Context, phone df.Phone) error {
	for _, target := range Targets(true, true) {
		now := f.Clock()
		row, err := f.Store.ClaimFanOut(ctx, string(phone), string(target), now, now.Add(claimTime))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := f.try(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// FanOutPerson tells every target of all numbers that a person has or had.
func (f *Fan) FanOutPerson(ctx context.Context, personID string) error {
	phones, err := Book{f.Store}.PhonesOf(ctx, personID)
	if err != nil {
		return err
	}
	for _, phone := range phones {
		if err := f.FanOut(ctx, phone); err != nil {
			return err
		}
	}
	return nil
}

// Sweep tells the targets of at most limit numbers that are due, and returns how
// many numbers it worked on.
func (f *Fan) Sweep(ctx context.Context, limit int) (int, error) {
	phones, err := f.Store.DueFanOuts(ctx, f.Clock(), limit)
	if err != nil {
		return 0, err
	}
	for i, phone := range phones {
		if err := f.FanOut(ctx, df.Phone(phone)); err != nil {
			return i, err
		}
	}
	return len(phones), nil
}

// Reopen is to be called in the transaction that links a contact to a person:
// systems that had nobody with the number are told now that they have.
func Reopen(ctx context.Context, tx store.Tx, phone df.Phone, now time.Time) error {
	_, err := store.ReopenFanOut(ctx, tx, string(phone), now)
	return err
}

// Late is a target that somebody should be alerted about.
type Late struct {
	Phone     df.Phone
	Target    Target
	Since     time.Time
	Attempts  int
	LastError string
	Deadline  time.Time // the legal limit, without regard to holidays
}

// Late lists the targets that have not been told for longer than the policy
// allows, the longest wait first.
func (f *Fan) Late(ctx context.Context, limit int) ([]Late, error) {
	before := f.Clock().Add(-f.Recorder.Policy.alertAfter())
	rows, err := f.Store.FanOuts(ctx, store.FanOutFilter{OpenOnly: true, Before: before, Limit: limit})
	late := make([]Late, len(rows))
	for i, row := range rows {
		late[i] = Late{Phone: df.Phone(row.Phone), Target: Target(row.Target), Since: row.Since, Attempts: row.Attempts,
			LastError: row.LastError, Deadline: Deadline(row.Since, nil)}
	}
	return late, err
}

// try makes one attempt and writes down what became of it.
func (f *Fan) try(ctx context.Context, row store.FanOut) error {
	told, err := f.tell(ctx, df.Phone(row.Phone), Target(row.Target))
	if ctx.Err() != nil {
		return ctx.Err() // the claim runs out and somebody tries again
	}
	now := f.Clock()
	switch {
	case err != nil:
		row.State, row.LastError, row.NextTryAt = StateFailed, safe(err), f.retryAt(row.Attempts, err)
		f.Log.LogAttrs(ctx, slog.LevelWarn, "a system could not be told of a changed consent",
			slog.String("target", row.Target), slog.Any("phone", df.Phone(row.Phone)), slog.Int("attempt", row.Attempts),
			slog.String("error", row.LastError))
	case told == 0:
		row.State, row.LastError, row.NextTryAt = StateAbsent, "", now.Add(absentRetry)
	default:
		row.State, row.LastError, row.NextTryAt, row.ConfirmedAt = StateDone, "", now, now
	}
	err = f.Store.InTx(ctx, func(tx store.Tx) error { return store.FinishFanOut(ctx, tx, row) })
	if errors.Is(err, store.ErrStale) {
		return nil // asked anew meanwhile; that row is due already
	}
	return err
}

// retryAt doubles the pause with every try, up to an hour. What was refused
// waits the whole hour: only a person can mend it, and is alerted.
func (f *Fan) retryAt(attempts int, err error) time.Time {
	pause := maxRetry
	outcome, asked := df.OutcomeOf(err)
	if outcome != df.Refused {
		pause = min(firstRetry<<min(max(attempts-1, 0), 12), maxRetry)
	}
	return later(f.Clock().Add(pause), asked)
}

// safe returns the text of an error for the row: an upstream's is made for that,
// any other may hold anything.
func safe(err error) string {
	var call *df.CallError
	if errors.As(err, &call) {
		return call.Error()
	}
	return "something went wrong on our side"
}

// errStanding says that a contact showed a no that we had not heard: the number's
// standing is another one now, and the target is told again.
var errStanding = &df.CallError{Upstream: "consent", Operation: "fan out", Outcome: df.RetryLater,
	Code: "standing_changed", Message: "the contact showed an opt-out that was news"}

// tell brings one target in line and returns how many contacts it found.
func (f *Fan) tell(ctx context.Context, phone df.Phone, target Target) (int, error) {
	side := f.contacts(target.side())
	if side == nil {
		return 0, &df.CallError{Upstream: string(target.side()), Operation: "fan out", Outcome: df.RetryLater,
			Code: df.CodeUnconfigured}
	}
	refs, err := f.refs(ctx, side, target.side(), phone)
	if err != nil {
		return 0, err
	}
	told := 0
	var failed error
	for _, ref := range refs {
		there, err := f.tellRef(ctx, phone, target, ref)
		if there {
			told++
		}
		failed = errors.Join(failed, err) // the others are told all the same
	}
	return told, firstCall(failed)
}

// tellRef tells one contact and reports whether there is one: what is deleted
// between reading and writing is gone, and not a refusal that a person must mend.
func (f *Fan) tellRef(ctx context.Context, phone df.Phone, target Target, ref df.Ref) (there bool, err error) {
	side := f.contacts(target.side())
	contact, err := side.Read(ctx, ref)
	if err == nil {
		err = f.tellContact(ctx, phone, target, contact)
		if !df.IsCode(err, df.CodeNotFound) {
			return true, err
		}
		if _, now := side.Read(ctx, ref); !df.IsCode(now, df.CodeNotFound) {
			return true, err
		}
	}
	if df.IsCode(err, df.CodeNotFound) {
		return false, nil
	}
	return true, err
}

// firstCall takes one verdict out of several, a retryable one before a refusal.
func firstCall(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	all := joined.Unwrap()
	for _, one := range all {
		if outcome, _ := df.OutcomeOf(firstCall(one)); outcome != df.Refused {
			return firstCall(one)
		}
	}
	return firstCall(all[0])
}

// contacts returns nil, not a nil inside an interface, for a side that is not
// configured.
func (f *Fan) contacts(side df.Side) Contacts {
	switch {
	case side == df.SideGHL && f.GHL != nil:
		return f.GHL
	case side == df.SideAloware && f.Aloware != nil:
		return f.Aloware
	}
	return nil
}

// refs lists the contacts to tell: those of people who have or had the number,
// and whoever the side itself finds by it.
func (f *Fan) refs(ctx context.Context, side Contacts, name df.Side, phone df.Phone) ([]df.Ref, error) {
	mapped, err := store.PeopleByPhone(ctx, f.Store, phone)
	if err != nil {
		return nil, err
	}
	var refs []df.Ref
	for _, p := range mapped {
		ref := df.Ref{ID: p.GHLContactID, Phone: p.Phone}
		if name == df.SideAloware {
			ref.ID = p.AlowareContactID
		}
		if ref.ID != "" {
			refs = append(refs, ref)
		}
	}
	found, err := side.Find(ctx, phone, "")
	if err != nil && !df.IsCode(err, df.CodeNotFound) {
		return nil, err
	}
	for _, contact := range found {
		if !slices.ContainsFunc(refs, func(r df.Ref) bool { return r.ID == contact.ID }) {
			refs = append(refs, df.Ref{ID: contact.ID, Phone: phone})
		}
	}
	return refs, nil
}

// tellContact brings one contact in line with the standing as it is now. A no
// that the contact shows and that nobody told us is recorded first: what is
// taken back further down is only ever our own.
func (f *Fan) tellContact(ctx context.Context, phone df.Phone, target Target, contact df.Contact) error {
	side, number := target.side(), contact.Phone()
	if number == "" {
		number = phone
	}
	heard := Heard{Source: df.Source(side), HeardAt: f.Clock(),
		Notice: df.Notice{ContactID: contact.ID, Phone: number, Contact: &contact}}
	var done []Recorded
	var now Standing
	err := f.Store.InTx(ctx, func(tx store.Tx) (err error) {
		if now, err = standing(ctx, tx, phone); err != nil {
			return err
		}
		if err := forget(ctx, tx, side, contact.ID, now); err != nil {
			return err
		}
		done, err = f.Recorder.Hear(ctx, tx, []Heard{heard})
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("record what the contact shows: %w", err)
	case slices.ContainsFunc(done, func(r Recorded) bool { return r.Changed }):
		return errStanding
	}
	switch target {
	case GHLDND:
		return f.ghlDND(ctx, now, contact)
	case GHLTag:
		return f.ghlTags(ctx, now, contact)
	case AlowareDNC:
		return f.alowareDNC(ctx, now, number, contact)
	}
	return f.alowareLeave(ctx, now, target, number, contact)
}
