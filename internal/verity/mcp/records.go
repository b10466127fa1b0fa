package mcp

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Records are what the middleware knows of people and events; *store.Store has
// them. Nothing here changes any.
type Records interface {
	People(ctx context.Context, f store.PersonFilter) ([]store.Person, error)
	Events(ctx context.Context, f store.EventFilter) ([]df.Event, error)
	SyncLog(ctx context.Context, f store.SyncFilter) ([]store.SyncRow, error)
	Event(ctx context.Context, id string) (df.Event, error)
	Attempts(ctx context.Context, eventID string) ([]store.Attempt, error)
	EffectsOf(ctx context.Context, eventID string) ([]store.Effect, error)
	Issues(ctx context.Context, f store.IssueFilter) ([]store.Issue, error)
	Conflicts(ctx context.Context, f store.ConflictFilter) ([]store.Conflict, error)
}

const (
	toolFindPerson = "find_person"
	toolTimeline   = "person_timeline"
	toolEvents     = "list_events"
)

// recordTools are shown to callers who may read records.
var recordTools = []string{toolFindPerson, toolTimeline, toolEvents, toolExplain, toolReplay, toolDrift}

func (s *Server) addRecords() {
	if s.cfg.Records == nil {
		return
	}
	s.addOwn(&sdk.Tool{
		Name: toolFindPerson, Title: "Find a person",
		Description: "Finds people that the middleware keeps in agreement, by phone, contact id or part of an e-mail. " +
			"Give one of the arguments.\nExample: {\"phone\":\"+12025550123\"}",
		InputSchema: json.RawMessage(`{"type":"object","properties":{` +
			`"phone":{"type":"string","maxLength":40,"description":"In international form"},` +
			`"ghlContactId":{"type":"string","maxLength":200},"alowareContactId":{"type":"string","maxLength":200},` +
			`"text":{"type":"string","maxLength":200,"description":"Part of an e-mail, a phone or an id"},` +
			`"limit":{"type":"integer","minimum":1,"maximum":50,"default":10}},"additionalProperties":false}`),
		OutputSchema: listSchema("people"), Annotations: reading("Find a person"),
	}, s.findPerson)
	s.addOwn(&sdk.Tool{
		Name: toolTimeline, Title: "A person's timeline",
		Description: "Tells what happened to one person, the newest first: events that came in and what was written where. " +
			"Get the id from find_person.\nExample: {\"personId\":\"…\"}",
		InputSchema: json.RawMessage(`{"type":"object","properties":{` +
			`"personId":{"type":"string","minLength":1,"maxLength":200},` +
			`"limit":{"type":"integer","minimum":1,"maximum":100,"default":30}},"required":["personId"],"additionalProperties":false}`),
		OutputSchema: listSchema("timeline"), Annotations: reading("A person's timeline"),
	}, s.timeline)
	s.addOwn(&sdk.Tool{
		Name: toolEvents, Title: "List events",
		Description: "Lists webhooks that came in, the newest first, without their bodies. Use it to see what failed and why." +
			"\nExample: {\"status\":\"error\",\"limit\":20}",
		InputSchema: json.RawMessage(`{"type":"object","properties":{` +
			`"source":{"type":"string","enum":["ghl","aloware","texting","broadcast"]},` +
			`"status":{"type":"string","enum":["pending","processing","done","skipped","error","quarantined"]},` +
			`"type":{"type":"string","maxLength":100},"entityId":{"type":"string","maxLength":200},` +
			`"from":{"type":"string","format":"date-time","maxLength":40,"description":"RFC 3339"},` +
			`"limit":{"type":"integer","minimum":1,"maximum":100,"default":20}},"additionalProperties":false}`),
		OutputSchema: listSchema("events"), Annotations: reading("List events"),
	}, s.events)
}

// listSchema describes an answer with one list. Here we are sure: we write it.
func listSchema(name string) json.RawMessage {
	return json.RawMessage(`{"type":"object","properties":{"` + name + `":{"type":"array","items":{"type":"object"}}},"required":["` + name + `"]}`)
}

type personView struct {
	ID               string     `json:"id"`
	Phone            df.Phone   `json:"phone,omitempty"`
	Email            string     `json:"email,omitempty"`
	GHLContactID     string     `json:"ghlContactId,omitempty"`
	AlowareContactID string     `json:"alowareContactId,omitempty"`
	Status           string     `json:"status"`
	LastSyncedAt     *time.Time `json:"lastSyncedAt,omitempty"`
	EndedReason      string     `json:"endedReason,omitempty"`
}

