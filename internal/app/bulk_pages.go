package app

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/replay"
	"github.com/df-middleware/dfm/internal/store"
)

// bulkWord is how a bulk action is spoken of.
type bulkWord struct {
	Verb, Says string
	Danger     bool
}

var bulkWords = map[string]bulkWord{
	store.BulkReplay: {Verb: "Replay", Says: "They go back into their people's lanes, oldest first, and are handled as if they had just arrived. " +
		"What both sides hold now is read first, so a replay never brings old values back. What is superseded is passed over."},
	store.BulkRelease: {Verb: "Release", Says: "They leave quarantine, with their tries counted anew, and are handled in their people's lanes. " +
		"What is superseded is ended as skipped."},
	store.BulkQuarantine: {Verb: "Quarantine", Danger: true,
		Says: "They are taken out of their lanes and have no effect until somebody releases them. Other events of these people go on."},
	store.BulkMarkDone: {Verb: "Mark done", Danger: true,
		Says: "They are counted as done without any effect. Do this when you have put right by hand what they were about."},
}

type bulkPageData struct {
	bulkWord
	Action   string
	Estimate replay.Estimate
	Reopens  bool
	ByStatus []statusCount
	Fields   []console.Filter // sent along unseen
	Back     string
}

type statusCount struct {
	Status df.Status
	Events int64
}

// bulkFields are what the address of the page and its form have in common.
func bulkFields(form url.Values) (fields []console.Filter, filter url.Values) {
	filter = url.Values{}
	names := []string{"source", "status", "type", "person", "entityId", "q", "from", "to"}
	if form.Get("which") == "ticked" {
		names = []string{"id"}
	}
	for _, name := range names {
		for _, value := range form[name] {
			if value != "" {
				filter.Add(name, value)
				fields = append(fields, console.Filter{Name: name, Value: value})
			}
		}
	}
	for _, name := range []string{"action", "which"} {
		fields = append(fields, console.Filter{Name: name, Value: form.Get(name)})
	}
	return fields, filter
}

// bulkOf reads what is asked for.
func bulkOf(r *http.Request, form url.Values) (bulkAsked, error) {
	asked := bulkAsked{Action: form.Get("action"), Reason: form.Get("reason")}
	if form.Get("which") == "ticked" {
		if asked.IDs = form["id"]; len(asked.IDs) == 0 {
			return asked, badRequest("tick at least one event first")
		}
		return asked, nil
	}
	filter, err := filterOf(r, form)
	if err == nil && filter == (ReplayFilter{}) {
		err = badRequest("filter the events first, so that it is not all of them")
	}
	asked.Filter = &filter
	return asked, err
}

// bulkPage is the page between the choice and what it does: it counts.
func (a *App) bulkPage(r *http.Request) (console.Page, error) {
	form := r.URL.Query()
	in, err := bulkOf(r, form)
	if err != nil {
		return console.Page{}, err
	}
	asked, err := in.asked(console.ActorOf(r))
	if err != nil {
		return console.Page{}, err
	}
	data := bulkPageData{bulkWord: bulkWords[in.Action], Action: in.Action, Reopens: in.Action == store.BulkReplay || in.Action == store.BulkRelease}
	if data.Estimate, err = a.replays.desk.Estimate(r.Context(), asked); err != nil {
		return console.Page{}, err
	}
	for _, status := range df.Statuses() {
		if n := data.Estimate.ByStatus[status]; n > 0 {
			data.ByStatus = append(data.ByStatus, statusCount{status, n})
		}
	}
	var filter url.Values
	data.Fields, filter = bulkFields(form)
	data.Fields = append(data.Fields, console.Filter{Name: "events", Value: strconv.FormatInt(data.Estimate.Events, 10)},
		console.Filter{Name: "untilSeq", Value: strconv.FormatInt(data.Estimate.UntilSeq, 10)})
	data.Back = "/events"
	if filter.Del("id"); len(filter) > 0 {
		data.Back += "?" + filter.Encode()
	}
	return console.Page{Template: "bulk.html", Title: data.Verb, Section: "events", Data: data}, nil
}

// bulkFromPage does what was confirmed. When more fits by now it asks again.
func (a *App) bulkFromPage(r *http.Request) (console.Page, error) {
	in, err := bulkOf(r, r.PostForm)
	if err != nil {
		return console.Page{}, err
	}
	in.Events, err = strconv.ParseInt(r.PostForm.Get("events"), 10, 64)
	until, err2 := strconv.ParseInt(r.PostForm.Get("untilSeq"), 10, 64)
	if err != nil || err2 != nil || until < 1 {
		return console.Page{}, badRequest("count the events first")
	}
	in.UntilSeq = until
	asked, err := in.asked(console.ActorOf(r))
	if err != nil {
		return console.Page{}, err
	}
	started, err := a.beginConfirmed(r.Context(), asked, in.kept())
	var known *df.Error
	if errors.As(err, &known) && known.Status == http.StatusConflict {
		fields, _ := bulkFields(r.PostForm)
		again := url.Values{}
		for _, f := range slices.Backward(fields) {
			again.Add(f.Name, f.Value)
		}
		return console.Page{Redirect: "/events/bulk?" + again.Encode(),
			Notice: "Nothing was done: more events fit by now than the " + console.Number(in.Events) + " that you confirmed. Look at the number again."}, nil
	}
	return console.Page{Redirect: "/replays", Notice: console.Number(started.Events) + " events are being gone through."}, err
}
