package console

import (
	"net/http"
	"net/url"

	"github.com/df-middleware/dfm/internal/df"
)

// comparedFact is one fact of two events, side by side.
type comparedFact struct {
	Name    string
	A, B    any
	Differs bool
}

type compareView struct {
	A, B    eventView
	Facts   []comparedFact
	Changes []jsonChange // paths that differ
	Same    []jsonChange
}

// comparePage shows two events side by side. Two that were ticked in the list come
// as two ids.
func (s *Server) comparePage(r *http.Request) (view, error) {
	q := r.URL.Query()
	if ids := q["id"]; len(ids) > 0 {
		if len(ids) != 2 {
			return view{}, invalid("tick exactly two events to compare them")
		}
		return view{redirect: "/events/compare?" + url.Values{"a": {ids[1]}, "b": {ids[0]}}.Encode()}, nil // the list has the newer one first
	}
	a, err := s.Store.Event(r.Context(), q.Get("a"))
	if err != nil {
		return view{}, err
	}
	b, err := s.Store.Event(r.Context(), q.Get("b"))
	if err != nil {
		return view{}, err
	}
	data := compareView{A: viewEvent(a), B: viewEvent(b), Facts: compareFacts(a, b)}
	for _, change := range diffJSON(masked(a.Raw), masked(b.Raw)) {
		if change.Kind == "same" {
			data.Same = append(data.Same, change)
		} else {
			data.Changes = append(data.Changes, change)
		}
	}
	return view{template: "compare.html", title: "Compare two events", section: "events", data: data}, nil
}

func compareFacts(a, b df.Event) []comparedFact {
	var facts []comparedFact
	add := func(name string, left, right any) {
		facts = append(facts, comparedFact{name, left, right, left != right})
	}
	add("Source", system(a.Source), system(b.Source))
	add("Type", a.Notice.Type, b.Notice.Type)
	add("Meaning", string(a.Notice.Kind), string(b.Notice.Kind))
	add("Status", string(a.Status), string(b.Status))
	add("Reason", a.Reason, b.Reason)
	add("Received", a.ReceivedAt, b.ReceivedAt)
	add("Happened", a.Notice.OccurredAt, b.Notice.OccurredAt)
	add("Finished", a.ProcessedAt, b.ProcessedAt)
	add("Person", a.PersonID, b.PersonID)
	add("Entity", a.Notice.EntityType+" "+a.Notice.EntityID, b.Notice.EntityType+" "+b.Notice.EntityID)
	add("Contact", a.Notice.ContactID, b.Notice.ContactID)
	add("Tries", a.Attempts, b.Attempts)
	add("Proof", a.Verified, b.Verified)
	add("Route", a.Route, b.Route)
	add("Dedupe key", a.DedupeKey, b.DedupeKey)
	return facts
}
