package calls

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// GHL is what the room needs of GoHighLevel. Every error is, or wraps, a
// *df.CallError.
type GHL interface {
	// Log puts a call log into the contact's conversation. df.CodeUnconfigured
	// means that nobody may: only the app that the call provider belongs to
	// can. GHL does not dedupe by altId, so what is Unclear must be looked up.
	Log(ctx context.Context, l Logging) (messageID string, err error)
	// Logged looks for a call log under the altId, and returns "" when it is
	// not there.
	Logged(ctx context.Context, contactID, altID string) (messageID string, err error)
	// Attach replaces what is attached to a call log.
	Attach(ctx context.Context, messageID string, urls []string) error
	// AddNote adds a note to the contact.
	AddNote(ctx context.Context, contactID, body string) (noteID string, err error)
	// FindNote returns the contact's note for which is holds, or "".
	FindNote(ctx context.Context, contactID string, is func(body string) bool) (noteID string, err error)
	// EditNote replaces a note's text; df.CodeNotFound when it is gone.
	EditNote(ctx context.Context, contactID, noteID, body string) error
	// Tag adds tags to a contact and takes others from it.
	Tag(ctx context.Context, contactID string, add, remove []string) error
}

// Logging is a call to be logged.
type Logging struct {
	ContactID   string
	Direction   Direction
	AltID       string
	At          time.Time
	Customer    df.Phone // must be the contact's number at GHL
	Line        df.Phone
	Status      string
	Attachments []string
}

// Office knows who works here and what time it is there.
type Office interface {
	// Agent names one of Aloware's users, or returns "" when it cannot.
	Agent(ctx context.Context, userID string) string
	// Zone is the location's time zone.
	Zone(ctx context.Context) *time.Location
}

// Sealer encrypts for the database.
type Sealer interface {
	Seal(purpose string, plain []byte) (string, error)
	Open(purpose, sealed string) ([]byte, error)
}

// Audio is one of the two things that can be listened to of a call.
type Audio string

// What can be listened to.
const (
	TheRecording Audio = "recording"
	TheVoicemail Audio = "voicemail"
)

// Purpose is what an address of audio is sealed for.
func (a Audio) Purpose(callID string) string { return "call " + string(a) + " " + callID }

// Desk works calls. GHL, Links and Sealer may be nil.
type Desk struct {
	Store  *store.Store
	Once   effects.Runner
	GHL    GHL    // nil when GHL is not configured
	Sealer Sealer // nil without an encryption key: then no address is kept
	// Link makes a link to audio that ends at the given time. It is nil when
	// there is no public address to link to.
	Link func(callID string, audio Audio, until time.Time) string
	// LinkTime is how long links last.
	LinkTime time.Duration
	Office   Office
	Rules    Rules
	Clock    df.Clock
	NewID    func() string
	Log      *slog.Logger
}

// Outcome is what became of an event, in the words of the lanes.
type Outcome struct {
	Status    df.Status // Done, Skipped, Quarantined or Failed (try again at RetryAt)
	Reason    string    // why it was skipped or quarantined, safe text
	Error     string    // what failed, safe text
	RetryAt   time.Time
	Postponed bool // nothing was tried: the upstream's budget is used up
}

// written is what GHL was made to show of a call last.
type written struct {
	Note     string   `json:"note,omitempty"`     // hash of the text; "" when it is not known
	NoteGone bool     `json:"noteGone,omitempty"` // somebody deleted it, and it stays deleted
	Attached string   `json:"attached,omitempty"` // hash of the links
	NoAttach bool     `json:"noAttach,omitempty"` // GHL takes none for this log
	Tags     []string `json:"tags,omitempty"`
	AgentID  string   `json:"agentId,omitempty"` // whose name the row holds
}

// file is a call as it is kept.
type file struct {
	row   store.Call
	call  Call
	wrote written
}

