package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// registerOptOuts adds what the admin API shows of consent: the registry, the
// evidence, which systems know, and what should not have happened.
func (a *App) registerOptOuts(mux *routes, admin func(http.Handler) http.Handler) {
	handle := func(pattern string, h func(*http.Request) (any, error)) {
		mux.Handle(pattern, admin(a.answering(pattern, h)))
	}
	handle("GET /api/admin/optouts", a.listOptOuts)
	handle("GET /api/admin/optouts/incidents", a.listIncidents)
	handle("GET /api/admin/optouts/reviews", a.listReviews)
	handle("GET /api/admin/optouts/targets", a.listTargets)
	a.registerOptOutChanges(handle)
	mux.Handle("GET /api/admin/optouts/evidence", admin(http.HandlerFunc(a.exportEvidence)))
}

// answering makes a handler of what answers a request with JSON, or with an error
// in safe text.
func (a *App) answering(pattern string, h func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := h(r)
		if err != nil {
			known := df.AsError(err)
			if known.Status >= http.StatusInternalServerError {
				a.log.Error("an admin request failed", "route", pattern, "error", err)
			}
			writeError(w, known)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	})
}

func badRequest(message string) error {
	return &df.Error{Code: "INVALID_REQUEST", Message: message, Status: http.StatusBadRequest}
}

func listed[T any](rows []T, next any) map[string]any {
	if rows == nil {
		rows = []T{}
	}
	return map[string]any{"success": true, "data": rows, "nextCursor": next}
}

// limitFrom reads ?limit=, 50 by default, 500 at most.
func limitFrom(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return 50, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 500 {
		return 0, badRequest("limit must be a whole number from 1 to 500")
	}
	return n, nil
}

func phoneFrom(r *http.Request) (df.Phone, error) {
	text := r.URL.Query().Get("phone")
	if text == "" {
		return "", nil
	}
	phone, err := df.ParsePhone(text, "")
	if err != nil {
		return "", badRequest("phone must be a phone number such as +15005550111")
	}
	return phone, nil
}

