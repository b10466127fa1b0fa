package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/explain"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// pageRows is how many rows a page of people or issues shows.
const pageRows = 50

type peopleView struct {
	People []personView
	Names  map[string]string
	Text   string
	Pager  pager
}

func (s *Server) peoplePage(r *http.Request) (view, error) {
	q := r.URL.Query()
	data := peopleView{Text: strings.TrimSpace(q.Get("q"))}
	found, err := s.Store.FindPeople(r.Context(), store.PersonSearch{Text: data.Text, Before: q.Get("cursor"), Limit: pageRows})
	if err != nil {
		return view{}, err
	}
	ids := make([]string, len(found))
	for i, p := range found {
		data.People, ids[i] = append(data.People, viewPerson(p)), p.ID
	}
	if data.Names, err = s.namesOf(r.Context(), ids); err != nil {
		return view{}, err
	}
	var next *string
	if len(found) == pageRows {
		next = &ids[len(ids)-1]
	}
	data.Pager = pagerOf(r, next)
	return view{template: "people.html", title: "People", section: "people", data: data}, nil
}

// namesOf returns the names of people as the sides last agreed on them. Who has
// none is missing.
func (s *Server) namesOf(ctx context.Context, ids []string) (map[string]string, error) {
	agreed, err := s.Store.AgreementsOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for id, sides := range agreed {
		if name := nameIn(sides); name != "" {
			names[id] = name
		}
	}
	return names, nil
}

func nameIn(sides []store.Agreement) string {
	// GoHighLevel's form of a name is shown when both have one.
	slices.SortStableFunc(sides, func(a, b store.Agreement) int { return -strings.Compare(string(a.Side), string(b.Side)) })
	for _, a := range sides {
		if name := strings.TrimSpace(a.Fields[df.FirstName] + " " + a.Fields[df.LastName]); name != "" {
			return name
		}
	}
	return ""
}

type personPageView struct {
	personDetail
	Name      string
	Erasable  bool
	Readable  bool
	Changes   []changeView // merges and splits
	Fields    fieldsView
	Answers   []explain.Answer
	Tabs      []Tab
	Timeline  []timelineEntry
	Pager     pager
	ReadError string
}

func (s *Server) personPage(r *http.Request) (view, error) {
	v, err := s.person(r, nil)
	if err != nil && df.AsError(err).Code == codeErased {
		return s.erasedPage(r)
	}
	return v, err
}

// person makes a person's page, with what both sides were just found to hold or,
// without, as they last agreed.
func (s *Server) person(r *http.Request, now *converge.View) (view, error) {
	ctx := r.Context()
	answer, err := s.getPerson(r)
	if err != nil {
		return view{}, err
	}
	data := personPageView{personDetail: answer.(personDetail), Erasable: s.book.has("/people/{id}/erase"), Readable: s.Look != nil}
	conflicts, err := s.Store.Conflicts(ctx, store.ConflictFilter{PersonID: data.ID, Limit: timelineConflicts})
	if err != nil {
		return view{}, err
	}
	data.Fields = s.fieldsOf(data.personDetail, conflicts, now)
	var next *string
	if data.Timeline, next, err = listOf[timelineEntry](s.timeline(r)); err != nil {
		return view{}, err
	}
	data.Tabs, data.Pager = timelineTabs(r), pagerOf(r, next)
	changes, err := s.Store.PeopleChanges(ctx, data.ID, "", 20)
	if err != nil {
		return view{}, err
	}
	for _, c := range changes {
		data.Changes = append(data.Changes, viewChange(c))
	}
	if s.Explain != nil {
		if data.Answers, err = s.Explain.All(ctx, data.ID); err != nil {
			return view{}, err
		}
	}
	data.Name, err = s.nameOf(ctx, data.ID)
	live := now == nil && r.URL.Query().Get("cursor") == ""
	return view{template: "person.html", title: data.Name, section: "people", live: live, data: data}, err
}