// Owner returns the person whose call it is, or "" when nobody knows.
func (d *Desk) Owner(ctx context.Context, callID string) (string, error) {
	row, err := store.CallByID(ctx, d.Store, callID)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return row.PersonID, err
}

// Hear takes what one delivery says about a call, keeps it, and brings GHL to
// what follows. The person has a contact at GHL, unless GHL is not configured.
// An error means that the lane was lost.
func (d *Desk) Hear(ctx context.Context, lease people.Lease, p people.Person, e df.Event, said Call) (Outcome, error) {
	f, err := d.open(ctx, said.ID, e)
	if err != nil {
		return trouble(err)
	}
	if err := d.fold(ctx, lease, &f, p, said); err != nil {
		return trouble(err)
	}
	switch {
	case !f.call.Ready():
		return skipped("kept; the call is not over, or it is not known who called"), nil
	case d.GHL == nil:
		return skipped("kept; GHL is not configured"), nil
	case p.GHLContactID == "" && f.row.GHLContactID == "":
		return Outcome{Status: df.Quarantined, Reason: "no contact at GHL could be found or made; see the person's issues"}, nil
	}
	return d.show(ctx, lease, &f, p, e)
}

// open reads what is kept of the call.
func (d *Desk) open(ctx context.Context, id string, e df.Event) (file, error) {
	f := file{call: Call{ID: id}}
	row, err := store.CallByID(ctx, d.Store, id)
	if errors.Is(err, store.ErrNotFound) {
		now := d.Clock()
		f.row = store.Call{ID: id, At: e.ReceivedAt, CreatedAt: now, UpdatedAt: now}
		return f, nil
	}
	if err != nil {
		return f, err
	}
	f.row = row
	if f.call, err = Read(row); err != nil {
		return f, err
	}
	if err := json.Unmarshal(row.Written, &f.wrote); err != nil {
		return f, fmt.Errorf("read what was written of call: %w", err)
	}
	d.unseal(&f.call.Recording, row.Recording, TheRecording.Purpose(id))
	d.unseal(&f.call.Voicemail, row.Voicemail, TheVoicemail.Purpose(id))
	return f, nil
}

// Read returns the call that a row holds, without the addresses of its audio.
func Read(row store.Call) (Call, error) {
	var c Call
	if err := json.Unmarshal(row.Facts, &c); err != nil {
		return c, fmt.Errorf("read kept call: %w", err)
	}
	return c, nil
}

// unseal reads a kept address. One that cannot be opened, because its key is not
// configured any more, is as good as none.
func (d *Desk) unseal(to *Said[df.Secret], sealed, purpose string) {
	if sealed == "" || d.Sealer == nil {
		return
	}
	plain, err := d.Sealer.Open(purpose, sealed)
	if err == nil {
		err = json.Unmarshal(plain, (*address)(to))
	}
	if err != nil {
		d.Log.Warn("the kept address of a recording cannot be opened", "error", err)
	}
}

// address is the sealed form of an address: with its value, which a df.Secret
// does not print.
type address Said[df.Secret]

type plainAddress struct {
	Value string    `json:"value"`
	At    time.Time `json:"at,omitzero"`
}

// MarshalJSON implements json.Marshaler.
func (a address) MarshalJSON() ([]byte, error) {
	return json.Marshal(plainAddress{a.Value.Reveal(), a.At})
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *address) UnmarshalJSON(raw []byte) error {
	var plain plainAddress
	err := json.Unmarshal(raw, &plain)
	a.Value, a.At = df.Secret(plain.Value), plain.At
	return err
}

// OpenAddress returns the address that was sealed for the purpose.
func OpenAddress(s Sealer, purpose, sealed string) (df.Secret, error) {
	plain, err := s.Open(purpose, sealed)
	if err != nil {
		return "", err
	}
	var a address
	err = json.Unmarshal(plain, &a)
	return a.Value, err
}

