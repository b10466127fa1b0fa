package mcp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

const (
	toolExplain = "explain_why"
	toolReplay  = "replay_dry_run"
	toolDrift   = "drift_report"
)

// driftURI names the drift report among the resources.
const driftURI = "dfm://drift"

// addInsight offers what explains records: why something is as it is, what a
// replay would do, and where systems differ. All of it only reads.
func (s *Server) addInsight() {
	if s.cfg.Records == nil {
		return
	}
	s.addExplain()
	if s.cfg.Replay != nil {
		s.addOwn(&sdk.Tool{
			Name: toolReplay, Title: "Try out a replay",
			Description: "Tells what a replay of kept events would come to, and replays nothing: how many events, people and outbound writes. " +
				"An operator replays in the console.\nExample: {\"status\":\"quarantined\"}",
			InputSchema: json.RawMessage(`{"type":"object","properties":{` +
				`"source":{"type":"string","enum":["ghl","aloware","texting","broadcast"]},` +
				`"status":{"type":"string","enum":["done","skipped","error","quarantined"]},` +
				`"type":{"type":"string","maxLength":100},"entityId":{"type":"string","maxLength":200},` +
				`"from":{"type":"string","format":"date-time","maxLength":40,"description":"RFC 3339"},` +
				`"to":{"type":"string","format":"date-time","maxLength":40,"description":"RFC 3339"}},"additionalProperties":false}`),
			Annotations: reading("Try out a replay"),
		}, s.replay)
	}
	if s.cfg.Drift == nil {
		return
	}
	s.addOwn(&sdk.Tool{
		Name: toolDrift, Title: "Drift report",
		Description: "Tells how many people differ between the systems, in which field, since when and why. The unexplained ones matter most.\nExample: {}",
		InputSchema: json.RawMessage(`{"type":"object","properties":{},"additionalProperties":false}`),
		Annotations: reading("Drift report"),
	}, func(ctx context.Context, _ Caller, _ json.RawMessage) (any, error) { return s.cfg.Drift(ctx) })
	s.sdk.AddResource(&sdk.Resource{
		URI: driftURI, Name: "drift", Title: "Drift report", MIMEType: "application/json",
		Description: "How many people differ between the systems, in which field, since when and why.",
	}, s.readDrift)
}

// addExplain offers the explanation of an event or a person.
func (s *Server) addExplain() {
	says, question := "", ""
	if s.cfg.Why != nil {
		says = " With personId, question asks why the person is or is not texted, called or put on a call list: each condition, and the rule that decided it."
		question = `,"question":{"type":"string","enum":["texted","called","listed"]}`
	}
	s.addOwn(&sdk.Tool{
		Name: toolExplain, Title: "Explain why",
		Description: "Tells why an event or a person is in the state it is in: failed tries, what was written where by which rule, " +
			"what keeps a person from converging, and conflicts. Give eventId or personId." + says + "\nExample: {\"eventId\":\"…\"}",
		InputSchema: json.RawMessage(`{"type":"object","properties":{` +
			`"eventId":{"type":"string","minLength":1,"maxLength":200},"personId":{"type":"string","minLength":1,"maxLength":200}` + question + `},` +
			`"additionalProperties":false}`),
		Annotations: reading("Explain why"),
	}, s.explain)
}

// explained is why something is as it is.
type explained struct {
	Event     *eventView     `json:"event,omitempty"`
	Tries     []tryView      `json:"failedTries,omitempty"`
	Writes    []writeView    `json:"writes"`
	Effects   []effectView   `json:"effects,omitempty"`
	Issues    []issueView    `json:"openIssues,omitempty"`
	Conflicts []conflictView `json:"conflicts,omitempty"`
}

type tryView struct {
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"`
	Error   string    `json:"error"`
}

type writeView struct {
	At        time.Time       `json:"at"`
	Direction string          `json:"direction"`
	Status    string          `json:"status"`
	Fields    string          `json:"fields,omitempty"`
	Message   string          `json:"message,omitempty"`
	Decisions json.RawMessage `json:"decisions,omitempty"`
}

type effectView struct {
	Kind  string `json:"kind"`
	State string `json:"state"`
	Tries int    `json:"tries"`
	Error string `json:"error,omitempty"`
}

type issueView struct {
	Kind   string    `json:"kind"`
	Side   string    `json:"side,omitempty"`
	Field  string    `json:"field,omitempty"`
	Tries  int       `json:"tries"`
	Detail string    `json:"detail,omitempty"`
	Since  time.Time `json:"since"`
}

type conflictView struct {
	At     time.Time `json:"at"`
	Field  string    `json:"field"`
	Kind   string    `json:"kind"`
	Chosen string    `json:"chosen"`
	Rule   string    `json:"rule"`
	State  string    `json:"state"` // what a person said of it
}

// explainedMost is how many rows of each kind an explanation holds.
const explainedMost = 20