// timelineConflicts is how many conflicts of a person are looked through for the
// fields they were about.
const timelineConflicts = 200

// nameOf names one person, by id when there is no name.
func (s *Server) nameOf(ctx context.Context, id string) (string, error) {
	names, err := s.namesOf(ctx, []string{id})
	if name := names[id]; name != "" {
		return name, err
	}
	return "Person " + short(id), err
}

// timelineTabs are the ways to look at a timeline, by kind.
func timelineTabs(r *http.Request) []Tab {
	path, asked := "/people/"+url.PathEscape(r.PathValue("id")), r.URL.Query()["kind"]
	tabs := []Tab{{Name: "All", Link: path, Current: len(asked) == 0}}
	for _, group := range []struct {
		name  string
		kinds []string
	}{
		{"Events", []string{store.MomentEvent}}, {"Writes", []string{store.MomentSync}}, {"Conflicts", []string{store.MomentConflict}},
		{"Texts", []string{store.MomentMessage}}, {"Calls", []string{store.MomentCall}},
		{"Appointments", []string{store.MomentAppointment, store.MomentOpportunity}}, {"Lists", []string{store.MomentList}},
		{"Consent", []string{store.MomentConsent, store.MomentIncident}}, {"Operators", []string{store.MomentAction, store.MomentChange}},
	} {
		link := path + "?" + url.Values{"kind": group.kinds}.Encode()
		tabs = append(tabs, Tab{Name: group.name, Link: link, Current: slices.Equal(group.kinds, asked)})
	}
	return tabs
}

// readPerson shows what both sides hold at this moment. It changes nothing. The
// calls count to the accounts' budgets and are not made when one is used up.
func (s *Server) readPerson(r *http.Request) (view, error) {
	if s.Look == nil {
		return view{}, store.ErrNotFound
	}
	found, err := s.Look.Look(r.Context(), r.PathValue("id"))
	if errors.Is(err, people.ErrNotFound) {
		return view{}, store.ErrNotFound
	}
	if err == nil {
		return s.person(r, &found)
	}
	var call *df.CallError
	if !errors.As(err, &call) {
		return view{}, err
	}
	v, failed := s.person(r, nil)
	if data, ok := v.data.(personPageView); ok {
		data.ReadError = call.Error()
		v.data, v.live = data, false
	}
	return v, failed
}

type erasedView struct {
	ID    string
	Facts []Fact
}

// erasedPage tells of a person who was erased, as the audit log does.
func (s *Server) erasedPage(r *http.Request) (view, error) {
	id := r.PathValue("id")
	row, err := s.Store.LastAction(r.Context(), "person.erase", id)
	if err != nil {
		return view{}, err
	}
	return view{template: "erased.html", title: "Erased", section: "people", data: erasedView{id, []Fact{
		{Name: "Erased", Value: row.At}, {Name: "By", Value: row.Actor}, {Name: "Reason", Value: row.Details["reason"]}, {Name: "Id", Value: id, Code: true}}}}, nil
}

// convergePerson asks for a convergence of the person, who is named by what the
// sides know best.
func (s *Server) convergePerson(r *http.Request) (view, error) {
	p, err := store.PersonByID(r.Context(), s.Store, r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	if !p.EndedAt.IsZero() {
		return view{}, store.ErrState
	}
	ghl, aloware, phone := p.GHLContactID, "", ""
	switch {
	case ghl != "":
	case p.AlowareContactID != "":
		aloware = p.AlowareContactID
	default:
		phone = string(p.Phone)
	}
	if _, err := s.Sync.SyncContact(r.Context(), ghl, aloware, phone); err != nil {
		return view{}, err
	}
	if err := s.audit(r, "person.converge", p.ID, nil); err != nil {
		return view{}, err
	}
	return view{redirect: "/people/" + url.PathEscape(p.ID), notice: "Asked for: both sides are read now, and what differs is written."}, nil
}
