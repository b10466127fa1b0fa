package calls

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// The kinds of effects of this room.
const (
	kindLog  = "log_call"
	kindNote = "note_call"
)

// showing brings GHL to what follows from one call.
type showing struct {
	*Desk
	*file
	lease   people.Lease
	p       people.Person
	event   df.Event
	contact string   // at GHL
	did     []string // what was changed there
	noLog   string   // why there is no call log
}

// show runs all steps, also after one that failed: a log that GHL refuses must not
// cost us the note.
func (d *Desk) show(ctx context.Context, lease people.Lease, f *file, p people.Person, e df.Event) (Outcome, error) {
	s := &showing{Desk: d, file: f, lease: lease, p: p, event: e, contact: cmp.Or(f.row.GHLContactID, p.GHLContactID)}
	if err := s.prepare(ctx); err != nil {
		return trouble(err)
	}
	var failed error
	for _, step := range []func(context.Context) error{s.log, s.attach, s.note, s.tag} {
		err := step(ctx)
		if failed == nil {
			failed = err
		}
		var call *df.CallError
		if err != nil && !errors.As(err, &call) {
			return trouble(err) // ours: the lane or the database
		}
	}
	if line, worth := s.line(failed); worth {
		if err := d.save(ctx, lease, f, line); err != nil {
			return trouble(err)
		}
	}
	switch {
	case failed != nil:
		return trouble(failed)
	case len(s.did) == 0:
		return skipped("GHL shows all of it already"), nil
	}
	return Outcome{Status: df.Done}, nil
}

// prepare finds out what the note shows beside the call.
func (s *showing) prepare(ctx context.Context) error {
	before, wrote := s.row, s.wrote
	if id := s.call.AgentID.Value; id != "" && (s.row.Agent == "" || s.wrote.AgentID != id) {
		s.row.Agent, s.wrote.AgentID = s.Office.Agent(ctx, id), id
	}
	if s.Link != nil && s.Sealer != nil && (s.row.Recording != "" || s.row.Voicemail != "") && !s.Clock().Before(s.row.LinksUntil) {
		s.row.LinksUntil = s.Clock().Add(s.LinkTime).UTC().Truncate(1e9)
	}
	if before.Agent == s.row.Agent && wrote.AgentID == s.wrote.AgentID && before.LinksUntil.Equal(s.row.LinksUntil) {
		return nil
	}
	return s.save(ctx, s.lease, s.file)
}

// link is the link to one kind of audio, if there is anything to listen to.
func (s *showing) link(sealed string, audio Audio) Link {
	if sealed == "" || s.Link == nil || s.Sealer == nil {
		return Link{}
	}
	return Link{s.Desk.Link(s.call.ID, audio, s.row.LinksUntil), s.row.LinksUntil}
}

func (s *showing) links() []string {
	var urls []string
	for _, link := range []Link{s.link(s.row.Recording, TheRecording), s.link(s.row.Voicemail, TheVoicemail)} {
		if link.URL != "" {
			urls = append(urls, link.URL)
		}
	}
	return urls
}

func digest(texts ...string) string {
	if len(texts) == 0 {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.Join(texts, "\n")))
	return hex.EncodeToString(sum[:16])
}

// once makes something at GHL once, and keeps its id in the call's row.
func (s *showing) once(ctx context.Context, o effects.Once, keep func(f *file, id string)) error {
	var kept *file
	o.PersonID, o.EventID = s.p.ID, s.event.ID
	o.Keep = func(ctx context.Context, tx store.Tx, id string) error {
		next := *s.file
		keep(&next, id)
		next.row.GHLContactID = s.contact
		row, err := s.rowOf(&next)
		if err != nil {
			return err
		}
		next.row = row
		next.row.Version++
		kept = &next
		return store.SaveCall(ctx, tx, row)
	}
	if err := s.Once.Do(ctx, s.lease, o); err != nil {
		return err
	}
	if kept != nil {
		*s.file = *kept
	}
	return nil
}

// log makes the call log, unless it is there.
func (s *showing) log(ctx context.Context) error {
	if s.row.GHLMessageID != "" {
		return nil
	}
	attached := "" // known only when it was our own call that was answered
	err := s.once(ctx, effects.Once{
		Key: kindLog + ":" + s.call.ID, Kind: kindLog,
		Call: func(ctx context.Context) (string, error) {
			urls := s.links()
			attached = digest(urls...)
			return s.GHL.Log(ctx, Logging{ContactID: s.contact, Direction: s.call.Direction.Value, AltID: s.call.ID, At: s.row.At,
				Customer: cmp.Or(s.p.Phone, s.call.Customer.Value), Line: s.call.Line.Value, Status: s.call.Status(), Attachments: urls})
		},
		Look: func(ctx context.Context) (string, error) { return s.GHL.Logged(ctx, s.contact, s.call.ID) },
	}, func(f *file, id string) { f.row.GHLMessageID, f.wrote.Attached = id, attached })
	if df.IsCode(err, df.CodeUnconfigured) {
		s.noLog = "GHL takes no call log: GHL_CALL_PROVIDER_ID is not set or our app is not installed; the note tells of the call"
		return nil
	}
	if err == nil {
		s.did = append(s.did, "log")
	}
	return err
}

