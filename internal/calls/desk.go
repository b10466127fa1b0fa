package calls

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// GHL is what the room needs of GoHighLevel. Every error is, or wraps, a
// *df.CallError.
type GHL interface {
	// LogCall adds a call log and LoggedCall looks for one by its call's id,
	// which is "" when there is none. CanLog is false without an installed app
	// and its call provider: nobody else may log calls.
	CanLog() bool
	LogCall(ctx context.Context, log Log) (messageID string, err error)
	LoggedCall(ctx context.Context, contactID, callID string) (messageID string, err error)
	// Attach puts the recording on a call log. It may be repeated.
	Attach(ctx context.Context, messageID, link string) error
	// AddNote and UpdateNote write a note; FindNote looks for one that holds
	// the marker, and returns "" when there is none.
	AddNote(ctx context.Context, contactID, text string) (noteID string, err error)
	UpdateNote(ctx context.Context, contactID, noteID, text string) error
	FindNote(ctx context.Context, contactID, marker string) (noteID string, err error)
	AddTags(ctx context.Context, contactID string, tags []string) error
	RemoveTags(ctx context.Context, contactID string, tags []string) error
	// Zone is the location's time zone.
	Zone(ctx context.Context) *time.Location
}

// Log is a call as GHL logs it. GHL takes no duration.
type Log struct {
	ContactID string
	CallID    string
	Direction string // Inbound or Outbound
	Customer  df.Phone
	Line      df.Phone
	Status    string
	At        time.Time
}

// Sealer keeps links to recordings.
type Sealer interface {
	Seal(purpose string, plain []byte) (string, error)
}

// Purpose is what a call's recording is sealed for.
func Purpose(callID string) string { return "recording of call " + callID }

// Desk works calls. Everything but GHL and Vault is required.
type Desk struct {
	Store   *store.Store
	Effects effects.Runner
	GHL     GHL    // nil when GHL is not configured
	Vault   Sealer // nil without an encryption key: recordings are not kept then
	Links   Links
	Rules   []Rule
	// Agent returns the name of an Aloware user, or "".
	Agent func(ctx context.Context, alowareUserID string) (string, error)
	Clock df.Clock
	NewID func() string
}

// Work takes in what a delivery says about a call of the person, and brings GHL
// to what is known of it by now. An error means that the lane was lost.
func (d *Desk) Work(ctx context.Context, lease people.Lease, p people.Person, e df.Event, delivery Delivery) (effects.Outcome, error) {
	call, facts, err := d.take(ctx, lease, p, delivery)
	if err != nil {
		return effects.Trouble(err)
	}
	switch {
	case !facts.Over():
		return effects.Outcome{Status: df.Done}, nil // kept with the call; it is shown once it is over
	case d.GHL == nil:
		return effects.Skipped("GHL is not configured; the call is kept"), nil
	case call.GHLContactID == "":
		return effects.Outcome{Status: df.Quarantined, Reason: "no contact at GHL could be found or made; see the person's issues"}, nil
	}
	w := &work{Desk: d, lease: lease, event: e, call: call, facts: facts}
	return w.show(ctx)
}

// take joins a delivery to what is known of its call, and keeps it.
func (d *Desk) take(ctx context.Context, lease people.Lease, p people.Person, in Delivery) (store.Call, Facts, error) {
	call, err := store.CallByID(ctx, d.Store, in.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return call, nil, err
	}
	now := d.Clock()
	if errors.Is(err, store.ErrNotFound) {
		call = store.Call{ID: in.ID, CreatedAt: now, Facts: json.RawMessage("{}")}
	}
	var known Facts
	if err := json.Unmarshal(call.Facts, &known); err != nil {
		return call, nil, fmt.Errorf("read what is known of a call: %w", err)
	}
	facts := known.Join(in.Facts)
	if err := d.seal(&call, known, facts, in); err != nil {
		return call, nil, err
	}
	call.PersonID, call.GHLContactID, call.AlowareContactID = p.ID, p.GHLContactID, p.AlowareContactID
	call.Phone = df.Phone(facts.Get(Phone))
	if call.StartedAt = facts.Time(Started); call.StartedAt.IsZero() {
		call.StartedAt = call.CreatedAt
	}
	if call.Facts, err = json.Marshal(facts); err != nil {
		return call, nil, fmt.Errorf("keep what is known of a call: %w", err)
	}
	call.UpdatedAt = now
	return call, facts, d.save(ctx, lease, call, nil)
}