func (s *Server) findPerson(ctx context.Context, _ Caller, arguments json.RawMessage) (any, error) {
	var in struct {
		Phone, GHLContactID, AlowareContactID, Text string
		Limit                                       int
	}
	if err := json.Unmarshal(arguments, &in); err != nil {
		return nil, err
	}
	filter := store.PersonFilter{GHLContactID: in.GHLContactID, AlowareContactID: in.AlowareContactID, Text: in.Text, Limit: cmp.Or(in.Limit, 10)}
	if in.Phone != "" {
		phone, err := df.ParsePhone(in.Phone, "")
		if err != nil {
			return nil, badRequest("phone must be a phone number in international form, such as +12025550123.")
		}
		filter.Phone = phone
	}
	if in.Phone+in.GHLContactID+in.AlowareContactID+in.Text == "" {
		return nil, badRequest("Give phone, ghlContactId, alowareContactId or text.")
	}
	people, err := s.cfg.Records.People(ctx, filter)
	if err != nil {
		return nil, err
	}
	views := make([]personView, len(people))
	for i, p := range people {
		views[i] = personView{
			ID: p.ID, Phone: p.Phone, Email: p.Email, GHLContactID: p.GHLContactID, AlowareContactID: p.AlowareContactID,
			Status: p.Status, LastSyncedAt: optional(p.LastSyncedAt), EndedReason: p.EndedReason,
		}
	}
	return map[string]any{"people": views}, nil
}

// moment is one line of a timeline.
type moment struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"` // "event" or "write"
	Source string    `json:"source"`
	Type   string    `json:"type"`
	Status string    `json:"status"`
	Detail string    `json:"detail,omitempty"`
	ID     string    `json:"id"`
}

func (s *Server) timeline(ctx context.Context, _ Caller, arguments json.RawMessage) (any, error) {
	var in struct {
		PersonID string
		Limit    int
	}
	if err := json.Unmarshal(arguments, &in); err != nil {
		return nil, err
	}
	moments, err := s.momentsOf(ctx, in.PersonID, cmp.Or(in.Limit, 30))
	if err != nil {
		return nil, err
	}
	return map[string]any{"timeline": moments}, nil
}

// momentsOf returns what happened to a person, the newest first.
func (s *Server) momentsOf(ctx context.Context, person string, limit int) ([]moment, error) {
	events, err := s.cfg.Records.Events(ctx, store.EventFilter{EntityID: person, Limit: limit})
	if err != nil {
		return nil, err
	}
	writes, err := s.cfg.Records.SyncLog(ctx, store.SyncFilter{PersonID: person, Limit: limit})
	if err != nil {
		return nil, err
	}
	moments := make([]moment, 0, len(events)+len(writes))
	for _, e := range events {
		moments = append(moments, moment{
			At: e.ReceivedAt, What: "event", Source: string(e.Source), Type: e.Notice.Type, Status: string(e.Status),
			Detail: cmp.Or(e.LastError, e.Reason), ID: e.ID,
		})
	}
	for _, w := range writes {
		moments = append(moments, moment{
			At: w.StartedAt, What: "write", Source: string(w.Direction), Type: w.EntityType, Status: w.Status,
			Detail: cmp.Or(w.Message, w.Fields), ID: w.ID,
		})
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return b.At.Compare(a.At) })
	return moments[:min(limit, len(moments))], nil
}

type eventView struct {
	ID         string    `json:"id"`
	ReceivedAt time.Time `json:"receivedAt"`
	Source     df.Source `json:"source"`
	Type       string    `json:"type"`
	Status     df.Status `json:"status"`
	EntityID   string    `json:"entityId,omitempty"`
	PersonID   string    `json:"personId,omitempty"`
	Attempts   int       `json:"attempts"`
	Detail     string    `json:"detail,omitempty"`
}

func (s *Server) events(ctx context.Context, _ Caller, arguments json.RawMessage) (any, error) {
	var in struct {
		Source, Status, Type, EntityID, From string
		Limit                                int
	}
	if err := json.Unmarshal(arguments, &in); err != nil {
		return nil, err
	}
	filter := store.EventFilter{
		Source: df.Source(in.Source), Status: df.Status(in.Status), Type: in.Type, EntityID: in.EntityID, Limit: cmp.Or(in.Limit, 20),
	}
	if in.From != "" {
		from, err := time.Parse(time.RFC3339, in.From)
		if err != nil {
			return nil, badRequest("from must be a time such as 2026-01-31T09:00:00Z.")
		}
		filter.From = from
	}
	events, err := s.cfg.Records.Events(ctx, filter)
	if err != nil {
		return nil, err
	}
	views := make([]eventView, len(events))
	for i, e := range events {
		views[i] = viewEvent(e)
	}
	return map[string]any{"events": views}, nil
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
