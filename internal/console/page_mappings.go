package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

type mappingsView struct {
	Tab     string // mappings, questions or changes
	Tabs    []Tab
	Filters Filters
	People  []personView
	Reviews []reviewView
	Changes []changeView
	Names   map[string]string
	Empty   Empty
	Pager   pager
}

// mappingsPage shows which contacts are one person, what is not sure about that,
// and what was changed by hand.
func (s *Server) mappingsPage(r *http.Request) (view, error) {
	questions, err := s.Store.OpenQuestions(r.Context())
	if err != nil {
		return view{}, err
	}
	data := mappingsView{Tab: r.URL.Query().Get("view")}
	var read func(*http.Request, *mappingsView) error
	switch data.Tab {
	case "questions":
		read = s.readReviews
	case "changes":
		read = s.readChanges
	default:
		data.Tab, read = "mappings", s.readMappings
	}
	data.Tabs = []Tab{
		{Name: "Mappings", Link: "/mappings", Current: data.Tab == "mappings"},
		{Name: "Questions", Link: "/mappings?view=questions", Current: data.Tab == "questions", Count: number(questions.PeopleReviews)},
		{Name: "Merged and split", Link: "/mappings?view=changes", Current: data.Tab == "changes"},
	}
	return view{template: "mappings.html", title: "Mappings", section: "mappings", data: &data}, read(r, &data)
}

func (s *Server) readMappings(r *http.Request, data *mappingsView) error {
	data.Filters = FiltersOf(r, Filter{Name: "q", Label: "Any id, phone, e-mail or name"})
	found, err := s.Store.FindPeople(r.Context(), store.PersonSearch{Text: r.URL.Query().Get("q"), Before: r.URL.Query().Get("cursor"), Limit: pageRows})
	if err != nil {
		return err
	}
	data.Empty = Empty{Title: "Nobody is known yet", Text: "Mappings appear when the first contact arrives by webhook, or after a full sync of one side.", Link: "/connections", Label: "Connect a system"}
	if data.Filters.Active {
		data.Empty = Empty{Title: "Nobody fits", Text: "Every word must be found. If a system knows somebody who is missing here, repair the mapping below."}
	}
	data.People = viewPeople(found)
	ids := make([]string, len(found))
	for i, p := range found {
		ids[i] = p.ID
	}
	var next *string
	if len(found) == pageRows {
		next = &ids[pageRows-1]
	}
	data.Pager = pagerOf(r, next)
	data.Names, err = s.namesOf(r.Context(), ids)
	return err
}

func (s *Server) readReviews(r *http.Request, data *mappingsView) error {
	reviews, next, err := s.reviewsPage(r, pageRows)
	if err != nil {
		return err
	}
	data.Reviews, data.Pager = reviews, pagerOf(r, next)
	data.Empty = Empty{Title: "No questions", Text: "When a number or address fits several people, the middleware does not guess: it asks here."}
	var ids []string
	for _, one := range reviews {
		ids = append(append(ids, one.PersonID), one.Candidates...)
	}
	data.Names, err = s.namesOf(r.Context(), unique(ids))
	return err
}

func (s *Server) readChanges(r *http.Request, data *mappingsView) error {
	changes, next, err := listOf[changeView](s.listChanges(r))
	data.Changes, data.Pager = changes, pagerOf(r, next)
	data.Empty = Empty{Title: "Nobody was merged or split", Text: "What the middleware joins, and what operators merge or split, is kept here and can be undone."}
	return err
}

func (s *Server) repairFromPage(r *http.Request) (view, error) {
	value := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	phone := ""
	if text := value("phone"); text != "" {
		parsed, err := df.ParsePhone(text, "")
		if err != nil {
			return view{}, invalid("the phone must be a number such as +15005550111")
		}
		phone = string(parsed)
	}
	if phone+value("ghlContactId")+value("alowareContactId") == "" {
		return view{}, invalid("name somebody by phone, GoHighLevel contact id or Aloware contact id")
	}
	person, err := s.Sync.SyncContact(r.Context(), value("ghlContactId"), value("alowareContactId"), phone)
	if err != nil {
		return view{}, err
	}
	to := "/mappings"
	if person != "" {
		to = "/people/" + url.PathEscape(person)
	}
	return view{redirect: to, notice: "Asked for: both sides are read now, and what is missing is made."}, s.audit(r, "mapping.repair", person, nil)
}

// namedPerson is a person with the name that the sides agreed on.
type namedPerson struct {
	named
	Person personView
}