// seal keeps the link to the recording, if the delivery brings the one that
// counts. Without an encryption key it is not kept at all.
func (d *Desk) seal(call *store.Call, known, facts Facts, in Delivery) error {
	counts := facts.Get(Recording)
	if !in.Recording.Set() || counts != HashOf(in.Recording) || counts == known.Get(Recording) && call.Recording != "" || d.Vault == nil {
		return nil
	}
	sealed, err := d.Vault.Seal(Purpose(call.ID), []byte(in.Recording.Reveal()))
	if err != nil {
		return fmt.Errorf("seal the recording: %w", err)
	}
	call.Recording, call.RecordingAt, call.Attached = sealed, d.Clock(), false
	return nil
}

// HashOf is the value of the fact Recording.
func HashOf(link df.Secret) string {
	sum := sha256.Sum256([]byte(link.Reveal()))
	return hex.EncodeToString(sum[:16])
}

// save writes the call and lines of the sync log under the lane's lease.
func (d *Desk) save(ctx context.Context, lease people.Lease, call store.Call, rows []store.SyncRow) error {
	return people.FromStore(d.Store.InTx(ctx, func(tx store.Tx) error {
		if lease != (people.Lease{}) {
			if err := store.Guard(ctx, tx, store.Lease(lease)); err != nil {
				return err
			}
		}
		if err := store.SaveCall(ctx, tx, call); err != nil {
			return err
		}
		return store.InsertSync(ctx, tx, rows...)
	}))
}

// work is one call on its way into GHL.
type work struct {
	*Desk
	lease people.Lease
	event df.Event
	call  store.Call
	facts Facts
	noLog bool // nobody may log calls; the note is all that tells of this one
}

// show brings GHL to what is known. Its parts do not wait for each other: a log
// that GHL refuses must not cost the note. The first failure is the event's.
func (w *work) show(ctx context.Context) (effects.Outcome, error) {
	var failed error
	for _, part := range []func(context.Context) error{w.log, w.note, w.attach, w.tag} {
		err := part(ctx)
		if errors.Is(err, people.ErrLeaseLost) {
			return effects.Outcome{}, err
		}
		if outcome, _ := df.OutcomeOf(err); err != nil && (failed == nil || outcome != df.Refused) {
			failed = err
		}
	}
	if failed != nil {
		return effects.Trouble(failed)
	}
	return effects.Outcome{Status: df.Done}, nil
}

// log adds the call log, once.
func (w *work) log(ctx context.Context) error {
	direction := w.facts.Get(Direction)
	w.noLog = w.call.GHLMessageID == "" && !w.GHL.CanLog()
	if w.call.GHLMessageID != "" || w.noLog || direction == "" {
		return nil
	}
	log := Log{ContactID: w.call.GHLContactID, CallID: w.call.ID, Direction: direction, Customer: w.call.Phone,
		Line: df.Phone(w.facts.Get(Line)), Status: LogStatus(w.facts), At: w.call.StartedAt}
	err := w.once(ctx, "log_call", func(ctx context.Context) (string, error) { return w.GHL.LogCall(ctx, log) },
		func(ctx context.Context) (string, error) { return w.GHL.LoggedCall(ctx, log.ContactID, log.CallID) },
		func(id string) { w.call.GHLMessageID = id })
	if df.IsCode(err, df.CodeUnconfigured) {
		// The app is not installed, or not any more. The next delivery asks
		// again, and a replay does.
		w.noLog, err = true, nil
	}
	return err
}

// once brings one of the call's effects about and keeps its id with the call.
func (w *work) once(ctx context.Context, kind string, call, look func(context.Context) (string, error), set func(id string)) error {
	return w.Effects.Do(ctx, w.lease, effects.Once{
		Key: kind + ":aloware:" + w.call.ID, Kind: kind, PersonID: w.call.PersonID, EventID: w.event.ID, Call: call, Look: look,
		Keep: func(ctx context.Context, tx store.Tx, id string) error {
			set(id)
			w.call.UpdatedAt = w.Clock()
			if err := store.SaveCall(ctx, tx, w.call); err != nil {
				return err
			}
			return store.InsertSync(ctx, tx, w.row(kind, id))
		},
	})
}

