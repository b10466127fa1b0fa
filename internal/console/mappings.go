package console

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// Directory merges and splits people, and takes either back.
type Directory interface {
	Merge(ctx context.Context, lease people.Lease, winnerID, loserID, by, reason string) (winner, loser people.Person, err error)
	Split(ctx context.Context, lease people.Lease, personID string, part people.Part, by, reason string) (kept, cut people.Person, err error)
	Revert(ctx context.Context, lease people.Lease, undoID, by string) error
}

// registerMappings adds what the admin API does about who is who.
func (s *Server) registerMappings(admin func(pattern string, h handler)) {
	admin("GET /api/admin/mappings", s.listPeople)
	admin("POST /api/admin/mappings/repair", s.repairMapping)
	admin("POST /api/admin/mappings/merge", s.mergeMappings)
	admin("POST /api/admin/mappings/split", s.splitMapping)
	admin("GET /api/admin/mappings/changes", s.listChanges)
	admin("POST /api/admin/mappings/changes/{id}/undo", s.undoChange)
	admin("GET /api/admin/mappings/reviews", s.listPeopleReviews)
	admin("POST /api/admin/mappings/reviews/resolve", s.resolvePeopleReview)
}

// mergeWish is a merge as the admin API takes it.
type mergeWish struct {
	WinnerID string `json:"winnerId"` // who stays
	LoserID  string `json:"loserId"`  // who ends, merged into the other
	Reason   string `json:"reason"`
}

// splitWish is a split as the admin API takes it.
type splitWish struct {
	PersonID string   `json:"personId"`
	Side     df.Side  `json:"side"`   // whose contact goes to the new person
	Phones   []string `json:"phones"` // which numbers go with it
	Email    string   `json:"email"`  // the new person's, if any
	Reason   string   `json:"reason"`
}

// pairView is the two people of a merge or split as they now are.
type pairView struct {
	Kept  personView `json:"kept"`
	Other personView `json:"other"`
}

// changeView is a merge or split on record.
type changeView struct {
	ID       string       `json:"id"`
	Kind     string       `json:"kind"` // merge, split
	Reason   string       `json:"reason"`
	Actor    string       `json:"actor"`
	At       time.Time    `json:"at"`
	UndoneAt *time.Time   `json:"undoneAt"`
	Before   []personView `json:"before"`
	After    []personView `json:"after"`
}

// reviewView is an open question about who is who.
type reviewView struct {
	Key        string    `json:"key"`
	Kind       string    `json:"kind"`
	PersonID   string    `json:"personId"`
	Side       df.Side   `json:"side"`
	ContactID  string    `json:"contactId,omitempty"`
	Phone      df.Phone  `json:"phoneNumber,omitempty"`
	Email      string    `json:"email,omitempty"`
	Candidates []string  `json:"candidates"`
	At         time.Time `json:"at"`
}

func viewPeople(found []store.Person) []personView {
	views := make([]personView, len(found))
	for i, p := range found {
		views[i] = viewPerson(p)
	}
	return views
}

func viewChange(c store.Change) changeView {
	return changeView{c.ID, c.Kind, c.Reason, c.Actor, c.At, optional(c.UndoneAt), viewPeople(c.Before), viewPeople(c.After)}
}

func viewReview(r store.Review) reviewView {
	return reviewView{r.Key, r.Kind, r.PersonID, r.Side, r.ContactID, r.Phone, r.Email, r.Candidates, r.At}
}

// reasonIn checks a reason that the audit log will keep.
func reasonIn(reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" || len(reason) > 500 {
		return "", invalid("give a reason of 1 to 500 characters: the audit log keeps it")
	}
	return reason, nil
}

// whoIsWho turns the refusals of the people room into words for outsiders.
func whoIsWho(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, people.ErrNotFound):
		return store.ErrNotFound
	}
	for _, refused := range []error{people.ErrSamePerson, people.ErrEnded, people.ErrApart, people.ErrNothingToCut, people.ErrChangedSince, people.ErrStale, people.ErrTaken} {
		if errors.Is(err, refused) {
			return &df.Error{Code: "CONFLICT", Message: refused.Error(), Status: http.StatusConflict}
		}
	}
	return err
}

func (s *Server) mergeMappings(r *http.Request) (any, error) {
	var wish mergeWish
	if err := readJSON(r, &wish); err != nil {
		return nil, err
	}
	return s.merge(r, wish)
}

// merge makes one person of two and has the one that stays converge, so that what
// both knew reaches both sides.
func (s *Server) merge(r *http.Request, wish mergeWish) (any, error) {
	reason, err := reasonIn(wish.Reason)
	if err != nil {
		return nil, err
	}
	winner, loser, err := s.People.Merge(r.Context(), people.Lease{}, wish.WinnerID, wish.LoserID, auth.Actor(r.Context()), reason)
	if err != nil {
		return nil, whoIsWho(err)
	}
	if _, err := s.Store.ResolveReviewsBetween(r.Context(), winner.ID, loser.ID, s.Clock()); err != nil {
		return nil, err
	}
	if err := s.audit(r, "mapping.merge", winner.ID, map[string]any{"loser": loser.ID, "reason": reason}); err != nil {
		return nil, err
	}
	return pairView{viewPerson(people.ToRow(winner)), viewPerson(people.ToRow(loser))}, s.convergeAgain(r.Context(), winner)
}

