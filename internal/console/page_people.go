package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
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

// fieldRow is one field as both sides held it when they last agreed.
type fieldRow struct {
	Field        string
	GHL, Aloware held
	Same         bool
}

// held is what a side held of a field; a side may not show it at all.
type held struct {
	Value string
	Known bool
}

type personPageView struct {
	personDetail
	Name     string
	Changes  []changeView // merges and splits
	Rows     []fieldRow
	Timeline []timelineEntry
}

func (s *Server) personPage(r *http.Request) (view, error) {
	answer, err := s.getPerson(r)
	if err != nil {
		return view{}, err
	}
	data := personPageView{personDetail: answer.(personDetail)}
	data.Rows = fieldRows(data.Agreed)
	if data.Timeline, _, err = listOf[timelineEntry](s.timeline(r)); err != nil {
		return view{}, err
	}
	changes, err := s.Store.PeopleChanges(r.Context(), data.ID, "", 20)
	if err != nil {
		return view{}, err
	}
	for _, c := range changes {
		data.Changes = append(data.Changes, viewChange(c))
	}
	names, err := s.namesOf(r.Context(), []string{data.ID})
	if err != nil {
		return view{}, err
	}
	if data.Name = names[data.ID]; data.Name == "" {
		data.Name = "Person " + short(data.ID)
	}
	return view{template: "person.html", title: data.Name, section: "people", live: true, data: data}, nil
}

// fieldRows lays what the sides hold side by side: the built-in fields in their
// order, custom ones by name, tags last.
func fieldRows(agreed map[df.Side]agreedView) []fieldRow {
	names := df.Fields()
	var custom []df.Field
	for _, side := range agreed {
		for field := range side.Fields {
			if _, ok := field.Custom(); ok {
				custom = append(custom, field)
			}
		}
	}
	slices.Sort(custom)
	var rows []fieldRow
	for _, field := range append(names, slices.Compact(custom)...) {
		ghl, aloware := heldBy(agreed[df.SideGHL], field), heldBy(agreed[df.SideAloware], field)
		if ghl.Known || aloware.Known {
			rows = append(rows, fieldRow{string(field), ghl, aloware, ghl == aloware})
		}
	}
	ghl, aloware := tagsOf(agreed[df.SideGHL]), tagsOf(agreed[df.SideAloware])
	if ghl.Known || aloware.Known {
		rows = append(rows, fieldRow{"tags", ghl, aloware, ghl == aloware})
	}
	return rows
}

func heldBy(side agreedView, field df.Field) held {
	value, known := side.Fields[field]
	return held{value, known}
}

func tagsOf(side agreedView) held { return held{strings.Join(side.Tags, ", "), side.Tags != nil} }

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