// attach brings the links at the call log up to date. A log that takes none keeps
// its note, where they stand too.
func (s *showing) attach(ctx context.Context) error {
	urls := s.links()
	if s.row.GHLMessageID == "" || s.wrote.NoAttach || len(urls) == 0 || s.wrote.Attached == digest(urls...) {
		return nil
	}
	err := s.GHL.Attach(ctx, s.row.GHLMessageID, urls)
	if outcome, _ := df.OutcomeOf(err); outcome == df.Refused && !df.IsCode(err, df.CodeUnauthorized) {
		s.wrote.NoAttach = true
		s.Log.WarnContext(ctx, "GHL takes no recording for a call log", "error", err)
		return s.save(ctx, s.lease, s.file)
	}
	if err != nil {
		return err
	}
	s.wrote.Attached = digest(urls...)
	s.did = append(s.did, "attachments")
	return s.save(ctx, s.lease, s.file)
}

// body is the note's text.
func (s *showing) body(ctx context.Context) string {
	agent := s.row.Agent
	if agent == "" && s.call.AgentID.Value != "" {
		agent = "Aloware user " + s.call.AgentID.Value
	}
	return Note(s.call, View{Agent: agent, Zone: s.Office.Zone(ctx),
		Recording: s.link(s.row.Recording, TheRecording), Voicemail: s.link(s.row.Voicemail, TheVoicemail)})
}

// note makes the call's note, or brings it up to date. One that somebody deleted
// stays deleted.
func (s *showing) note(ctx context.Context) error {
	body := s.body(ctx)
	if s.row.GHLNoteID == "" {
		hash := "" // of the text that we know to stand there
		err := s.once(ctx, effects.Once{
			Key: kindNote + ":" + s.call.ID, Kind: kindNote,
			Call: func(ctx context.Context) (string, error) {
				hash = digest(body)
				return s.GHL.AddNote(ctx, s.contact, body)
			},
			Look: func(ctx context.Context) (string, error) {
				return s.GHL.FindNote(ctx, s.contact, func(text string) bool { return Marked(text, s.call.ID) })
			},
		}, func(f *file, id string) { f.row.GHLNoteID, f.wrote.Note = id, hash })
		if err != nil {
			return err
		}
		s.did = append(s.did, "note")
	}
	if s.wrote.NoteGone || s.wrote.Note == digest(body) || s.row.GHLNoteID == "" {
		return nil
	}
	err := s.GHL.EditNote(ctx, s.contact, s.row.GHLNoteID, body)
	switch {
	case df.IsCode(err, df.CodeNotFound):
		s.wrote.NoteGone = true
	case err != nil:
		return err
	default:
		s.wrote.Note = digest(body)
		s.did = append(s.did, "note")
	}
	return s.save(ctx, s.lease, s.file)
}

// tag adds the tags that the call causes and takes back those that it caused and
// does not any more, unless another call of the contact's causes them too.
// Aloware gets them as it gets all tags, by convergence.
func (s *showing) tag(ctx context.Context) error {
	want := s.Rules.Tags(s.call)
	add, stale := without(want, s.wrote.Tags), without(s.wrote.Tags, want)
	if len(add)+len(stale) == 0 {
		return nil
	}
	if len(stale) > 0 {
		others, err := s.others(ctx)
		if err != nil {
			return err
		}
		stale = without(stale, others)
	}
	err := s.GHL.Tag(ctx, s.contact, add, stale)
	if err != nil && !df.IsCode(err, df.CodeNotFound) {
		return err
	}
	s.wrote.Tags = want
	s.did = append(s.did, "tags")
	return s.save(ctx, s.lease, s.file)
}

// others are the tags that the contact's other calls cause.
func (s *showing) others(ctx context.Context) ([]string, error) {
	rows, err := store.OtherCallsWritten(ctx, s.Store, s.contact, s.call.ID)
	if err != nil {
		return nil, err
	}
	var tags []string
	for _, row := range rows {
		var wrote written
		if err := json.Unmarshal(row, &wrote); err != nil {
			return nil, fmt.Errorf("read what was written of call: %w", err)
		}
		tags = append(tags, wrote.Tags...)
	}
	return tags, nil
}

// without returns the tags that are not among the others, whatever their case:
// GHL has no two tags that differ in case only.
func without(tags, others []string) []string {
	return slices.DeleteFunc(slices.Clone(tags), func(tag string) bool {
		return slices.ContainsFunc(others, func(other string) bool { return strings.EqualFold(tag, other) })
	})
}

// line is the sync log's line about what was done, if there is anything to say.
func (s *showing) line(failed error) (store.SyncRow, bool) {
	now := s.Clock()
	line := store.SyncRow{ID: s.NewID(), Direction: df.AlowareToGHL, EntityType: "call", EntityID: s.call.ID, SourceID: s.call.ID,
		TargetID: cmp.Or(s.row.GHLMessageID, s.row.GHLNoteID), Status: "success", StartedAt: now, FinishedAt: now, Message: s.noLog,
		CorrelationID: s.event.ID, PersonID: s.p.ID, Fields: strings.Join(slices.Compact(s.did), ",")}
	if failed != nil {
		line.Status, line.Message = "error", safe(failed)
	}
	return line, failed != nil || len(s.did) > 0
}
