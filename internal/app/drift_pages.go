package app

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/reconcile"
	"github.com/df-middleware/dfm/internal/replay"
	"github.com/df-middleware/dfm/internal/store"
)

//go:embed pages
var pages embed.FS

// driftPages adds the pages about drift and replays to the console.
func (a *App) driftPages(b *console.Book) {
	folder, err := fs.Sub(pages, "pages")
	if err != nil {
		a.log.Error("the pages about drift are missing", "error", err)
		return
	}
	b.Templates(folder)
	b.See("/drift", a.driftPage)
	b.See("/drift/people", a.driftPeoplePage)
	b.Change("/drift/run", a.runFromPage)
	b.See("/replays", a.replaysPage)
	b.Change("/replays", a.replayFromPage)
	b.Change("/replays/{id}/stop", a.stopFromPage)
	b.See("/events/bulk", a.bulkPage)
	b.Change("/events/bulk", a.bulkFromPage)
	b.Entry("Work", "replays", "/replays", "Replays")
}

type shownRun struct {
	RunView
	Totals reconcile.Totals
}

type driftPageData struct {
	Report DriftReport
	Tiles  []console.Tile
	Runs   []shownRun
	Empty  console.Empty
}

func (a *App) driftPage(r *http.Request) (console.Page, error) {
	report, err := ReportDrift(r.Context(), a.store, a.clock())
	if err != nil {
		return console.Page{}, err
	}
	runs, err := a.store.Runs(r.Context(), time.Time{}, 10)
	if err != nil {
		return console.Page{}, err
	}
	data := driftPageData{Report: report, Empty: console.Empty{Title: "Nothing differs",
		Text: "The last sweeps found everybody as both sides agreed, or in a spelling that was agreed on."}}
	for _, run := range runs {
		one := shownRun{RunView: viewRun(run)}
		if err := json.Unmarshal(run.Totals, &one.Totals); err != nil {
			one.Totals = reconcile.Totals{} // of the original system
		}
		data.Runs = append(data.Runs, one)
	}
	var missed int64
	for _, m := range report.Missed {
		missed += m.Missed
	}
	data.Tiles = []console.Tile{
		{Name: "Without a reason", Figure: console.Number(report.Unexplained), More: "differences", Bad: report.Unexplained > 0, Link: "/drift/people?reason=unexplained"},
		{Name: "People who differ", Figure: console.Number(report.People), More: "in something, for any reason", Link: "/drift/people"},
		{Name: "Webhooks missed", Figure: console.Number(missed), More: "in 30 days", Bad: missed > 0},
	}
	return console.Page{Template: "drift.html", Title: "Drift", Section: "drift", Live: true, Data: data}, nil
}

func (a *App) driftPeoplePage(r *http.Request) (console.Page, error) {
	answer, err := a.listDrift(r)
	if err != nil {
		return console.Page{}, err
	}
	list := answer.(map[string]any)
	data := struct {
		Rows  []driftView
		Next  string
		Empty console.Empty
	}{Empty: console.Empty{Title: "Nobody differs in that", Text: "What was found before has been settled."}}
	data.Rows, _ = list["data"].([]driftView)
	if cursor, more := list["nextCursor"].(string); more {
		q := r.URL.Query()
		q.Set("cursor", cursor)
		data.Next = "/drift/people?" + q.Encode()
	}
	return console.Page{Template: "driftpeople.html", Title: "Who differs", Section: "drift", Data: data}, nil
}

func (a *App) runFromPage(r *http.Request) (console.Page, error) {
	if err := a.askFor(r, r.PostForm.Get("job")); err != nil {
		return console.Page{}, err
	}
	return console.Page{Redirect: "/drift", Notice: "Asked for. What it finds shows here."}, nil
}

type replaysPageData struct {
	Filters  console.Filters
	Asked    bool
	Estimate replay.Estimate
	Rows     []ReplayView
}

