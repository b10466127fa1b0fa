package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/df-middleware/dfm/internal/converge"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// openMost is as far as the open conflicts are counted. Every one of them was
// decided by a rule, so none waits for a person and the menu shows no number.
const openMost = 1000

type conflictsView struct {
	Conflicts []conflictView
	Names     map[string]string
	Filters   Filters
	Open      string     // how many are open, "1,000+" for more than are counted
	Asked     bulkFields // the filters, sent along unseen
	Empty     Empty
	Pager     pager
}

// bulkFields are the name and value of each filter that is set.
type bulkFields [][2]string

func (s *Server) conflictsPage(r *http.Request) (view, error) {
	conflicts, next, err := listOf[conflictView](s.listConflicts(r))
	if err != nil {
		return view{}, err
	}
	data := conflictsView{Conflicts: conflicts, Pager: pagerOf(r, next), Filters: conflictFilters(r), Asked: conflictFields(r.URL.Query())}
	open, err := s.Store.OpenConflicts(r.Context(), openMost)
	if err != nil {
		return view{}, err
	}
	if data.Open = number(open); open == openMost {
		data.Open += "+"
	}
	data.Empty = Empty{Title: "No conflicts", Text: "Nobody has changed the same field on both sides between two convergences. When somebody does, both values and the rule that chose are kept here."}
	if data.Filters.Active {
		data.Empty = Empty{Title: "No conflict fits", Text: "Take a filter away.", Link: "/conflicts", Label: "Clear all filters"}
	}
	ids := make([]string, len(conflicts))
	for i, c := range conflicts {
		ids[i] = c.PersonID
	}
	if data.Names, err = s.namesOf(r.Context(), unique(ids)); err != nil {
		return view{}, err
	}
	return view{template: "conflicts.html", title: "Conflicts", section: "conflicts", watch: "conflicts", live: r.URL.Query().Get("cursor") == "", data: data}, nil
}

func conflictFilters(r *http.Request) Filters {
	var states []Option
	for _, state := range store.ConflictStates() {
		states = append(states, Option{Value: state, Label: state})
	}
	return FiltersOf(r,
		Filter{Name: "state", Label: "State", Kind: "select", Options: states},
		Filter{Name: "field", Label: "Field", Hint: "city"},
		Filter{Name: "chosen", Label: "Side that won", Kind: "select", Options: []Option{{"ghl", "GoHighLevel"}, {"aloware", "Aloware"}, {"none", "neither"}}},
		Filter{Name: "personId", Label: "Person's id"},
	)
}

// conflictFields are the filters that a bulk act takes over from the list; what is
// not open cannot be accepted.
func conflictFields(form url.Values) bulkFields {
	var fields bulkFields
	for _, name := range []string{"field", "chosen", "personId"} {
		if value := form.Get(name); value != "" {
			fields = append(fields, [2]string{name, value})
		}
	}
	return fields
}

type conflictPageView struct {
	conflictView
	Name    string
	Sides   []conflictSide
	Policy  string // why the rule is the field's
	Choices []choiceView
	Event   string // the event that the run was for
}

// conflictSide is one side of a conflict.
type conflictSide struct {
	Side      df.Side
	Base, Had held
	Shows     held      // when both last agreed
	EventID   string    // the last announcement of a change there before the conflict
	ToldAt    time.Time // when it came
	Won       bool
}

