package console

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// registerConflicts adds what the admin API does about conflicts.
func (s *Server) registerConflicts(admin func(pattern string, h handler)) {
	admin("GET /api/admin/conflicts", s.listConflicts)
	admin("GET /api/admin/conflicts/{id}", s.getConflict)
	admin("POST /api/admin/conflicts/{id}/resolve", s.resolveConflict)
	admin("POST /api/admin/conflicts/bulk", s.bulkConflicts)
}

type conflictView struct {
	ID            string             `json:"id"`
	PersonID      string             `json:"personId"`
	Field         df.Field           `json:"field"`
	Kind          string             `json:"kind"`
	Base          map[df.Side]string `json:"base"`
	Seen          map[df.Side]string `json:"seen"`
	Chosen        df.Side            `json:"chosen"`
	Value         string             `json:"value"`
	Rule          string             `json:"rule"`
	CorrelationID string             `json:"correlationId,omitempty"`
	At            time.Time          `json:"at"`
	State         string             `json:"state"`
	Choice        string             `json:"choice,omitempty"`
	DecidedBy     string             `json:"decidedBy,omitempty"`
	DecidedAt     *time.Time         `json:"decidedAt"`
	Reason        string             `json:"reason,omitempty"`
	Outcome       string             `json:"outcome,omitempty"` // what came of a value that was asked for
	ChangedAt     *time.Time         `json:"changedAt"`         // when the state last changed
}

func viewConflict(c store.Conflict) conflictView {
	return conflictView{c.ID, c.PersonID, c.Field, c.Kind, c.Base, c.Seen, c.Chosen, c.Value, c.Rule, c.CorrelationID, c.At,
		c.State, c.Choice, c.DecidedBy, optional(c.DecidedAt), c.Reason, c.Outcome, optional(c.ChangedAt)}
}

// conflictFilter reads the filters that the list and its page have in common.
func conflictFilter(r *http.Request) (store.ConflictFilter, error) {
	q := r.URL.Query()
	f := store.ConflictFilter{PersonID: q.Get("personId"), Field: df.Field(q.Get("field")), State: q.Get("state"), Chosen: df.Side(q.Get("chosen"))}
	return f, errors.Join(oneOf(r, "state", store.ConflictStates()...), oneOf(r, "chosen", df.SideGHL, df.SideAloware, store.ChosenNone))
}

