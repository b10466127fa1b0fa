package converge

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// Stored is the Ledger of production: the store's tables.
type Stored struct {
	Store *store.Store
	Clock df.Clock
	NewID func() string
	// Breaker is the one of the converger's limits; it says how far back
	// writes are remembered.
	Breaker Breaker
}

var _ Ledger = Stored{}

// Load implements Ledger.
func (s Stored) Load(ctx context.Context, personID string) (State, error) {
	row, err := s.Store.LoadPerson(ctx, personID, s.Clock().Add(-s.Breaker.Window-s.Breaker.Hold))
	if err != nil {
		return State{}, people.FromStore(err)
	}
	state := State{Person: people.FromRow(row.Person), Agreed: Agreed{}}
	for _, a := range row.Agreements {
		state.Agreed[a.Side] = Snapshot{ContactID: a.ContactID, Fields: a.Fields, Tags: a.Tags}
	}
	for _, w := range row.Writes {
		state.Recent = append(state.Recent, Written(w))
	}
	for _, i := range row.Issues {
		state.Issues = append(state.Issues, Issue{
			Topic: i.Topic, Kind: IssueKind(i.Kind), Side: i.Side, Field: i.Field, Want: i.Want, Got: i.Got,
			ContactID: i.ContactID, Tries: i.Tries, Open: i.Open, Detail: i.Detail, Since: i.Since, At: i.At,
		})
	}
	for _, k := range row.Asked {
		state.Rulings = append(state.Rulings, RulingOf(k, df.Side(k.Choice)))
	}
	return state, nil
}

// RulingOf is the ruling that the value of a side is to stand.
func RulingOf(k store.Conflict, choice df.Side) Ruling {
	return Ruling{ConflictID: k.ID, Field: k.Field, Choice: choice, Chosen: k.Chosen, Seen: k.Seen, Settled: k.Settled, At: k.DecidedAt}
}

// Save implements Ledger.
func (s Stored) Save(ctx context.Context, lease Lease, r Record) error {
	c := store.Convergence{Person: people.ToRow(r.Person), Resolved: r.Resolved, At: r.At}
	correlation := ""
	for _, e := range r.Log {
		correlation = e.CorrelationID
		c.Log = append(c.Log, s.logRow(r.Person.ID, e))
	}
	for side, a := range r.Agreed {
		c.Agreements = append(c.Agreements, store.Agreement{Side: side, ContactID: a.ContactID, Fields: a.Fields, Tags: a.Tags})
	}
	for _, k := range r.Conflicts {
		c.Conflicts = append(c.Conflicts, store.Conflict{
			ID: s.NewID(), Field: k.Field, Kind: k.Kind, Base: k.Base, Seen: k.Seen, Settled: k.Settled, Chosen: k.Chosen, Value: k.Value,
			Rule: k.Rule, CorrelationID: correlation,
		})
	}
	for _, e := range r.Ruled {
		c.Ruled = append(c.Ruled, store.ConflictEnd{ID: e.ConflictID, State: string(e.State), Outcome: e.Detail})
	}
	for _, w := range r.Writes {
		c.Writes = append(c.Writes, store.FieldWrite(w))
	}
	for _, n := range r.Learned {
		c.Normalisations = append(c.Normalisations, store.Normalisation{
			Side: n.Side, Field: n.Field, Change: string(n.Change), Given: n.Given, Held: n.Held, At: n.At,
		})
	}
	for _, i := range r.Issues {
		c.Issues = append(c.Issues, store.Issue{
			PersonID: r.Person.ID, Topic: i.Topic, Kind: string(i.Kind), Side: i.Side, Field: i.Field, Want: i.Want,
			Got: i.Got, ContactID: i.ContactID, Tries: i.Tries, Open: i.Open, Detail: i.Detail, Since: i.Since, At: i.At,
		})
	}
	return people.FromStore(s.Store.SaveConvergence(ctx, store.Lease(lease), c))
}

func (s Stored) logRow(personID string, e LogEntry) store.SyncRow {
	var decisions json.RawMessage
	if len(e.Decisions) > 0 {
		decisions, _ = json.Marshal(e.Decisions) // plain strings always encode
	}
	return store.SyncRow{
		ID: s.NewID(), Direction: e.Direction, EntityType: "contact", EntityID: e.EntityID, SourceID: e.SourceID,
		TargetID: e.TargetID, Status: e.Status, StartedAt: e.StartedAt, FinishedAt: e.FinishedAt, Message: e.Message,
		CorrelationID: e.CorrelationID, PersonID: personID, Fields: strings.Join(e.Fields, ","),
		Decisions: decisions,
	}
}