type optOutView struct {
	ID          string    `json:"id"`
	PhoneNumber string    `json:"phoneNumber"`
	Status      string    `json:"status"`
	CallStatus  string    `json:"callStatus"`
	Source      string    `json:"source"`
	Reason      string    `json:"reason"`
	LastEventAt time.Time `json:"lastEventAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
}

func (a *App) listOptOuts(r *http.Request) (any, error) {
	q := r.URL.Query()
	filter := store.ConsentRowFilter{Status: q.Get("status"), Text: q.Get("q"), After: q.Get("cursor")}
	if filter.Status != "" && filter.Status != "opted_out" && filter.Status != "opted_in" {
		return nil, badRequest("status must be opted_out or opted_in")
	}
	phone, err := phoneFrom(r)
	if err != nil {
		return nil, err
	}
	filter.Phone = string(phone)
	if filter.Limit, err = limitFrom(r); err != nil {
		return nil, err
	}
	rows, err := a.store.ConsentRows(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	views := make([]optOutView, len(rows))
	for i, row := range rows {
		calls := row.CallStatus
		if calls == "" {
			calls = row.Status
		}
		views[i] = optOutView{row.ID, row.Phone, row.Status, calls, row.Source, row.Reason, row.LastEventAt, row.UpdatedAt}
	}
	if len(rows) == filter.Limit {
		return listed(views, rows[len(rows)-1].ID), nil
	}
	return listed(views, nil), nil
}

type incidentView struct {
	Key       string    `json:"key"`
	Phone     string    `json:"phoneNumber"`
	Scope     string    `json:"scope"`
	At        time.Time `json:"at"`
	SeenAt    time.Time `json:"seenAt"`
	OutSince  time.Time `json:"outSince"`
	Source    string    `json:"source"`
	MessageID string    `json:"messageId"`
	EventID   string    `json:"eventId"`
	PersonID  string    `json:"personId"`
}

func (a *App) listIncidents(r *http.Request) (any, error) {
	limit, err := limitFrom(r)
	if err != nil {
		return nil, err
	}
	rows, err := a.store.Incidents(r.Context(), limit)
	views := make([]incidentView, len(rows))
	for i, row := range rows {
		views[i] = incidentView(row)
	}
	return listed(views, nil), err
}

type reviewView struct {
	EventID string    `json:"consentEventId"`
	Kind    string    `json:"kind"`
	Phone   string    `json:"phoneNumber"`
	At      time.Time `json:"at"`
}

func (a *App) listReviews(r *http.Request) (any, error) {
	limit, err := limitFrom(r)
	if err != nil {
		return nil, err
	}
	rows, err := a.store.ConsentReviews(r.Context(), limit)
	views := make([]reviewView, len(rows))
	for i, row := range rows {
		views[i] = reviewView{row.EventID, row.Kind, row.Phone, row.At}
	}
	return listed(views, nil), err
}

type targetView struct {
	Phone       string     `json:"phoneNumber"`
	Target      string     `json:"target"`
	State       string     `json:"state"`
	Attempts    int        `json:"attempts"`
	LastError   string     `json:"lastError,omitempty"`
	Since       time.Time  `json:"since"`
	ConfirmedAt *time.Time `json:"confirmedAt"`
}

func (a *App) listTargets(r *http.Request) (any, error) {
	limit, err := limitFrom(r)
	if err != nil {
		return nil, err
	}
	phone, err := phoneFrom(r)
	if err != nil {
		return nil, err
	}
	open := r.URL.Query().Get("open")
	if open != "" && open != "true" && open != "false" {
		return nil, badRequest("open must be true or false")
	}
	rows, err := a.store.FanOuts(r.Context(), store.FanOutFilter{Phone: string(phone), OpenOnly: open == "true", Limit: limit})
	views := make([]targetView, len(rows))
	for i, row := range rows {
		views[i] = targetView{row.Phone, row.Target, row.State, row.Attempts, row.LastError, row.Since, nil}
		if at := row.ConfirmedAt; !at.IsZero() {
			views[i].ConfirmedAt = &at
		}
	}
	return listed(views, nil), err
}

// exportEvidence answers with the evidence about one number or person, or of a
// time, in a form that VerifyExport can check.
func (a *App) exportEvidence(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	filter, err := evidenceFilter(q.Get("phone"), q.Get("personId"), q.Get("from"), q.Get("until"))
	format, kind := consent.JSON, "application/json"
	switch q.Get("format") {
	case "", "json":
	case "csv":
		format, kind = consent.CSV, "text/csv; charset=utf-8"
	default:
		err = badRequest("format must be json or csv")
	}
	var evidence bytes.Buffer
	if err == nil {
		_, err = consent.Export(r.Context(), a.store, &evidence, filter, format, a.clock())
	}
	if errors.Is(err, store.ErrNotFound) {
		err = notFound("there is no such person")
	}
	if err != nil && df.AsError(err).Status < http.StatusInternalServerError {
		writeError(w, df.AsError(err))
		return
	}
	if err != nil {
		a.log.Error("the evidence about opt-outs could not be exported", "error", err)
		writeError(w, df.AsError(err))
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Disposition", `attachment; filename="optouts.`+string(format)+`"`)
	_, _ = w.Write(evidence.Bytes()) // the reader may have gone
}

func evidenceFilter(phone, person, from, until string) (consent.Filter, error) {
	filter := consent.Filter{PersonID: person}
	var err error
	if phone != "" {
		if filter.Phone, err = df.ParsePhone(phone, ""); err != nil {
			return filter, badRequest("phone must be a phone number such as +15005550111")
		}
	}
	for _, bound := range []struct {
		text string
		to   *time.Time
	}{{from, &filter.From}, {until, &filter.Until}} {
		if bound.text == "" {
			continue
		}
		if *bound.to, err = time.Parse(time.RFC3339, bound.text); err != nil {
			return filter, badRequest("from and until must be times such as 2030-01-02T15:04:05Z")
		}
	}
	return filter, nil
}

// VerifyExport checks an export of evidence without the database it came from.
func VerifyExport(r io.Reader) (consent.Proof, error) { return consent.VerifyExport(r) }

// ExportQuery says whose evidence is exported; empty fields select everything.
type ExportQuery struct {
	Phone, PersonID string
	From, Until     string // RFC 3339
	Format          string // json or csv
}

// ExportOptOuts writes the evidence about opt-outs. It opens the database of the
// settings and changes nothing.
func ExportOptOuts(ctx context.Context, config Config, options Options, query ExportQuery, w io.Writer) error {
	filter, err := evidenceFilter(query.Phone, query.PersonID, query.From, query.Until)
	if err != nil {
		return err
	}
	return withStore(ctx, config, options, func(db *store.Store) error {
		_, err := consent.Export(ctx, db, w, filter, consent.Format(query.Format), options.Clock())
		return err
	})
}