func (s *Server) listConflicts(r *http.Request) (any, error) {
	filter, err := conflictFilter(r)
	if err != nil {
		return nil, err
	}
	if filter.Limit, err = limitOf(r); err != nil {
		return nil, err
	}
	if filter.Before, err = cursorOf(r); err != nil {
		return nil, err
	}
	conflicts, err := s.Store.Conflicts(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	views := make([]conflictView, len(conflicts))
	var last int64
	for i, c := range conflicts {
		views[i], last = viewConflict(c), c.Seq
	}
	return page{views, nextCursor(len(conflicts) == filter.Limit, last)}, nil
}

// conflictDetail is a conflict with what may be chosen about it.
type conflictDetail struct {
	conflictView
	Choices []choiceView `json:"choices"`
}

// choiceView is one thing that may be chosen about a conflict, and what would be
// written where by what the sides last agreed on.
type choiceView struct {
	Choice string    `json:"choice"`           // keep, ghl, aloware
	Value  string    `json:"value,omitempty"`  // that would stand on both sides
	Writes []df.Side `json:"writes"`           // where it would have to be written
	Barred string    `json:"barred,omitempty"` // why it cannot be chosen, a stable word
	Says   string    `json:"says,omitempty"`   // the same in words, or what would keep it from being written
}

func (s *Server) getConflict(r *http.Request) (any, error) {
	k, err := store.ConflictByID(r.Context(), s.Store, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	choices, err := s.choicesOf(r, k)
	return conflictDetail{viewConflict(k), choices}, err
}

// choicesOf says what each choice would come to. It reads no side.
func (s *Server) choicesOf(r *http.Request, k store.Conflict) ([]choiceView, error) {
	agreements, err := s.Store.Agreements(r.Context(), k.PersonID)
	if err != nil {
		return nil, err
	}
	agreed, seen := converge.Agreed{}, map[df.Side]df.Contact{}
	for _, a := range agreements {
		agreed[a.Side] = converge.Snapshot{ContactID: a.ContactID, Fields: a.Fields, Tags: a.Tags}
		seen[a.Side] = df.Contact{ID: a.ContactID, Fields: a.Fields, Tags: a.Tags}
	}
	choices := []choiceView{{Choice: store.ConflictKeep, Writes: []df.Side{}}}
	for _, side := range []df.Side{df.SideGHL, df.SideAloware} {
		ruling := converge.RulingOf(k, side)
		one := choiceView{Choice: string(side), Value: k.Seen[side], Writes: []df.Side{}}
		if s.Look != nil {
			barred := ruling.Bar(s.Look.InForce())
			one.Barred, one.Says = string(barred), barred.Says()
			p := converge.Plan(agreed, seen, s.Look.InForce(), ruling)
			for _, to := range []df.Side{df.SideGHL, df.SideAloware} {
				if _, ruled := p.Ruled[k.Field]; ruled {
					if _, written := p.Writes[to].Set[k.Field]; written {
						one.Writes = append(one.Writes, to)
					}
				}
			}
			for _, end := range p.Ended {
				one.Says = end.Detail
			}
		}
		choices = append(choices, one)
	}
	return choices, nil
}

// resolution is what somebody chooses about a conflict, as the admin API takes it.
type resolution struct {
	Choice string `json:"choice"` // ghl, aloware, keep
	Reason string `json:"reason"`
}

func (s *Server) resolveConflict(r *http.Request) (any, error) {
	var in resolution
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	k, err := s.resolve(r, in)
	return viewConflict(k), err
}

// resolve keeps what somebody chose about a conflict. What cannot be carried out
// is refused before anything is kept.
func (s *Server) resolve(r *http.Request, in resolution) (store.Conflict, error) {
	if !slices.Contains([]string{store.ConflictKeep, string(df.SideGHL), string(df.SideAloware)}, in.Choice) {
		return store.Conflict{}, invalid("choice must be ghl, aloware or keep")
	}
	reason, err := reasonIn(in.Reason)
	if err != nil {
		return store.Conflict{}, err
	}
	id := r.PathValue("id")
	k, err := store.ConflictByID(r.Context(), s.Store, id)
	if err != nil {
		return k, err
	}
	if in.Choice != store.ConflictKeep && k.State == store.ConflictOpen && s.Look != nil {
		if barred := converge.RulingOf(k, df.Side(in.Choice)).Bar(s.Look.InForce()); barred != "" {
			return k, onlyKept(string(barred), barred.Says())
		}
	}
	k, err = s.Store.DecideConflict(r.Context(), store.ConflictChoice{ID: id, Choice: in.Choice, By: auth.Actor(r.Context()), Reason: reason, At: s.Clock()})
	switch {
	case errors.Is(err, store.ErrEnded):
		return k, onlyKept("person_ended", "the person has ended and is not converged any more")
	case errors.Is(err, store.ErrState):
		return k, &df.Error{Code: "CONFLICT_DECIDED", Status: http.StatusConflict, Message: "somebody has decided this conflict otherwise; look at it again",
			Details: map[string]any{"choice": k.Choice, "state": k.State}}
	}
	return k, err
}

// onlyKept refuses a choice for a reason with a stable word.
func onlyKept(because, says string) error {
	return &df.Error{Code: "CONFLICT_ONLY_KEPT", Status: http.StatusConflict, Message: "this conflict can only be accepted: " + says,
		Details: map[string]any{"because": because}}
}

// acceptMost is how many conflicts are accepted at once: one transaction holds
// them all.
const acceptMost = 5000

// namedMost is how many of them can be named one by one.
const namedMost = 500

// bulkChoice is what is to be done to many conflicts: those that a filter finds, or
// those named. What was confirmed bounds it.
type bulkChoice struct {
	Action string          `json:"action"`
	Filter *bulkConditions `json:"filter,omitempty"`
	IDs    []string        `json:"ids,omitempty"`
	Reason string          `json:"reason"`
	DryRun *bool           `json:"dryRun,omitempty"`
	// Conflicts and UntilSeq are what a dry run answered. With them nothing is
	// touched that the dry run did not count.
	Conflicts int64 `json:"conflicts,omitempty"`
	UntilSeq  int64 `json:"untilSeq,omitempty"`
}

// bulkConditions are the filters of the list as a body.
type bulkConditions struct {
	PersonID string   `json:"personId,omitempty"`
	Field    df.Field `json:"field,omitempty"`
	Chosen   df.Side  `json:"chosen,omitempty"`
}

// bulkCount is what a dry run answers.
type bulkCount struct {
	Conflicts int64              `json:"conflicts"`
	People    int64              `json:"people"`
	ByField   map[df.Field]int64 `json:"byField"`
	UntilSeq  int64              `json:"untilSeq"` // the newest that was counted
	More      bool               `json:"more"`     // whether more fit than can be accepted at once
}

// bulkDone is what was done.
type bulkDone struct {
	Accepted int64 `json:"accepted"`
}

// filter reads which conflicts are meant.
func (b bulkChoice) filter() (store.ConflictFilter, error) {
	switch {
	case b.Action != "accept":
		return store.ConflictFilter{}, invalid("action must be accept")
	case (b.Filter == nil) == (b.IDs == nil):
		return store.ConflictFilter{}, invalid("say which conflicts, by filter or by ids")
	case len(b.IDs) > namedMost:
		return store.ConflictFilter{}, invalid("at most 500 conflicts can be named; use a filter")
	case b.Conflicts < 0 || b.UntilSeq < 0:
		return store.ConflictFilter{}, invalid("conflicts and untilSeq must be those of a dry run")
	}
	f := store.ConflictFilter{IDs: b.IDs, UntilSeq: b.UntilSeq}
	if b.Filter != nil {
		f.PersonID, f.Field, f.Chosen = b.Filter.PersonID, b.Filter.Field, b.Filter.Chosen
	}
	if !slices.Contains([]df.Side{"", df.SideGHL, df.SideAloware, store.ChosenNone}, f.Chosen) {
		return f, invalid("chosen must be ghl, aloware or none")
	}
	return f, nil
}

// bulkConflicts accepts what rules decided about many conflicts. dryRun, the
// default, counts them.
func (s *Server) bulkConflicts(r *http.Request) (any, error) {
	var in bulkChoice
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	filter, err := in.filter()
	if err != nil {
		return nil, err
	}
	if in.DryRun == nil || *in.DryRun {
		count, err := s.Store.CountOpen(r.Context(), filter, acceptMost)
		return bulkCount(count), err
	}
	accepted, err := s.acceptMany(r, in, filter)
	return bulkDone{accepted}, err
}

// acceptMany accepts with a reason, unless more fits by now than was confirmed.
func (s *Server) acceptMany(r *http.Request, in bulkChoice, filter store.ConflictFilter) (int64, error) {
	reason, err := reasonIn(in.Reason)
	if err != nil {
		return 0, err
	}
	ctx, now, actor := r.Context(), s.Clock(), auth.Actor(r.Context())
	return s.Store.AcceptConflicts(ctx, filter, acceptMost, actor, reason, now, func(tx store.Tx, accepted int64) error {
		if in.UntilSeq > 0 && accepted > in.Conflicts {
			return &df.Error{Code: "CONFLICT", Status: http.StatusConflict,
				Message: number(accepted) + " conflicts fit by now; " + number(in.Conflicts) + " were confirmed; count again",
				Details: map[string]any{"conflicts": accepted, "confirmed": in.Conflicts}}
		}
		details := map[string]any{"conflicts": accepted, "reason": reason}
		if in.IDs != nil {
			details["ids"] = in.IDs
		} else {
			details["filter"] = in.Filter
		}
		return store.InsertAudit(ctx, tx, store.AuditRow{At: now, Actor: actor, Action: "conflict.accept", Target: "conflicts", Details: details})
	})
}