func (s *Server) splitMapping(r *http.Request) (any, error) {
	var wish splitWish
	if err := readJSON(r, &wish); err != nil {
		return nil, err
	}
	return s.split(r, wish)
}

// split makes two people of one and has both converge.
func (s *Server) split(r *http.Request, wish splitWish) (any, error) {
	reason, err := reasonIn(wish.Reason)
	if err != nil {
		return nil, err
	}
	part := people.Part{Side: wish.Side, Email: strings.TrimSpace(wish.Email)}
	if part.Side != df.SideGHL && part.Side != df.SideAloware {
		return nil, invalid("side must be ghl or aloware")
	}
	for _, text := range wish.Phones {
		phone, err := df.ParsePhone(text, "")
		if err != nil {
			return nil, invalid("phones must be phone numbers such as +15005550111")
		}
		part.Phones = append(part.Phones, phone)
	}
	kept, cut, err := s.People.Split(r.Context(), people.Lease{}, wish.PersonID, part, auth.Actor(r.Context()), reason)
	if err != nil {
		return nil, whoIsWho(err)
	}
	if err := s.audit(r, "mapping.split", kept.ID, map[string]any{"new": cut.ID, "side": part.Side, "reason": reason}); err != nil {
		return nil, err
	}
	return pairView{viewPerson(people.ToRow(kept)), viewPerson(people.ToRow(cut))}, s.convergeAgain(r.Context(), kept, cut)
}

// convergeAgain asks for the convergence of people who have changed.
func (s *Server) convergeAgain(ctx context.Context, changed ...people.Person) error {
	for _, p := range changed {
		var err error
		switch {
		case p.GHLContactID != "":
			_, err = s.Sync.SyncContact(ctx, p.GHLContactID, "", "")
		case p.AlowareContactID != "":
			_, err = s.Sync.SyncContact(ctx, "", p.AlowareContactID, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) undoChange(r *http.Request) (any, error) {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	return s.revert(r, in.Reason)
}

// revert takes a merge or split back and has the people converge.
func (s *Server) revert(r *http.Request, reason string) (any, error) {
	reason, err := reasonIn(reason)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	c, err := s.Store.PeopleChange(r.Context(), id)
	if err != nil {
		return nil, err
	}
	if !c.UndoneAt.IsZero() {
		return nil, store.ErrState
	}
	if err := s.People.Revert(r.Context(), people.Lease{}, id, auth.Actor(r.Context())); err != nil {
		return nil, whoIsWho(err)
	}
	if err := s.audit(r, "mapping.undo", id, map[string]any{"kind": c.Kind, "reason": reason}); err != nil {
		return nil, err
	}
	for _, p := range c.Before {
		if err := s.convergeAgain(r.Context(), people.FromRow(p)); err != nil {
			return nil, err
		}
	}
	return map[string]any{"id": id, "kind": c.Kind}, nil
}

func (s *Server) listChanges(r *http.Request) (any, error) {
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	changes, err := s.Store.PeopleChanges(r.Context(), r.URL.Query().Get("personId"), r.URL.Query().Get("cursor"), limit)
	if err != nil {
		return nil, err
	}
	views := make([]changeView, len(changes))
	for i, c := range changes {
		views[i] = viewChange(c)
	}
	var next *string
	if len(changes) == limit {
		next = &changes[limit-1].ID
	}
	return page{views, next}, nil
}

func (s *Server) listPeopleReviews(r *http.Request) (any, error) {
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	reviews, next, err := s.reviewsPage(r, limit)
	if err != nil {
		return nil, err
	}
	return page{reviews, next}, nil
}

// reviewsPage reads a page of open questions. The cursor is made as that of the
// issues is: a time and a key.
func (s *Server) reviewsPage(r *http.Request, limit int) ([]reviewView, *string, error) {
	after, err := issuePlace(r.URL.Query().Get("cursor"))
	if err != nil {
		return nil, nil, err
	}
	found, err := s.Store.OpenReviews(r.Context(), after.At, after.Topic, limit)
	if err != nil {
		return nil, nil, err
	}
	views := make([]reviewView, len(found))
	for i, one := range found {
		views[i] = viewReview(one)
	}
	if len(found) < limit {
		return views, nil, nil
	}
	last := found[limit-1]
	return views, issueCursor(store.Issue{At: last.At, Topic: last.Key}), nil
}

func (s *Server) resolvePeopleReview(r *http.Request) (any, error) {
	var in struct {
		Key    string `json:"key"`
		Reason string `json:"reason"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	return s.resolveReview(r, in.Key, in.Reason)
}

// resolveReview notes that a question was answered without a merge.
func (s *Server) resolveReview(r *http.Request, key, reason string) (any, error) {
	reason, err := reasonIn(reason)
	if err != nil {
		return nil, err
	}
	if err := s.Store.ResolveReview(r.Context(), key, s.Clock()); err != nil {
		return nil, err
	}
	return map[string]any{"key": key}, s.audit(r, "mapping.review", key, map[string]any{"reason": reason})
}