// note writes the note, or brings it up to date. One that an agent deleted stays
// deleted.
func (w *work) note(ctx context.Context) error {
	agent, err := w.Agent(ctx, w.facts.Get(Agent))
	if err != nil {
		return err
	}
	text := Note(w.facts, Readable{ID: w.call.ID, Agent: agent, Zone: w.GHL.Zone(ctx), Link: w.link()})
	sum := sha256.Sum256([]byte(text))
	hash := hex.EncodeToString(sum[:16])
	contact := w.call.GHLContactID
	if w.call.GHLNoteID == "" {
		written := "" // one that is found after a lost answer may say less
		err := w.once(ctx, "call_note",
			func(ctx context.Context) (string, error) {
				id, err := w.GHL.AddNote(ctx, contact, text)
				if err == nil {
					written = hash
				}
				return id, err
			},
			func(ctx context.Context) (string, error) { return w.GHL.FindNote(ctx, contact, Marker(w.call.ID)) },
			func(id string) { w.call.GHLNoteID, w.call.NoteHash = id, written })
		if err != nil {
			return err
		}
	}
	if w.call.NoteHash == hash || w.call.NoteHash == noteGone {
		return nil
	}
	if err := w.GHL.UpdateNote(ctx, contact, w.call.GHLNoteID, text); df.IsCode(err, df.CodeNotFound) {
		hash = noteGone
	} else if err != nil {
		return err
	}
	w.call.NoteHash = hash
	return w.save(ctx, w.lease, w.call, nil)
}

// noteGone stands in place of a note's hash when there is no note any more.
const noteGone = "gone"

func (w *work) link() string {
	if w.call.Recording == "" {
		return ""
	}
	return w.Links.Make(w.call.ID, w.call.RecordingAt)
}

// attach puts the recording on the call log.
func (w *work) attach(ctx context.Context) error {
	link := w.link()
	if w.call.Attached || w.call.GHLMessageID == "" || link == "" {
		return nil
	}
	row := w.row("call_recording", w.call.GHLMessageID)
	err := w.GHL.Attach(ctx, w.call.GHLMessageID, link)
	if outcome, _ := df.OutcomeOf(err); outcome == df.Refused && !df.IsCode(err, df.CodeUnauthorized) {
		// This log takes none. The link stands in the note.
		row.Status, row.Message = "skipped", effects.Safe(err)
	} else if err != nil {
		return err
	}
	w.call.Attached = true
	return w.save(ctx, w.lease, w.call, []store.SyncRow{row})
}

// tag gives the contact the call's tags. Those that this call had given and that
// do not fit any more, as after a corrected disposition, go, unless another call
// gave them too.
func (w *work) tag(ctx context.Context) error {
	want := Tags(w.facts, w.Rules)
	add, drop := without(want, w.call.Tags), without(w.call.Tags, want)
	if len(add)+len(drop) == 0 {
		return nil
	}
	if len(drop) > 0 {
		others, err := store.TagsOfOtherCalls(ctx, w.Store, w.call.PersonID, w.call.ID)
		if err != nil {
			return err
		}
		drop = without(drop, others)
	}
	if len(add) > 0 {
		if err := w.GHL.AddTags(ctx, w.call.GHLContactID, add); err != nil {
			return err
		}
	}
	if len(drop) > 0 {
		if err := w.GHL.RemoveTags(ctx, w.call.GHLContactID, drop); err != nil {
			return err
		}
	}
	w.call.Tags = want
	return w.save(ctx, w.lease, w.call, nil)
}

// without returns the tags of one set that are not in the other.
func without(tags, others []string) []string {
	return slices.DeleteFunc(slices.Clone(tags), func(tag string) bool {
		return slices.ContainsFunc(others, func(o string) bool { return df.TagKey(o) == df.TagKey(tag) })
	})
}

// row is a line of the sync log about the call.
func (w *work) row(entity, target string) store.SyncRow {
	now, message := w.Clock(), ""
	if w.noLog {
		message = "no call log: GHL_CALL_PROVIDER_ID is not set, or our app is not installed"
	}
	return store.SyncRow{ID: w.NewID(), Direction: df.AlowareToGHL, Message: message, EntityType: entity, EntityID: w.call.ID, SourceID: w.call.ID,
		TargetID: target, Status: "success", StartedAt: now, FinishedAt: now, CorrelationID: w.event.ID, PersonID: w.call.PersonID}
}
