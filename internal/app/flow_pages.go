package app

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/df-middleware/dfm/internal/console"
)

// flowPages adds to the console what goes on to Verity and comes from there, and
// what is booked. Its templates are in the folder that driftPages hands over.
func (a *App) flowPages(b *console.Book) {
	b.See("/broadcasts", a.broadcastsPage)
	b.Change("/broadcasts/{id}/refresh", a.refreshFromPage)
	b.See("/forwards", a.forwardsPage)
	b.Change("/forwards/{id}/retry", a.retryFromPage)
	b.See("/appointments", a.appointmentsPage)
	b.Entry("Flow", "forwards", "/forwards", "Forwards")
}

// rowsOf takes rows and the address of the following page out of an answer of
// the admin API.
func rowsOf[T any](r *http.Request, answer any) (rows []T, next string) {
	list, _ := answer.(map[string]any)
	rows, _ = list["data"].([]T)
	if cursor, more := list["nextCursor"].(string); more {
		q := r.URL.Query()
		q.Set("cursor", cursor)
		next = r.URL.Path + "?" + q.Encode()
	}
	return rows, next
}

func onFirstPage(r *http.Request) bool { return r.URL.Query().Get("cursor") == "" }

// shownBroadcast is a broadcast with its rates in words, and as widths of bars.
type shownBroadcast struct {
	broadcastView
	Bars []rateBar
}

type rateBar struct {
	Name, Percent string
	Width         float64 // of 100
}

func barOf(name string, rate float64) rateBar {
	return rateBar{name, strconv.FormatFloat(100*rate, 'f', 1, 64) + " %", 100 * rate}
}

func (a *App) broadcastsPage(r *http.Request) (console.Page, error) {
	answer, err := a.listBroadcasts(r)
	if err != nil {
		return console.Page{}, err
	}
	rows, next := rowsOf[broadcastView](r, answer)
	data := struct {
		Rows  []shownBroadcast
		Next  string
		Empty console.Empty
	}{Next: next, Empty: console.Empty{Title: "No broadcast yet",
		Text: "Let Verity post its broadcast webhooks to /api/webhooks/broadcast; each becomes one record in GoHighLevel and one row here."}}
	for _, row := range rows {
		data.Rows = append(data.Rows, shownBroadcast{row, []rateBar{barOf("delivered", row.Rates.Delivery), barOf("answered", row.Rates.Response),
			barOf("failed", row.Rates.Failure), barOf("led to appointments", row.Rates.Conversion)}})
	}
	return console.Page{Template: "broadcasts.html", Title: "Broadcasts", Section: "broadcasts", Live: onFirstPage(r), Data: data}, nil
}

func (a *App) refreshFromPage(r *http.Request) (console.Page, error) {
	_, err := a.refreshBroadcast(r.WithContext(asVisitor(r)))
	return console.Page{Redirect: "/broadcasts", Notice: "Its figures are asked for."}, err
}

func (a *App) forwardsPage(r *http.Request) (console.Page, error) {
	answer, err := a.listForwards(r)
	if err != nil {
		return console.Page{}, err
	}
	var options []console.Option
	for _, status := range forwardStatuses {
		options = append(options, console.Option{Value: status, Label: status})
	}
	data := struct {
		Filters console.Filters
		Rows    []forwardView
		Next    string
		Off     bool
		Empty   console.Empty
	}{Off: !a.config.forwards(), Filters: console.FiltersOf(r, console.Filter{Name: "status", Label: "Status", Kind: "select", Options: options}),
		Empty: console.Empty{Title: "Nothing to see", Text: "Webhooks of GoHighLevel that are passed on to Verity stand here; those that are done go after a week."}}
	data.Rows, data.Next = rowsOf[forwardView](r, answer)
	return console.Page{Template: "forwards.html", Title: "Forwards", Section: "forwards", Live: onFirstPage(r), Data: data}, nil
}

func (a *App) retryFromPage(r *http.Request) (console.Page, error) {
	_, err := a.retryForward(r.WithContext(asVisitor(r)))
	return console.Page{Redirect: "/forwards?" + url.Values{"status": {r.URL.Query().Get("status")}}.Encode(), Notice: "It will be passed on again."}, err
}

func (a *App) appointmentsPage(r *http.Request) (console.Page, error) {
	kind := kindAsked(r)
	answer, err := a.listItems(r, kind)
	if err != nil {
		return console.Page{}, err
	}
	data := struct {
		Tabs  []console.Tab
		Rows  []itemView
		Next  string
		Empty console.Empty
	}{Tabs: []console.Tab{
		{Name: "Appointments", Link: "/appointments", Current: kind == kinds[0]},
		{Name: "Opportunities", Link: "/appointments?kind=opportunity", Current: kind == kinds[1]},
	}, Empty: console.Empty{Title: "None yet", Text: "GoHighLevel tells of them by webhook: subscribe the app to appointments and opportunities."}}
	data.Rows, data.Next = rowsOf[itemView](r, answer)
	return console.Page{Template: "appointments.html", Title: "Appointments", Section: "appointments", Live: onFirstPage(r), Data: data}, nil
}