type mergeView struct {
	KeepID, EndID string
	Keep, End     namedPerson
	Ready         bool // both are there
}

func (s *Server) mergePage(r *http.Request) (view, error) {
	data := mergeView{KeepID: strings.TrimSpace(r.URL.Query().Get("keep")), EndID: strings.TrimSpace(r.URL.Query().Get("end"))}
	if data.KeepID != "" && data.EndID != "" {
		names, err := s.namesOf(r.Context(), []string{data.KeepID, data.EndID})
		if err != nil {
			return view{}, err
		}
		for _, one := range []struct {
			id string
			to *namedPerson
		}{{data.KeepID, &data.Keep}, {data.EndID, &data.End}} {
			p, err := store.PersonByID(r.Context(), s.Store, one.id)
			if err != nil {
				return view{}, err
			}
			*one.to = namedPerson{named{p.ID, names[p.ID]}, viewPerson(p)}
		}
		data.Ready = true
	}
	return view{template: "merge.html", title: "Merge two people", section: "mappings", data: data}, nil
}

func (s *Server) mergeFromPage(r *http.Request) (view, error) {
	keep := r.PostForm.Get("keep")
	_, err := s.merge(r, mergeWish{WinnerID: keep, LoserID: r.PostForm.Get("end"), Reason: r.PostForm.Get("reason")})
	return view{redirect: "/people/" + url.PathEscape(keep), notice: "They are one person now. Undo it below if it was a mistake."}, err
}

type splitView struct {
	personView
	Name   string
	Phones []df.Phone
}

func (s *Server) splitPage(r *http.Request) (view, error) {
	p, err := store.PersonByID(r.Context(), s.Store, r.URL.Query().Get("person"))
	if err != nil {
		return view{}, err
	}
	if !p.EndedAt.IsZero() || p.GHLContactID == "" || p.AlowareContactID == "" {
		return view{}, &df.Error{Code: "CONFLICT", Status: http.StatusConflict, Message: "Only somebody who has a contact at both systems can be split."}
	}
	names, err := s.namesOf(r.Context(), []string{p.ID})
	if err != nil {
		return view{}, err
	}
	data := splitView{personView: viewPerson(p), Name: names[p.ID], Phones: p.OtherPhones}
	if data.Name == "" {
		data.Name = short(p.ID)
	}
	if p.Phone != "" {
		data.Phones = append([]df.Phone{p.Phone}, p.OtherPhones...)
	}
	return view{template: "split.html", title: "Split", section: "mappings", data: data}, nil
}

func (s *Server) splitFromPage(r *http.Request) (view, error) {
	person := r.PostForm.Get("person")
	_, err := s.split(r, splitWish{PersonID: person, Side: df.Side(r.PostForm.Get("side")), Phones: r.PostForm["phone"],
		Email: r.PostForm.Get("email"), Reason: r.PostForm.Get("reason")})
	return view{redirect: "/people/" + url.PathEscape(person), notice: "They are two people now. Undo it below if it was a mistake."}, err
}

func (s *Server) undoPage(r *http.Request) (view, error) {
	c, err := s.Store.PeopleChange(r.Context(), r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	if !c.UndoneAt.IsZero() {
		return view{}, store.ErrState
	}
	return confirm("mappings", confirmation{
		Question: "Undo this " + c.Kind + "?", Subject: c.Reason, Button: "Undo", Reason: true, Back: "/mappings?view=changes", Post: r.URL.Path,
		Says: "Both people become again what they were before. What the systems hold is not taken back: it is compared anew. If either person has other contacts or numbers by now, nothing is changed.",
	}), nil
}

func (s *Server) undoFromPage(r *http.Request) (view, error) {
	_, err := s.revert(r, r.PostForm.Get("reason"))
	return view{redirect: "/mappings?view=changes", notice: "It is undone."}, err
}

func (s *Server) resolvePage(r *http.Request) (view, error) {
	key := r.URL.Query().Get("key")
	return confirm("mappings", confirmation{
		Question: "Are they different people?", Subject: key, Button: "They are different", Reason: true, Back: "/mappings?view=questions",
		Post: "/mappings/resolve", Fields: map[string]string{"key": key},
		Says: "The question is closed and not asked again. Nobody is changed.",
	}), nil
}

func (s *Server) resolveFromPage(r *http.Request) (view, error) {
	_, err := s.resolveReview(r, r.PostForm.Get("key"), r.PostForm.Get("reason"))
	return view{redirect: "/mappings?view=questions", notice: "The question is closed."}, err
}
