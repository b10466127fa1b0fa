package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/calls"
	"github.com/df-middleware/dfm/internal/store"
)

type callsView struct {
	Calls    []callView
	Texts    []textView
	Show     string // calls or texts
	Names    map[string]string
	Query    url.Values
	Filtered bool
	Pager    pager
}

// callsPage lists calls, or texts, by the same filter.
func (s *Server) callsPage(r *http.Request) (view, error) {
	q := r.URL.Query()
	data := callsView{Show: "calls", Query: q}
	for name, values := range q {
		data.Filtered = data.Filtered || name != "cursor" && name != "limit" && name != "show" && strings.Join(values, "") != ""
	}
	var people []string
	var next *string
	var err error
	if q.Get("show") == "texts" {
		data.Show = "texts"
		if data.Texts, next, err = listOf[textView](s.listTexts(r)); err != nil {
			return view{}, err
		}
		for _, text := range data.Texts {
			people = append(people, text.PersonID)
		}
	} else {
		if data.Calls, next, err = listOf[callView](s.listCalls(r)); err != nil {
			return view{}, err
		}
		for _, call := range data.Calls {
			people = append(people, call.PersonID)
		}
	}
	if data.Names, err = s.namesOf(r.Context(), unique(people)); err != nil {
		return view{}, err
	}
	live := q.Get("cursor") == ""
	data.Pager = pagerOf(r, next)
	return view{template: "calls.html", title: "Messages and calls", section: "messages", live: live, data: data}, nil
}

// callPageView is one call with what is known of it and what was done about it.
type callPageView struct {
	callView
	Name    string
	Listen  string    // a link for the recording that ends soon; "" when there is none
	Said    []saidRow // what is known, in a few words each
	Texts   []saidRow // what fills paragraphs
	Effects []store.SyncRow
}

// saidRow is one thing that is known of a call, and when Aloware said so.
type saidRow struct {
	Name, Value string
	At          time.Time
}

// saidNames are the facts that a call's page lists, in this order.
func saidNames() []saidRow {
	return []saidRow{
		{Name: "Direction", Value: string(calls.Direction)}, {Name: "Ending", Value: string(calls.Ending)},
		{Name: "Disposition", Value: string(calls.Disposition)}, {Name: "Aloware user", Value: string(calls.Agent)},
		{Name: "Customer", Value: string(calls.Phone)}, {Name: "Our line", Value: string(calls.Line)},
		{Name: "Seconds", Value: string(calls.Duration)}, {Name: "Seconds talked", Value: string(calls.Talked)},
		{Name: "Outcomes of the summary", Value: string(calls.Outcomes)},
	}
}

// textNames are those that get a card of their own.
func textNames() []saidRow {
	return []saidRow{{Name: "Remarks", Value: string(calls.Remarks)}, {Name: "Summary", Value: string(calls.Summary)},
		{Name: "Transcript", Value: string(calls.Transcript)}}
}

// said fills in what is known of the named facts, and leaves out the others.
func said(facts calls.Facts, names []saidRow) []saidRow {
	var rows []saidRow
	for _, row := range names {
		if fact := facts[calls.Name(row.Value)]; fact.Value != "" {
			rows = append(rows, saidRow{row.Name, fact.Value, fact.At})
		}
	}
	return rows
}

func (s *Server) callPage(r *http.Request) (view, error) {
	ctx := r.Context()
	row, err := store.CallByID(ctx, s.Store, r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	data := callPageView{}
	if data.callView, err = viewCall(row); err != nil {
		return view{}, err
	}
	data.Said, data.Texts = said(data.Facts, saidNames()), said(data.Facts, textNames())
	if s.RecordingLink != nil && data.HasRecording {
		data.Listen = s.RecordingLink(row.ID)
	}
	if data.Effects, err = s.Store.SyncLog(ctx, store.SyncFilter{EntityID: row.ID, Limit: 200}); err != nil {
		return view{}, err
	}
	names, err := s.namesOf(ctx, []string{row.PersonID})
	data.Name = names[row.PersonID]
	return view{template: "call.html", title: "Call " + row.ID, section: "messages", live: true, data: data}, err
}