func replayFilters(r *http.Request) console.Filters {
	sources := []console.Option{{Value: "ghl", Label: "GoHighLevel"}, {Value: "aloware", Label: "Aloware"}, {Value: "texting", Label: "Texting"}, {Value: "broadcast", Label: "Broadcasts"}}
	statuses := []console.Option{}
	for _, status := range []df.Status{df.Done, df.Skipped, df.Failed, df.Quarantined} {
		statuses = append(statuses, console.Option{Value: string(status), Label: string(status)})
	}
	return console.FiltersOf(r,
		console.Filter{Name: "source", Label: "Source", Kind: "select", Options: sources},
		console.Filter{Name: "status", Label: "Status", Kind: "select", Options: statuses},
		console.Filter{Name: "type", Label: "Type", Hint: "ContactUpdate"},
		console.Filter{Name: "entityId", Label: "Person, contact or event id"},
		console.Filter{Name: "from", Label: "From, UTC", Kind: "time"},
		console.Filter{Name: "to", Label: "Until, UTC", Kind: "time"},
	)
}

// filterOf reads the filter of a page's address or form.
func filterOf(r *http.Request, form url.Values) (ReplayFilter, error) {
	get := form.Get
	f := ReplayFilter{Source: df.Source(get("source")), Status: df.Status(get("status")), Type: get("type"), EntityID: get("entityId"),
		Person: get("person"), Query: get("q")}
	for name, to := range map[string]**time.Time{"from": &f.From, "to": &f.To} {
		if text := get(name); text != "" {
			at, err := timeOn(text)
			if err != nil {
				return f, badRequest(name + " must be a time such as 2030-01-02T15:04")
			}
			*to = &at
		}
	}
	if f.Query != "" && !console.RoleOf(r).Allows(console.Admin) {
		// A count would tell what stands in the links that are hidden from others.
		return f, &df.Error{Code: "FORBIDDEN", Message: "only administrators act on all events that hold a text; tick the events instead", Status: http.StatusForbidden}
	}
	return f, nil
}

// timeOn reads a time as browsers write it, which then means UTC, or RFC 3339.
func timeOn(text string) (at time.Time, err error) {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if at, err = time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return at, err
}

func (a *App) replaysPage(r *http.Request) (console.Page, error) {
	data := replaysPageData{Filters: replayFilters(r)}
	data.Asked = data.Filters.Active
	if data.Asked {
		asked, err := filterOf(r, r.URL.Query())
		if err != nil {
			return console.Page{}, err
		}
		filter, err := asked.events()
		if err != nil {
			return console.Page{}, err
		}
		if data.Estimate, err = a.replays.desk.Estimate(r.Context(), replay.Asked{Action: store.BulkReplay, Filter: filter}); err != nil {
			return console.Page{}, err
		}
	}
	rows, err := a.store.Replays(r.Context(), 20)
	for _, row := range rows {
		data.Rows = append(data.Rows, viewReplay(row))
	}
	return console.Page{Template: "replays.html", Title: "Replays", Section: "replays", Live: !data.Asked, Data: data}, err
}

func (a *App) replayFromPage(r *http.Request) (console.Page, error) {
	asked, err := filterOf(r, r.PostForm)
	if err != nil {
		return console.Page{}, err
	}
	if asked == (ReplayFilter{}) {
		return console.Page{}, badRequest("say which events are to be replayed")
	}
	filter, err := asked.events()
	if err != nil {
		return console.Page{}, err
	}
	started, err := a.beginBulk(r.Context(), replay.Asked{Action: store.BulkReplay, Filter: filter, Actor: console.ActorOf(r)}, asked)
	if err != nil {
		return console.Page{}, err
	}
	return console.Page{Redirect: "/replays", Notice: console.Number(started.Events) + " events are being gone through."}, nil
}

func (a *App) stopFromPage(r *http.Request) (console.Page, error) {
	err := a.endReplay(auth.WithActor(r.Context(), console.ActorOf(r)), r.PathValue("id"))
	return console.Page{Redirect: "/replays", Notice: "It has stopped; what was done stays done."}, err
}
