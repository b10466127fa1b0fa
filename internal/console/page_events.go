package console

import (
	"bytes"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

type eventsView struct {
	Events []eventView
	// SearchedTo is how far back bodies were searched; nil when that was all.
	SearchedTo *time.Time
	Sources    []df.Source
	Statuses   []df.Status
	Query      url.Values
	Filtered   bool
	Bulk       bool        // whether many can be acted on at once
	Filter     [][2]string // name and value of each filter that is set
	Pager      pager
}

// eventsPage lists events. It filters and pages as its JSON twin does; only
// times may also be written as browsers do, and mean UTC then.
func (s *Server) eventsPage(r *http.Request) (view, error) {
	twin := r.Clone(r.Context())
	q := r.URL.Query()
	for _, name := range []string{"from", "to"} {
		for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
			if t, err := time.Parse(layout, q.Get(name)); err == nil {
				q.Set(name, t.Format(time.RFC3339))
			}
		}
	}
	twin.URL.RawQuery = q.Encode()
	answer, err := s.listEvents(twin)
	var searchedTo *time.Time
	if found, ok := answer.(searched); ok {
		answer, searchedTo = found.page, found.SearchedTo
	}
	events, next, err := listOf[eventView](answer, err)
	if err != nil {
		return view{}, err
	}
	data := eventsView{
		Events: events, SearchedTo: searchedTo, Statuses: df.Statuses(), Query: r.URL.Query(), Pager: pagerOf(r, next),
		Sources: []df.Source{df.SourceGHL, df.SourceAloware, df.SourceTexting, df.SourceBroadcast},
	}
	for _, name := range []string{"source", "status", "type", "person", "entityId", "q", "from", "to"} {
		if value := data.Query.Get(name); value != "" {
			data.Filter = append(data.Filter, [2]string{name, value})
		}
	}
	data.Filtered = len(data.Filter) > 0
	_, data.Bulk = s.book.see["/events/bulk"]
	return view{template: "events.html", title: "Events", section: "events", live: data.Query.Get("cursor") == "", watch: "events", data: data}, nil
}

type eventPageView struct {
	eventView
	Raw        []byte // without links to recordings
	Hidden     bool   // whether there are such links
	Bytes      int    // as received
	Headers    map[string]string
	History    []store.Attempt
	Effects    []store.SyncRow
	Changes    []fieldChange
	Actions    []eventAction
	Repeats    int64
	RepeatedAt time.Time
	Around     []eventView // events about the same, newest first, this one among them
	Previous   string      // the event before, for a comparison
}

// aroundMost is how many events before and after one are shown beside it.
const aroundMost = 5