// fold joins what a delivery says to what is kept.
func (d *Desk) fold(ctx context.Context, lease people.Lease, f *file, p people.Person, said Call) error {
	before, was := f.row, f.call
	f.call = f.call.Join(said)
	var err error
	if f.row.Recording, err = d.seal(f.row.Recording, was.Recording, f.call.Recording, TheRecording.Purpose(f.call.ID)); err != nil {
		return err
	}
	if f.row.Voicemail, err = d.seal(f.row.Voicemail, was.Voicemail, f.call.Voicemail, TheVoicemail.Purpose(f.call.ID)); err != nil {
		return err
	}
	facts, err := json.Marshal(f.call)
	if err != nil {
		return fmt.Errorf("write call: %w", err)
	}
	f.row.PersonID, f.row.Facts = p.ID, facts
	f.row.Customer = cmp.Or(f.call.Customer.Value, p.Phone)
	f.row.Direction, f.row.Outcome, f.row.Disposition = string(f.call.Direction.Value), f.call.Outcome(), f.call.Disposition.Value
	if !f.call.StartedAt.IsZero() {
		f.row.At = f.call.StartedAt
	}
	same := f.row.Version > 0 && bytes.Equal(before.Facts, facts) && before.PersonID == p.ID &&
		before.Recording == f.row.Recording && before.Voicemail == f.row.Voicemail
	if same {
		return nil
	}
	return d.save(ctx, lease, f)
}

// seal returns the sealed form of an address, which stays what it was while the
// address does. Without a key nothing is kept.
func (d *Desk) seal(sealed string, was, is Said[df.Secret], purpose string) (string, error) {
	if is == was || !is.Value.Set() || d.Sealer == nil {
		return sealed, nil
	}
	plain, err := json.Marshal(address(is))
	if err != nil {
		return "", fmt.Errorf("write address: %w", err)
	}
	return d.Sealer.Seal(purpose, plain)
}

// save keeps the call under the lane's lease, with lines for the sync log.
func (d *Desk) save(ctx context.Context, lease people.Lease, f *file, lines ...store.SyncRow) error {
	next, err := d.rowOf(f)
	if err != nil {
		return err
	}
	err = people.FromStore(d.Store.InTx(ctx, func(tx store.Tx) error {
		if lease != (people.Lease{}) {
			if err := store.Guard(ctx, tx, store.Lease(lease)); err != nil {
				return err
			}
		}
		if err := store.SaveCall(ctx, tx, next); err != nil {
			return err
		}
		return store.InsertSync(ctx, tx, lines...)
	}))
	if err == nil {
		f.row = next
		f.row.Version++
	}
	return err
}

// rowOf is the row to be saved.
func (d *Desk) rowOf(f *file) (store.Call, error) {
	wrote, err := json.Marshal(f.wrote)
	if err != nil {
		return store.Call{}, fmt.Errorf("write what was written of call: %w", err)
	}
	next := f.row
	next.Written, next.UpdatedAt = wrote, d.Clock()
	return next, nil
}

func skipped(reason string) Outcome { return Outcome{Status: df.Skipped, Reason: reason} }

// trouble turns an error into what the lane needs.
func trouble(err error) (Outcome, error) {
	if errors.Is(err, people.ErrLeaseLost) {
		return Outcome{}, err
	}
	outcome, retryAt := df.OutcomeOf(err)
	if outcome == df.Refused && !df.IsCode(err, df.CodeUnauthorized) {
		return Outcome{Status: df.Quarantined, Reason: safe(err)}, nil
	}
	return Outcome{Status: df.Failed, Error: safe(err), RetryAt: retryAt, Postponed: df.IsCode(err, df.CodeRateLimited)}, nil
}

// safe is what may be kept of an error.
func safe(err error) string {
	var call *df.CallError
	if errors.As(err, &call) {
		return call.Error()
	}
	return df.AsError(err).Error()
}