func (s *Server) conflictPage(r *http.Request) (view, error) {
	k, err := store.ConflictByID(r.Context(), s.Store, r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	data := conflictPageView{conflictView: viewConflict(k), Event: k.CorrelationID, Policy: whyRule(k)}
	if data.Name, err = s.nameOf(r.Context(), k.PersonID); err != nil {
		return view{}, err
	}
	agreements, err := s.Store.Agreements(r.Context(), k.PersonID)
	if err != nil {
		return view{}, err
	}
	for _, side := range []df.Side{df.SideGHL, df.SideAloware} {
		one := conflictSide{Side: side, Won: k.Chosen == side, Base: valueIn(k.Base, side), Had: valueIn(k.Seen, side)}
		for _, a := range agreements {
			if a.Side == side {
				one.Shows.Value, one.Shows.Known = a.Fields[k.Field], true
			}
		}
		if one.EventID, one.ToldAt, err = s.toldOf(r, k, side); err != nil {
			return view{}, err
		}
		data.Sides = append(data.Sides, one)
	}
	data.Choices, err = s.choicesOf(r, k)
	return view{template: "conflict.html", title: "Conflict about " + string(k.Field), section: "conflicts", watch: "conflicts", live: true, data: data}, err
}

func valueIn(values map[df.Side]string, side df.Side) held {
	value, known := values[side]
	return held{value, known}
}

// toldLook is how many of a person's events before a conflict are looked through
// for the one that told of the change.
const toldLook = 20

// toldOf finds the last announcement of a change at a side before a conflict was
// found, which is as near as we know to when the side changed.
func (s *Server) toldOf(r *http.Request, k store.Conflict, side df.Side) (string, time.Time, error) {
	events, err := s.Store.Events(r.Context(), store.EventFilter{Source: df.Source(side), Person: k.PersonID, To: k.At, Limit: toldLook})
	for _, e := range events {
		switch e.Notice.Kind {
		case df.KindContactCreated, df.KindContactUpdated, df.KindContactDisposed:
			if e.Notice.OccurredAt.IsZero() {
				return e.ID, e.ReceivedAt, err
			}
			return e.ID, e.Notice.OccurredAt, err
		}
	}
	return "", time.Time{}, err
}

// whyRule says in words why the rule decided as it did.
func whyRule(k store.Conflict) string {
	switch converge.FieldRule(k.Rule) {
	case converge.PreferGHL:
		return "both sides may change the field; where both did, GoHighLevel wins"
	case converge.PreferAloware:
		return "both sides may change the field; where both did, Aloware wins"
	case converge.MirrorGHL:
		return "Aloware is a copy of GoHighLevel in this field"
	case converge.MirrorAloware:
		return "GoHighLevel is a copy of Aloware in this field"
	}
	if k.Rule == "breaker" {
		return "the field was written too often in a short time, so that nothing was chosen and it was held back"
	}
	return ""
}

// choiceAsked returns what the request wants to choose.
func (s *Server) choiceAsked(r *http.Request, choice string) (store.Conflict, choiceView, error) {
	k, err := store.ConflictByID(r.Context(), s.Store, r.PathValue("id"))
	if err != nil {
		return k, choiceView{}, err
	}
	choices, err := s.choicesOf(r, k)
	at := slices.IndexFunc(choices, func(c choiceView) bool { return c.Choice == choice })
	switch {
	case err != nil:
		return k, choiceView{}, err
	case at < 0:
		return k, choiceView{}, invalid("choose what the rule decided, or a side's value")
	case k.State != store.ConflictOpen:
		return k, choices[at], store.ErrState
	case choices[at].Barred != "":
		return k, choices[at], onlyKept(choices[at].Barred, choices[at].Says)
	}
	return k, choices[at], nil
}

// confirmConflict is the page between a choice and what it does.
func (s *Server) confirmConflict(r *http.Request) (view, error) {
	k, choice, err := s.choiceAsked(r, r.URL.Query().Get("choice"))
	if err != nil {
		return view{}, err
	}
	back := "/conflicts/" + url.PathEscape(k.ID)
	c := confirmation{
		Question: "Accept what the rule decided?", Button: "Accept", Says: "The conflict is closed. Nothing is written to any system.",
		Subject: string(k.Field) + " of " + short(k.PersonID), Post: back + "/resolve", Back: back, Reason: true, Fields: map[string]string{"choice": choice.Choice},
	}
	if choice.Choice != store.ConflictKeep {
		c.Question = "Let the value of " + system(choice.Choice) + " stand on both sides?"
		c.Button, c.Danger = "Let “"+choice.Value+"” stand", true
		c.Says = "“" + choice.Value + "” " + says(choice) + " Both sides are read first: where one of them shows something newer by then, nothing is written."
	}
	return confirm("conflicts", c), nil
}

// says tells what a choice would have written where.
func says(choice choiceView) string {
	switch {
	case len(choice.Writes) == 2:
		return "is written to GoHighLevel and to Aloware."
	case len(choice.Writes) == 1:
		return "is written to " + system(choice.Writes[0]) + "; the other side has it."
	case choice.Says != "":
		return "is not going to be written as things stand: " + choice.Says + "."
	}
	return "is written wherever it does not stand yet."
}

func (s *Server) conflictFromPage(r *http.Request) (view, error) {
	if _, err := reasonOf(r); err != nil {
		return view{}, err
	}
	k, err := s.resolve(r, resolution{Choice: r.PostForm.Get("choice"), Reason: r.PostForm.Get("reason")})
	notice := "The conflict is accepted as the rule decided it."
	if k.Choice != store.ConflictKeep {
		notice = "Asked for: both sides are read now, and the value is written where it does not stand."
	}
	return view{redirect: "/conflicts/" + url.PathEscape(k.ID), notice: notice}, err
}

type conflictBulkView struct {
	Count  bulkCount
	Fields bulkFields // sent along unseen
	Most   string
	Back   string
}

// bulkConflictsOf reads what the form of the list or of the page that counts asks for.
func bulkConflictsOf(form url.Values) (bulkChoice, error) {
	in := bulkChoice{Action: "accept", Reason: form.Get("reason")}
	if form.Get("which") == "ticked" {
		if in.IDs = form["id"]; len(in.IDs) == 0 {
			return in, invalid("tick at least one conflict first")
		}
		return in, nil
	}
	in.Filter = &bulkConditions{PersonID: form.Get("personId"), Field: df.Field(form.Get("field")), Chosen: df.Side(form.Get("chosen"))}
	if *in.Filter == (bulkConditions{}) {
		return in, invalid("filter the conflicts by field, side or person first, so that it is not all of them")
	}
	return in, nil
}

// conflictBulkPage counts before anything is done.
func (s *Server) conflictBulkPage(r *http.Request) (view, error) {
	form := r.URL.Query()
	in, err := bulkConflictsOf(form)
	if err != nil {
		return view{}, err
	}
	filter, err := in.filter()
	if err != nil {
		return view{}, err
	}
	count, err := s.Store.CountOpen(r.Context(), filter, acceptMost)
	if err != nil {
		return view{}, err
	}
	data := conflictBulkView{Count: bulkCount(count), Fields: bulkAddress(form), Most: number(acceptMost), Back: "/conflicts"}
	if form.Get("which") != "ticked" {
		back := url.Values{}
		for _, field := range conflictFields(form) {
			back.Set(field[0], field[1])
		}
		data.Back += "?" + back.Encode()
	}
	data.Fields = append(data.Fields, [2]string{"conflicts", strconv.FormatInt(count.Conflicts, 10)}, [2]string{"untilSeq", strconv.FormatInt(count.UntilSeq, 10)})
	return view{template: "conflictbulk.html", title: "Accept conflicts", section: "conflicts", data: data}, nil
}

// bulkAddress are the fields by which the same conflicts are asked for again.
func bulkAddress(form url.Values) bulkFields {
	if form.Get("which") == "ticked" {
		fields := bulkFields{{"which", "ticked"}}
		for _, id := range form["id"] {
			fields = append(fields, [2]string{"id", id})
		}
		return fields
	}
	return append(bulkFields{{"which", "all"}}, conflictFields(form)...)
}

// conflictBulkFromPage does what was confirmed. When more fits by now it asks again.
func (s *Server) conflictBulkFromPage(r *http.Request) (view, error) {
	in, err := bulkConflictsOf(r.PostForm)
	if err != nil {
		return view{}, err
	}
	in.Conflicts, err = strconv.ParseInt(r.PostForm.Get("conflicts"), 10, 64)
	until, err2 := strconv.ParseInt(r.PostForm.Get("untilSeq"), 10, 64)
	if err != nil || err2 != nil || until < 1 {
		return view{}, invalid("count the conflicts first")
	}
	in.UntilSeq = until
	filter, err := in.filter()
	if err != nil {
		return view{}, err
	}
	accepted, err := s.acceptMany(r, in, filter)
	var known *df.Error
	if errors.As(err, &known) && known.Status == http.StatusConflict {
		again := url.Values{}
		for _, field := range bulkAddress(r.PostForm) {
			again.Add(field[0], field[1])
		}
		return view{redirect: "/conflicts/bulk?" + again.Encode(),
			notice: "Nothing was done: more conflicts fit by now than the " + number(in.Conflicts) + " that you confirmed. Look at the number again."}, nil
	}
	return view{redirect: "/conflicts", notice: "Accepted: " + many(accepted, "conflict", "conflicts") + "."}, err
}