func (s *Server) explain(ctx context.Context, _ Caller, arguments json.RawMessage) (any, error) {
	var in struct{ EventID, PersonID, Question string }
	if err := json.Unmarshal(arguments, &in); err != nil {
		return nil, err
	}
	switch {
	case (in.EventID == "") == (in.PersonID == ""):
		return nil, badRequest("Give either eventId or personId.")
	case in.Question != "" && in.EventID != "":
		return nil, badRequest("question is about a person: give personId.")
	case in.Question != "":
		answer, err := s.cfg.Why(ctx, in.PersonID, in.Question)
		if errors.Is(err, store.ErrNotFound) {
			return nil, notFound("There is no person with this id.")
		}
		return answer, err
	case in.EventID != "":
		return s.explainEvent(ctx, in.EventID)
	}
	return s.explainPerson(ctx, in.PersonID)
}

func (s *Server) explainEvent(ctx context.Context, id string) (*explained, error) {
	e, err := s.cfg.Records.Event(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, notFound("There is no event with this id.")
	}
	if err != nil {
		return nil, err
	}
	out := &explained{Event: new(viewEvent(e))}
	tries, err := s.cfg.Records.Attempts(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, t := range tries {
		out.Tries = append(out.Tries, tryView{t.At, t.Outcome, t.Error})
	}
	effects, err := s.cfg.Records.EffectsOf(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, f := range effects {
		out.Effects = append(out.Effects, effectView{f.Kind, f.State, f.Attempts, f.Error})
	}
	out.Writes, err = s.writes(ctx, store.SyncFilter{CorrelationID: id, Limit: explainedMost})
	return out, err
}

func (s *Server) explainPerson(ctx context.Context, id string) (*explained, error) {
	out := &explained{}
	issues, err := s.cfg.Records.Issues(ctx, store.IssueFilter{PersonID: id, OpenOnly: true, Limit: explainedMost})
	if err != nil {
		return nil, err
	}
	for _, i := range issues {
		out.Issues = append(out.Issues, issueView{i.Kind, string(i.Side), string(i.Field), i.Tries, i.Detail, i.Since})
	}
	conflicts, err := s.cfg.Records.Conflicts(ctx, store.ConflictFilter{PersonID: id, Limit: explainedMost})
	if err != nil {
		return nil, err
	}
	for _, c := range conflicts {
		out.Conflicts = append(out.Conflicts, conflictView{c.At, string(c.Field), c.Kind, string(c.Chosen), c.Rule, c.State})
	}
	out.Writes, err = s.writes(ctx, store.SyncFilter{PersonID: id, Limit: explainedMost})
	return out, err
}

func (s *Server) writes(ctx context.Context, f store.SyncFilter) ([]writeView, error) {
	rows, err := s.cfg.Records.SyncLog(ctx, f)
	if err != nil {
		return nil, err
	}
	views := make([]writeView, len(rows))
	for i, r := range rows {
		views[i] = writeView{r.StartedAt, string(r.Direction), r.Status, r.Fields, r.Message, r.Decisions}
	}
	return views, nil
}

func (s *Server) replay(ctx context.Context, _ Caller, arguments json.RawMessage) (any, error) {
	var in struct{ Source, Status, Type, EntityID, From, To string }
	if err := json.Unmarshal(arguments, &in); err != nil {
		return nil, err
	}
	filter := store.EventFilter{Source: df.Source(in.Source), Status: df.Status(in.Status), Type: in.Type, EntityID: in.EntityID}
	for _, bound := range []struct {
		text string
		to   *time.Time
	}{{in.From, &filter.From}, {in.To, &filter.To}} {
		if bound.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, bound.text)
		if err != nil {
			return nil, badRequest("from and to must be times such as 2026-01-31T09:00:00Z.")
		}
		*bound.to = at
	}
	return s.cfg.Replay(ctx, filter)
}

func (s *Server) readDrift(ctx context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
	caller, known := s.callerOf(req.Extra)
	if !known || !caller.Records {
		return nil, sdk.ResourceNotFoundError(req.Params.URI)
	}
	started := s.cfg.Clock()
	report, err := s.cfg.Drift(ctx)
	status := "ok"
	if err != nil {
		status = "INTERNAL"
	}
	s.record(ctx, Entry{At: started, Caller: caller.ID, Tool: "resource:drift", Status: status, Duration: s.cfg.Clock().Sub(started)})
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "the drift report cannot be made", "error", err)
		return nil, errors.New("the drift report cannot be made at the moment")
	}
	return jsonResource(req.Params.URI, report)
}

func viewEvent(e df.Event) eventView {
	return eventView{
		ID: e.ID, ReceivedAt: e.ReceivedAt, Source: e.Source, Type: e.Notice.Type, Status: e.Status,
		EntityID: e.Notice.EntityID, PersonID: e.PersonID, Attempts: e.Attempts, Detail: cmp.Or(e.LastError, e.Reason),
	}
}
