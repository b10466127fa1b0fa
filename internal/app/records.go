package app

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// exportPage is how many rows are read at once for an export.
const exportPage = 500

// RecordQuery says which records are exported; empty fields select everything.
type RecordQuery struct {
	Source      string // of events
	From, Until string // RFC 3339, of events
}

// exportedEvent is a line of an export of events.
type exportedEvent struct {
	ID          string            `json:"id"`
	ReceivedAt  time.Time         `json:"receivedAt"`
	Source      df.Source         `json:"source"`
	Route       string            `json:"route"`
	EventType   string            `json:"eventType"`
	Kind        df.Kind           `json:"kind"`
	EntityType  string            `json:"entityType"`
	EntityID    string            `json:"entityId"`
	ContactID   string            `json:"contactId,omitempty"`
	PhoneNumber df.Phone          `json:"phoneNumber,omitempty"`
	PersonID    string            `json:"personId,omitempty"`
	OccurredAt  *time.Time        `json:"occurredAt,omitempty"`
	Status      df.Status         `json:"status"`
	Reason      string            `json:"reason,omitempty"`
	Attempts    int               `json:"attempts"`
	Error       string            `json:"error,omitempty"`
	Verified    string            `json:"verified"`
	Headers     map[string]string `json:"headers"`
	Payload     json.RawMessage   `json:"payload,omitempty"`      // a body that is JSON, as it came
	PayloadRaw  []byte            `json:"payloadBytes,omitempty"` // any other, in base64
}

func exportEvent(e df.Event) exportedEvent {
	n := e.Notice
	line := exportedEvent{
		ID: e.ID, ReceivedAt: e.ReceivedAt, Source: e.Source, Route: e.Route, EventType: n.Type, Kind: n.Kind, EntityType: n.EntityType,
		EntityID: n.EntityID, ContactID: n.ContactID, PhoneNumber: n.Phone, PersonID: e.PersonID, Status: e.Status, Reason: e.Reason,
		Attempts: e.Attempts, Error: e.LastError, Verified: e.Verified, Headers: e.Headers,
	}
	if !n.OccurredAt.IsZero() {
		line.OccurredAt = &n.OccurredAt
	}
	if json.Valid(e.Raw) {
		line.Payload = e.Raw
	} else {
		line.PayloadRaw = e.Raw
	}
	return line
}

// ExportEvents writes events as JSON lines, newest first. It opens the database
// of the settings and changes nothing.
func ExportEvents(ctx context.Context, config Config, options Options, query RecordQuery, w io.Writer) error {
	bounds, err := evidenceFilter("", "", query.From, query.Until)
	if err != nil {
		return err
	}
	filter := store.EventFilter{Source: df.Source(query.Source), From: bounds.From, To: bounds.Until, Limit: exportPage}
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	return withStore(ctx, config, options, func(db *store.Store) error {
		for {
			events, err := db.Events(ctx, filter)
			if err != nil {
				return err
			}
			for _, e := range events {
				if err := lines.Encode(exportEvent(e)); err != nil {
					return err
				}
				filter.Before = e.Seq
			}
			if len(events) < exportPage {
				return nil
			}
		}
	})
}

// exportedPerson is a line of an export of people.
type exportedPerson struct {
	ID               string                          `json:"id"`
	GHLContactID     string                          `json:"ghlContactId,omitempty"`
	AlowareContactID string                          `json:"alowareContactId,omitempty"`
	PhoneNumber      df.Phone                        `json:"phoneNumber,omitempty"`
	OtherPhones      []df.Phone                      `json:"otherPhones,omitempty"`
	Email            string                          `json:"email,omitempty"`
	Status           string                          `json:"status"`
	EndedReason      string                          `json:"endedReason,omitempty"`
	MergedInto       string                          `json:"mergedInto,omitempty"`
	CreatedAt        time.Time                       `json:"createdAt"`
	UpdatedAt        time.Time                       `json:"updatedAt"`
	Agreed           map[df.Side]map[df.Field]string `json:"agreed,omitempty"` // what each side held when both last agreed
	AgreedTags       map[df.Side][]string            `json:"agreedTags,omitempty"`
}

// ExportPeople writes people, with what both sides last agreed on, as JSON
// lines, oldest first. It opens the database of the settings and changes nothing.
func ExportPeople(ctx context.Context, config Config, options Options, w io.Writer) error {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	return withStore(ctx, config, options, func(db *store.Store) error {
		for after := ""; ; {
			people, err := db.People(ctx, store.PersonFilter{After: after, Limit: exportPage})
			if err != nil {
				return err
			}
			for _, p := range people {
				line, err := exportPerson(ctx, db, p)
				if err != nil {
					return err
				}
				if err := lines.Encode(line); err != nil {
					return err
				}
				after = p.ID
			}
			if len(people) < exportPage {
				return nil
			}
		}
	})
}

func exportPerson(ctx context.Context, db *store.Store, p store.Person) (exportedPerson, error) {
	agreed, err := db.Agreements(ctx, p.ID)
	line := exportedPerson{
		ID: p.ID, GHLContactID: p.GHLContactID, AlowareContactID: p.AlowareContactID, PhoneNumber: p.Phone, OtherPhones: p.OtherPhones,
		Email: p.Email, Status: p.Status, EndedReason: p.EndedReason, MergedInto: p.MergedInto, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
		Agreed: map[df.Side]map[df.Field]string{}, AgreedTags: map[df.Side][]string{},
	}
	for _, a := range agreed {
		line.Agreed[a.Side] = a.Fields
		if a.Tags != nil {
			line.AgreedTags[a.Side] = a.Tags
		}
	}
	return line, err
}
