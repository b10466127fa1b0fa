package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/alerts"
	"github.com/df-middleware/dfm/internal/auth"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

type alertView struct {
	ID             string     `json:"id"`
	Rule           string     `json:"rule"`
	Subject        string     `json:"subject"`
	Severity       string     `json:"severity"`
	State          string     `json:"state"`
	Summary        string     `json:"summary"`
	Times          int64      `json:"times"`
	OpenedAt       time.Time  `json:"openedAt"`
	SeenAt         time.Time  `json:"seenAt"`
	AcknowledgedAt *time.Time `json:"acknowledgedAt"`
	AcknowledgedBy string     `json:"acknowledgedBy,omitempty"`
	ResolvedAt     *time.Time `json:"resolvedAt"`
	ResolvedBy     string     `json:"resolvedBy,omitempty"`
	Note           string     `json:"note,omitempty"`
	Told           string     `json:"told"`
	TellError      string     `json:"tellError,omitempty"`
}

func viewAlert(a store.Alert) alertView {
	return alertView{
		ID: a.ID, Rule: a.Rule, Subject: a.Subject, Severity: a.Severity, State: a.State, Summary: a.Summary, Times: a.Times,
		OpenedAt: a.OpenedAt, SeenAt: a.SeenAt, AcknowledgedAt: optional(a.AcknowledgedAt), AcknowledgedBy: a.AcknowledgedBy,
		ResolvedAt: optional(a.ResolvedAt), ResolvedBy: a.ResolvedBy, Note: a.Note, Told: a.Told, TellError: a.TellError,
	}
}

var alertStates = []string{"unresolved", alerts.Open, alerts.Acknowledged, alerts.Resolved}

// alertsRead reads ?state=&rule=&cursor=.
func (s *Server) alertsRead(r *http.Request, limit int) ([]store.Alert, *string, error) {
	q := r.URL.Query()
	filter := store.AlertFilter{State: q.Get("state"), Rule: q.Get("rule"), Before: q.Get("cursor"), Limit: limit}
	if filter.State != "" && !slices.Contains(alertStates, filter.State) {
		return nil, nil, invalid("state must be open, acknowledged, resolved or unresolved")
	}
	rows, err := s.Store.Alerts(r.Context(), filter)
	if err != nil || len(rows) < limit {
		return rows, nil, err
	}
	return rows, &rows[len(rows)-1].ID, nil
}

func (s *Server) listAlerts(r *http.Request) (any, error) {
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	rows, next, err := s.alertsRead(r, limit)
	if err != nil {
		return nil, err
	}
	views := make([]alertView, len(rows))
	for i, a := range rows {
		views[i] = viewAlert(a)
	}
	return page{views, next}, nil
}

func (s *Server) getAlert(r *http.Request) (any, error) {
	a, err := s.Store.Alert(r.Context(), r.PathValue("id"))
	return viewAlert(a), err
}

// changeAlert acknowledges or resolves an alert.
func (s *Server) changeAlert(action string) handler {
	return func(r *http.Request) (any, error) {
		var in struct {
			Note string `json:"note"`
		}
		if err := readJSON(r, &in); err != nil {
			return nil, err
		}
		a, err := s.settleAlert(r.Context(), r.PathValue("id"), action, in.Note)
		return viewAlert(a), err
	}
}

// settleAlert does to an alert what somebody decided. Whoever takes the minute's
// sample just then is faster; the decision is made again on what is there then.
func (s *Server) settleAlert(ctx context.Context, id, action, note string) (a store.Alert, err error) {
	if len(note) > 1000 {
		return a, invalid("note may be 1000 bytes at most")
	}
	for range 3 {
		err = s.Store.InTx(ctx, func(tx store.Tx) error {
			if a, err = alerts.Change(ctx, tx, id, action, auth.Actor(ctx), note, s.Clock()); err != nil {
				return err
			}
			return store.InsertAudit(ctx, tx, store.AuditRow{At: s.Clock(), Actor: auth.Actor(ctx), Action: "alert." + action, Target: id,
				Details: map[string]any{"rule": a.Rule, "subject": a.Subject, "note": note}})
		})
		if !errors.Is(err, store.ErrStale) {
			return a, err
		}
	}
	return a, &df.Error{Code: "CONFLICT", Message: "somebody else changed it just now; look again", Status: http.StatusConflict, Err: err}
}

type alertsView struct {
	Alerts []store.Alert
	State  string
	States []string
	Rule   string
	Rules  []string
	Pager  pager
}

func (s *Server) alertsPage(r *http.Request) (view, error) {
	rows, next, err := s.alertsRead(r, pageRows)
	if err != nil {
		return view{}, err
	}
	data := alertsView{Alerts: rows, State: r.URL.Query().Get("state"), States: alertStates, Rule: r.URL.Query().Get("rule"), Pager: pagerOf(r, next)}
	for _, rule := range alerts.Rules() {
		data.Rules = append(data.Rules, rule.Name)
	}
	slices.Sort(data.Rules)
	return view{template: "alerts.html", title: "Alerts", section: "alerts", live: r.URL.Query().Get("cursor") == "", data: data}, nil
}

func (s *Server) alertForm(r *http.Request) (view, error) {
	action, done := r.PathValue("action"), "acknowledged"
	if action == alerts.ActionResolve {
		done = "resolved"
	}
	a, err := s.settleAlert(r.Context(), r.PathValue("id"), action, r.PostForm.Get("note"))
	if err != nil {
		return view{}, err
	}
	return view{redirect: "/alerts", notice: "The alert " + a.Rule + " was " + done + "."}, nil
}
