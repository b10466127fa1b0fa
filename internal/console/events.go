package console

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// eventView is an event as the API shows it.
type eventView struct {
	ID            string     `json:"id"`
	ReceivedAt    time.Time  `json:"receivedAt"`
	Source        df.Source  `json:"source"`
	Route         string     `json:"route"`
	EventType     string     `json:"eventType"`
	Kind          df.Kind    `json:"kind"`
	EntityType    string     `json:"entityType"`
	EntityID      string     `json:"entityId"`
	ContactID     string     `json:"contactId,omitempty"`
	DedupeKey     string     `json:"dedupeKey"`
	Status        df.Status  `json:"status"`
	Reason        string     `json:"reason,omitempty"`
	Attempts      int        `json:"attempts"`
	NextAttemptAt *time.Time `json:"nextAttemptAt"`
	ErrorMessage  string     `json:"errorMessage,omitempty"`
	OccurredAt    *time.Time `json:"occurredAt"`
	ProcessedAt   *time.Time `json:"processedAt"`
	PersonID      string     `json:"personId,omitempty"`
	Lane          string     `json:"lane,omitempty"`
	Verified      string     `json:"verified"`
}

func viewEvent(e df.Event) eventView {
	return eventView{
		ID: e.ID, ReceivedAt: e.ReceivedAt, Source: e.Source, Route: e.Route, EventType: e.Notice.Type,
		Kind: e.Notice.Kind, EntityType: e.Notice.EntityType, EntityID: e.Notice.EntityID,
		ContactID: e.Notice.ContactID, DedupeKey: e.DedupeKey, Status: e.Status, Reason: e.Reason,
		Attempts: e.Attempts, NextAttemptAt: optional(e.NextAttemptAt), ErrorMessage: e.LastError,
		OccurredAt: optional(e.Notice.OccurredAt), ProcessedAt: optional(e.ProcessedAt),
		PersonID: e.PersonID, Lane: e.Lane, Verified: e.Verified,
	}
}

func viewEvents(events []df.Event) []eventView {
	views := make([]eventView, len(events))
	for i, e := range events {
		views[i] = viewEvent(e)
	}
	return views
}