func (s *Server) eventPage(r *http.Request) (view, error) {
	ctx := r.Context()
	e, err := s.Store.Event(ctx, r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	data := eventPageView{eventView: viewEvent(e), Raw: masked(e.Raw), Bytes: len(e.Raw), Headers: e.Headers, Actions: eventActions(e)}
	data.Hidden = !bytes.Equal(data.Raw, e.Raw)
	if data.History, err = s.Store.Attempts(ctx, e.ID); err != nil {
		return view{}, err
	}
	if data.Effects, err = s.Store.SyncLog(ctx, store.SyncFilter{CorrelationID: e.ID, Limit: 200}); err != nil {
		return view{}, err
	}
	data.Changes = changesOf(data.Effects)
	if data.Repeats, data.RepeatedAt, err = s.Store.Repeats(ctx, e.ID); err != nil {
		return view{}, err
	}
	before, after, err := s.Store.Neighbours(ctx, e, aroundMost)
	if err != nil {
		return view{}, err
	}
	if len(before) > 0 {
		data.Previous = before[0].ID
	}
	if len(before)+len(after) > 0 {
		data.Around = viewEvents(slices.Concat(after, []df.Event{e}, before))
	}
	return view{template: "event.html", title: "Event " + short(e.ID), section: "events", live: true, data: data}, nil
}

// rawEvent hands out the body as a file: a hostile payload must not become a page
// of ours. Administrators get it exactly as it came; for others links to recordings,
// which need no login, are hidden.
func (s *Server) rawEvent(w http.ResponseWriter, r *http.Request) {
	e, err := s.Store.Event(r.Context(), r.PathValue("id"))
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": "event-" + e.ID + ".bin"}))
	raw := e.Raw
	if !visitorOf(r).role.Allows(Admin) {
		raw = masked(raw)
	}
	_, _ = w.Write(raw) // the reader may have gone
}

// eventAction is something that an operator can do to an event.
type eventAction struct {
	Name   string // in the address
	Label  string
	Says   string // what will happen
	Done   string // what has happened
	Danger bool
}

var (
	replayAction = eventAction{Name: "replay", Label: "Replay", Done: "The event is back in its lane.",
		Says: "The event goes back into its person's lane and is handled as if it had just arrived. What both sides hold now is read first, so a replay never brings old values back."}
	retryAction = eventAction{Name: "replay", Label: "Try again now", Done: "The event will be tried at once.",
		Says: "The event is tried again at once instead of at its planned time."}
	releaseAction = eventAction{Name: "release", Label: "Release", Done: "The event is back in its lane.",
		Says: "The event leaves quarantine, with its tries counted anew, and is handled in its person's lane."}
	quarantineAction = eventAction{Name: "quarantine", Label: "Quarantine", Danger: true, Done: "The event is quarantined.",
		Says: "The event is taken out of its lane and has no effect until somebody releases it. Other events of the person go on."}
	markDoneAction = eventAction{Name: "mark-done", Label: "Mark done", Danger: true, Done: "The event is marked as done.",
		Says: "The event is counted as done without any effect. Do this when you have put right by hand what it was about."}
)

// eventActions lists what can be done to an event in its state. One that never
// had a lane was skipped on arrival: there is nothing to do again.
func eventActions(e df.Event) []eventAction {
	switch {
	case e.Lane == "":
		return nil
	case e.Status == df.Failed:
		return []eventAction{retryAction, quarantineAction, markDoneAction}
	case e.Status == df.Quarantined:
		return []eventAction{releaseAction, markDoneAction}
	case e.Status.Open():
		return []eventAction{quarantineAction, markDoneAction}
	default:
		return []eventAction{replayAction}
	}
}

// wantedAction returns the event of the request and what is to be done to it.
func (s *Server) wantedAction(r *http.Request) (df.Event, eventAction, error) {
	e, err := s.Store.Event(r.Context(), r.PathValue("id"))
	if err != nil {
		return e, eventAction{}, err
	}
	for _, action := range eventActions(e) {
		if action.Name == r.PathValue("action") {
			return e, action, nil
		}
	}
	return e, eventAction{}, store.ErrState
}

// confirmation is the page between a button and what it does.
type confirmation struct {
	Question string
	Says     string
	Subject  string
	Post     string
	Back     string
	Button   string
	Danger   bool
	Reason   bool              // a reason must be given
	Overlap  bool              // asks how long the old key goes on working
	Fields   map[string]string // sent along unseen
}

func confirm(section string, c confirmation) view {
	return view{template: "confirm.html", title: c.Question, section: section, data: c}
}

func (s *Server) confirmEvent(r *http.Request) (view, error) {
	e, action, err := s.wantedAction(r)
	if err != nil {
		return view{}, err
	}
	back := "/events/" + url.PathEscape(e.ID)
	return confirm("events", confirmation{
		Question: action.Label + "?", Says: action.Says, Subject: e.Notice.Type + " of " + system(e.Source) + ", " + e.ID,
		Post: back + "/" + action.Name, Back: back, Button: action.Label, Danger: action.Danger, Reason: true,
	}), nil
}

// reasonOf reads the reason that the audit log will name.
func reasonOf(r *http.Request) (string, error) {
	return reasonIn(r.PostForm.Get("reason"))
}

func (s *Server) changeEvent(r *http.Request) (view, error) {
	e, action, err := s.wantedAction(r)
	if err != nil {
		return view{}, err
	}
	reason, err := reasonOf(r)
	if err != nil {
		return view{}, err
	}
	ctx := r.Context()
	switch action.Name {
	case "quarantine":
		err = s.Store.CloseEvent(ctx, e.ID, df.Quarantined, reason, s.Clock())
	case "mark-done":
		err = s.Store.CloseEvent(ctx, e.ID, df.Done, reason, s.Clock())
	default:
		err = s.reopen(ctx, e)
	}
	if err != nil {
		return view{}, err
	}
	if _, err := s.changedEvent(r, "event."+action.Name, e.ID, reason); err != nil {
		return view{}, err
	}
	return view{redirect: "/events/" + url.PathEscape(e.ID), notice: action.Done}, nil
}
