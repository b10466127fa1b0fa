package app

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/console"
	"github.com/df-middleware/dfm/internal/store"
)

// optOutPages adds to the console who may not be contacted, and why. Its templates
// are in the folder that driftPages hands over.
func (a *App) optOutPages(b *console.Book) {
	b.See("/opt-outs", a.optOutsPage)
	b.See("/opt-outs/{id}", a.optOutPage)
	b.Change("/opt-outs", a.setOptOutByForm)
	b.Change("/opt-outs/incidents", a.resolveIncidentByForm)
	b.Change("/opt-outs/reviews", a.resolveReviewByForm)
	b.Serve("GET /opt-outs/evidence", http.HandlerFunc(a.exportEvidence))
}

// asVisitor says in the audit log who is signed in at the browser.
func asVisitor(r *http.Request) context.Context {
	return auth.WithActor(r.Context(), console.ActorOf(r))
}

const optOutRows = 50

type optOutsView struct {
	Filters   console.Filters
	Rows      []optOutView
	Next      string
	Incidents []store.Incident
	Reviews   []reviewed
	Late      []consent.Late
	Empty     console.Empty
}

// reviewed is an act that a person should look at, with the words it is about.
type reviewed struct {
	store.ConsentReview
	Words string
}

func (a *App) optOutsPage(r *http.Request) (console.Page, error) {
	ctx, q := r.Context(), r.URL.Query()
	data := optOutsView{
		Filters: console.FiltersOf(r, console.Filter{Name: "q", Label: "Number, source or reason"},
			console.Filter{Name: "status", Label: "Status", Kind: "select", Options: []console.Option{{Value: "opted_out", Label: "opted out"}, {Value: "opted_in", Label: "opted in"}}}),
		Empty: console.Empty{Title: "Nobody has said anything", Text: "Whoever writes STOP, or is set to do-not-disturb in GoHighLevel or do-not-call in Aloware, stands here at once."},
	}
	answer, err := a.listOptOuts(r)
	if err != nil {
		return console.Page{}, err
	}
	list := answer.(map[string]any)
	data.Rows = list["data"].([]optOutView)
	if next, more := list["nextCursor"].(string); more {
		q.Set("cursor", next)
		data.Next = "/opt-outs?" + q.Encode()
	}
	if data.Incidents, err = a.store.Incidents(ctx, optOutRows); err != nil {
		return console.Page{}, err
	}
	reviews, err := a.store.ConsentReviews(ctx, optOutRows)
	if err != nil {
		return console.Page{}, err
	}
	for _, review := range reviews {
		one := reviewed{ConsentReview: review}
		if one.Words, err = a.wordsOf(ctx, review); err != nil {
			return console.Page{}, err
		}
		data.Reviews = append(data.Reviews, one)
	}
	data.Late, err = a.consent.fan.Late(ctx, optOutRows)
	return console.Page{Template: "optouts.html", Title: "Opt-outs", Section: "opt-outs", Live: q.Get("cursor") == "", Data: data}, err
}

// wordsOf returns what was said in the act that is to be looked at.
func (a *App) wordsOf(ctx context.Context, review store.ConsentReview) (string, error) {
	events, err := a.store.ConsentEvents(ctx, store.ConsentFilter{Phones: []string{review.Phone}, Limit: 1000})
	for _, e := range events {
		if e.ID == review.EventID {
			return e.Words, err
		}
	}
	return "", err
}

type optOutDetail struct {
	Row      store.ConsentRow
	Facts    []console.Fact
	Targets  []clocked
	History  []console.Step
	Evidence string // the address of its export, without the format
	Checked  bool
	Proof    consent.Proof
	Fault    string
}

// clocked is how far one system is, and until when it must be.
type clocked struct {
	store.FanOut
	Deadline time.Time
}

func (a *App) optOutPage(r *http.Request) (console.Page, error) {
	ctx := r.Context()
	rows, err := a.store.ConsentRows(ctx, store.ConsentRowFilter{ID: r.PathValue("id"), Limit: 1})
	if err != nil {
		return console.Page{}, err
	}
	if len(rows) == 0 {
		return console.Page{}, notFound("nothing is known of this number")
	}
	row := rows[0]
	calls := row.CallStatus
	if calls == "" {
		calls = row.Status
	}
	data := optOutDetail{Row: row, Evidence: "/opt-outs/evidence?phone=" + url.QueryEscape(row.Phone), Facts: []console.Fact{
		{Name: "Texts", Value: row.Status, Chip: true}, {Name: "Calls", Value: calls, Chip: true}, {Name: "Source", Value: row.Source},
		{Name: "Reason", Value: row.Reason}, {Name: "Said", Value: row.LastEventAt}, {Name: "Changed", Value: row.UpdatedAt}}}
	targets, err := a.store.FanOuts(ctx, store.FanOutFilter{Phone: row.Phone, Limit: optOutRows})
	if err != nil {
		return console.Page{}, err
	}
	for _, target := range targets {
		data.Targets = append(data.Targets, clocked{target, consent.Deadline(target.Since, nil)})
	}
	history, err := a.store.ConsentEvents(ctx, store.ConsentFilter{Phones: []string{row.Phone}, Limit: 1000})
	if err != nil {
		return console.Page{}, err
	}
	for _, e := range history {
		title := e.Words
		if title == "" {
			title = e.Rule
		}
		data.History = append(data.History, console.Step{At: e.At, Chip: e.Kind, Title: title,
			Text: e.Scopes + " · " + e.Holder + " · by " + e.Actor + " · " + e.Source + " · rule " + e.Rule})
	}
	if data.Checked = r.URL.Query().Get("verify") != ""; data.Checked {
		var fault *consent.Fault
		data.Proof, err = consent.VerifyChain(ctx, a.store, a.clock())
		if errors.As(err, &fault) {
			data.Fault, err = fault.Error(), nil
		}
	}
	return console.Page{Template: "optout.html", Title: "Opt-out", Section: "opt-outs", Data: data}, err
}

func (a *App) setOptOutByForm(r *http.Request) (console.Page, error) {
	form := r.PostForm
	if form.Get("confirm") != "yes" {
		return console.Page{}, badRequest("confirm that the number was checked")
	}
	done, err := a.changeOptOut(asVisitor(r), optOutChange{Phone: form.Get("phone"), Status: form.Get("status"), Scopes: form["scopes"],
		Reason: form.Get("evidence"), Evidence: form.Get("evidence")})
	if err != nil {
		return console.Page{}, err
	}
	notice := "The number stands as it did."
	if done.Changed {
		notice = "Recorded. Every system is being told."
	}
	return console.Page{Redirect: "/opt-outs", Notice: notice}, nil
}

func (a *App) resolveIncidentByForm(r *http.Request) (console.Page, error) {
	key := r.PostForm.Get("key")
	err := a.resolve(asVisitor(r), "incident.resolve", key, r.PostForm.Get("note"), func(tx store.Tx, by, note string) error {
		return store.ResolveIncident(r.Context(), tx, key, by, note, a.clock())
	})
	return console.Page{Redirect: "/opt-outs", Notice: "The incident is resolved."}, err
}

func (a *App) resolveReviewByForm(r *http.Request) (console.Page, error) {
	id := r.PostForm.Get("id")
	err := a.resolve(asVisitor(r), "review.resolve", id, r.PostForm.Get("note"), func(tx store.Tx, by, note string) error {
		return store.ResolveConsentReview(r.Context(), tx, id, by, note, a.clock())
	})
	return console.Page{Redirect: "/opt-outs", Notice: "The review is done."}, err
}