func (s *Server) listEvents(r *http.Request) (any, error) {
	q := r.URL.Query()
	filter := store.EventFilter{
		Source: df.Source(q.Get("source")), Status: df.Status(q.Get("status")), Type: q.Get("type"),
		EntityID: q.Get("entityId"), Person: personAsked(q.Get("person")), Text: q.Get("q"),
	}
	err := oneOf(r, "source", df.SourceGHL, df.SourceAloware, df.SourceTexting, df.SourceBroadcast)
	if err != nil {
		return nil, err
	}
	if err := oneOf(r, "status", df.Statuses()...); err != nil {
		return nil, err
	}
	if filter.Limit, err = limitOf(r); err != nil {
		return nil, err
	}
	if filter.Before, err = cursorOf(r); err != nil {
		return nil, err
	}
	if filter.From, err = timeOf(r, "from"); err != nil {
		return nil, err
	}
	if filter.To, err = timeOf(r, "to"); err != nil {
		return nil, err
	}
	if filter.Text != "" {
		return s.searchEvents(r, filter)
	}
	events, err := s.Store.Events(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	var last int64
	if len(events) > 0 {
		last = events[len(events)-1].Seq
	}
	return page{viewEvents(events), nextCursor(len(events) == filter.Limit, last)}, nil
}

// searchTime is how long a reader waits for a search in bodies before being told
// how far back it came.
const searchTime = 100 * time.Millisecond

// searchEvents finds nothing by what is hidden from the reader: who may not see a
// link to a recording must not find it out letter by letter.
func (s *Server) searchEvents(r *http.Request, filter store.EventFilter) (any, error) {
	began := s.Clock()
	var shown func(body []byte) bool
	if !visitorOf(r).role.Allows(Admin) {
		shown = func(body []byte) bool { return store.HoldsText(masked(body), filter.Text) }
	}
	found, err := s.Store.SearchEvents(r.Context(), filter, shown, func() bool { return s.Clock().Sub(began) > searchTime })
	if err != nil {
		return nil, err
	}
	return searched{page{viewEvents(found.Events), nextCursor(found.Next != 0, found.Next)}, optional(found.SearchedTo)}, nil
}

// personAsked reads how somebody names a person: by our id, or by a phone number
// however it is written.
func personAsked(text string) string {
	if phone, err := df.ParsePhone(text, ""); err == nil {
		return string(phone)
	}
	return text
}

// countEvents shows the sum that must always come out: received events by
// source and status.
func (s *Server) countEvents(r *http.Request) (any, error) {
	counts, err := s.Store.CountEvents(r.Context())
	if err != nil {
		return nil, err
	}
	bySource := map[df.Source]map[df.Status]int64{}
	for _, c := range counts {
		if bySource[c.Source] == nil {
			bySource[c.Source] = map[df.Status]int64{}
			for _, status := range df.Statuses() {
				bySource[c.Source][status] = 0
			}
		}
		bySource[c.Source][c.Status] = c.Events
		bySource[c.Source]["received"] += c.Events
	}
	return bySource, nil
}

type eventDetail struct {
	eventView
	Payload    any               `json:"payload"` // links to recordings are hidden
	Headers    map[string]string `json:"headers"`
	History    []attemptView     `json:"history"`
	Effects    []syncView        `json:"effects"`
	Changes    []fieldChange     `json:"changes"`
	Repeats    int64             `json:"repeats"` // deliveries of the same, refused as duplicates
	RepeatedAt *time.Time        `json:"repeatedAt"`
	PersonID   string            `json:"personId,omitempty"`
}

// fieldChange is one field that a convergence for the event was to change.
type fieldChange struct {
	Side    df.Side         `json:"side"`
	Field   df.Field        `json:"field"`
	Before  string          `json:"before"`
	After   string          `json:"after"`
	Action  converge.Action `json:"action"`
	Rule    string          `json:"rule"`
	Written bool            `json:"written"` // whether the side was told so without an error
}

// changesOf reads off the sync log what an event's convergences changed, oldest
// first: what they decided to write, and whether that was sent.
func changesOf(rows []store.SyncRow) []fieldChange {
	changes := []fieldChange{}
	for _, row := range slices.Backward(rows) {
		for _, d := range decisions(row.Decisions) {
			if !d.Writes {
				continue
			}
			c := fieldChange{Side: d.Side, Field: d.Field, Before: d.Before, After: d.Value, Action: d.Action, Rule: d.Rule}
			if d.Field == converge.TagsField && d.Detail == "remove" {
				c.Before, c.After = d.Value, ""
			}
			c.Written = slices.ContainsFunc(rows, func(r store.SyncRow) bool {
				return r.Status == "success" && r.Direction == df.DirectionTo(d.Side) && slices.Contains(strings.Split(r.Fields, ","), string(d.Field))
			})
			changes = append(changes, c)
		}
	}
	return changes
}

type attemptView struct {
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"`
	Error   string    `json:"error"`
}

func (s *Server) getEvent(r *http.Request) (any, error) {
	ctx := r.Context()
	e, err := s.Store.Event(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	attempts, err := s.Store.Attempts(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	effects, err := s.Store.SyncLog(ctx, store.SyncFilter{CorrelationID: e.ID, Limit: 200})
	if err != nil {
		return nil, err
	}
	detail := eventDetail{
		eventView: viewEvent(e), Payload: payload(masked(e.Raw)), Headers: e.Headers,
		History: make([]attemptView, len(attempts)), Effects: viewSyncs(effects), Changes: changesOf(effects), PersonID: e.PersonID,
	}
	var last time.Time
	if detail.Repeats, last, err = s.Store.Repeats(ctx, e.ID); err != nil {
		return nil, err
	}
	detail.RepeatedAt = optional(last)
	for i, a := range attempts {
		detail.History[i] = attemptView(a)
	}
	return detail, nil
}

// payload shows JSON as JSON, numbers untouched, and anything else as text.
func payload(raw []byte) any {
	if json.Valid(raw) {
		return json.RawMessage(raw)
	}
	return string(raw)
}

type reasonBody struct {
	Reason string `json:"reason"`
}

// replayEvent puts an event back into its lane: a finished one is reopened, a
// failed one is tried at once.
func (s *Server) replayEvent(r *http.Request) (any, error) {
	var in reasonBody
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	e, err := s.Store.Event(r.Context(), id)
	if err != nil {
		return nil, err
	}
	if err := s.reopen(r.Context(), e); err != nil {
		return nil, err
	}
	return s.changedEvent(r, "event.replay", id, in.Reason)
}

// reopen puts a finished event back into its lane, or makes a failed one due.
func (s *Server) reopen(ctx context.Context, e df.Event) error {
	if e.Status == df.Failed {
		return s.Store.RetryNow(ctx, e.ID, s.Clock())
	}
	if e.Lane == "" {
		// No release could read it when it came; this one may.
		e.Notice = s.Decode(e)
		if e.Notice.Skip != "" {
			return &df.Error{Code: "CONFLICT", Message: "this event still cannot be handled: " + e.Notice.Skip, Status: http.StatusConflict}
		}
		if err := s.Store.Reread(ctx, e); err != nil {
			return err
		}
	}
	return s.Store.Reopen(ctx, e.ID, s.Clock())
}

func (s *Server) closeEvent(status df.Status, action string) handler {
	return func(r *http.Request) (any, error) {
		var in reasonBody
		if err := readJSON(r, &in); err != nil {
			return nil, err
		}
		id := r.PathValue("id")
		if err := s.Store.CloseEvent(r.Context(), id, status, in.Reason, s.Clock()); err != nil {
			return nil, err
		}
		return s.changedEvent(r, action, id, in.Reason)
	}
}

func (s *Server) changedEvent(r *http.Request, action, id, reason string) (any, error) {
	if err := s.audit(r, action, id, map[string]any{"reason": reason}); err != nil {
		return nil, err
	}
	e, err := s.Store.Event(r.Context(), id)
	return viewEvent(e), err
}
