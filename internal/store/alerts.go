package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Alert is one row of alerts: something that is, or was, wrong with the system
// as a whole. Its meaning and its life are those of the alerts room.
type Alert struct {
	ID             string
	Rule           string
	Subject        string
	Severity       string
	State          string
	Summary        string
	Times          int64
	OpenedAt       time.Time
	SeenAt         time.Time
	AcknowledgedAt time.Time
	AcknowledgedBy string
	ResolvedAt     time.Time
	ResolvedBy     string
	Note           string
	Told           string
	ToldAt         time.Time
	TellAt         time.Time
	TellTries      int
	TellError      string
	Version        int64
}

const alertColumns = `id, rule, subject, severity, state, summary, times, opened_at, seen_at, acknowledged_at,
	acknowledged_by, resolved_at, resolved_by, note, told, told_at, tell_at, tell_tries, tell_error, version`

func scanAlert(row Row) (Alert, error) {
	var a Alert
	err := row.Scan(&a.ID, &a.Rule, &a.Subject, &a.Severity, &a.State, &a.Summary, &a.Times, scanTime(&a.OpenedAt),
		scanTime(&a.SeenAt), scanTime(&a.AcknowledgedAt), scanText(&a.AcknowledgedBy), scanTime(&a.ResolvedAt),
		scanText(&a.ResolvedBy), scanText(&a.Note), &a.Told, scanTime(&a.ToldAt), scanTime(&a.TellAt), &a.TellTries,
		scanText(&a.TellError), &a.Version)
	return a, err
}

func selectAlerts(ctx context.Context, q Querier, where string, args ...any) ([]Alert, error) {
	var alerts []Alert
	err := q.Each(ctx, `SELECT `+alertColumns+` FROM alerts `+where, args, func(row Row) error {
		a, err := scanAlert(row)
		alerts = append(alerts, a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read alerts: %w", err)
	}
	return alerts, nil
}

// InsertAlert adds an alert. It returns ErrUnique when its rule has one about
// the same subject that is not resolved.
func InsertAlert(ctx context.Context, q Querier, a Alert) error {
	_, err := q.Exec(ctx, `INSERT INTO alerts (`+alertColumns+`) VALUES `+tuples(1, 20, 0), a.ID, a.Rule, a.Subject,
		a.Severity, a.State, a.Summary, a.Times, a.OpenedAt, a.SeenAt, a.AcknowledgedAt, null(a.AcknowledgedBy), a.ResolvedAt,
		null(a.ResolvedBy), null(a.Note), a.Told, a.ToldAt, a.TellAt, a.TellTries, null(a.TellError), 1)
	if err != nil {
		return fmt.Errorf("insert alert: %w", err)
	}
	return nil
}

// UpdateAlert replaces an alert. It returns ErrStale, and writes nothing, when
// somebody else has changed it since it was read.
func UpdateAlert(ctx context.Context, q Querier, a Alert) error {
	changed, err := q.Exec(ctx, `UPDATE alerts SET severity = $3, state = $4, summary = $5, times = $6, opened_at = $7, seen_at = $8,
		acknowledged_at = $9, acknowledged_by = $10, resolved_at = $11, resolved_by = $12, note = $13, told = $14, told_at = $15,
		tell_at = $16, tell_tries = $17, tell_error = $18, version = version + 1 WHERE id = $1 AND version = $2`,
		a.ID, a.Version, a.Severity, a.State, a.Summary, a.Times, a.OpenedAt, a.SeenAt, a.AcknowledgedAt, null(a.AcknowledgedBy),
		a.ResolvedAt, null(a.ResolvedBy), null(a.Note), a.Told, a.ToldAt, a.TellAt, a.TellTries, null(a.TellError))
	if err != nil {
		return fmt.Errorf("update alert: %w", err)
	}
	if changed == 0 {
		return ErrStale
	}
	return nil
}

// Alert returns an alert, or ErrNotFound.
func (s *Store) Alert(ctx context.Context, id string) (Alert, error) { return AlertOf(ctx, s, id) }

// AlertOf returns an alert as q sees it, or ErrNotFound.
func AlertOf(ctx context.Context, q Querier, id string) (Alert, error) {
	a, err := scanAlert(q.Row(ctx, `SELECT `+alertColumns+` FROM alerts WHERE id = $1`, id))
	if errors.Is(err, ErrNoRows) {
		return a, ErrNotFound
	}
	return a, err
}

// AlertsSince returns the alerts that are not resolved, or were not before the
// given time, the oldest first.
func (s *Store) AlertsSince(ctx context.Context, since time.Time) ([]Alert, error) {
	return selectAlerts(ctx, s, `WHERE state <> 'resolved' OR resolved_at >= $1 ORDER BY id`, since)
}

// AlertsToTell returns alerts whose receiver is to be told now, the oldest first.
func (s *Store) AlertsToTell(ctx context.Context, now time.Time, limit int) ([]Alert, error) {
	return selectAlerts(ctx, s, `WHERE tell_at <= $1 ORDER BY tell_at, id LIMIT $2`, now, limit)
}

// AlertFilter selects alerts. Zero fields select all.
type AlertFilter struct {
	State  string // or "unresolved"
	Rule   string
	Before string // id of the last row of the page before
	Limit  int
}

// Alerts lists alerts, the newest first.
func (s *Store) Alerts(ctx context.Context, f AlertFilter) ([]Alert, error) {
	terms, args := []string{"1 = 1"}, []any{}
	add := func(term string, value any) {
		args = append(args, value)
		terms = append(terms, fmt.Sprintf(term, len(args)))
	}
	switch f.State {
	case "":
	case "unresolved":
		terms = append(terms, "state <> 'resolved'")
	default:
		add("state = $%d", f.State)
	}
	if f.Rule != "" {
		add("rule = $%d", f.Rule)
	}
	if f.Before != "" {
		add("id < $%d", f.Before)
	}
	args = append(args, max(1, min(f.Limit, 1000)))
	return selectAlerts(ctx, s, `WHERE `+strings.Join(terms, " AND ")+fmt.Sprintf(` ORDER BY id DESC LIMIT $%d`, len(args)), args...)
}

// UnresolvedAlerts counts the alerts that nobody acknowledged and those that are
// not resolved.
func (s *Store) UnresolvedAlerts(ctx context.Context) (open, unresolved int64, err error) {
	err = s.Row(ctx, `SELECT count(CASE WHEN state = 'open' THEN 1 END), count(*) FROM alerts WHERE state <> 'resolved'`).
		Scan(&open, &unresolved)
	if err != nil {
		return 0, 0, fmt.Errorf("count alerts: %w", err)
	}
	return open, unresolved, nil
}

// Figure is a number that processes share for the rules of alerts: what was
// counted in one minute, or what a gauge showed at its end.
type Figure struct {
	Name    string
	Subject string
	Slot    time.Time // beginning of the minute
	N       int64
}

// AddFigures adds counts to their minutes and sets gauges.
func (s *Store) AddFigures(ctx context.Context, counts, gauges []Figure) error {
	return s.InTx(ctx, func(tx Tx) error {
		const insert = `INSERT INTO alert_figures (name, subject, slot, n) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name, subject, slot) DO UPDATE SET n = `
		for _, f := range counts {
			if _, err := tx.Exec(ctx, insert+`alert_figures.n + excluded.n`, f.Name, f.Subject, f.Slot, f.N); err != nil {
				return fmt.Errorf("add figures: %w", err)
			}
		}
		for _, f := range gauges {
			if _, err := tx.Exec(ctx, insert+`excluded.n`, f.Name, f.Subject, f.Slot, f.N); err != nil {
				return fmt.Errorf("set figures: %w", err)
			}
		}
		return nil
	})
}

// Figures returns the figures of the minutes that began at or after the given
// time, the oldest first.
func (s *Store) Figures(ctx context.Context, since time.Time) ([]Figure, error) {
	var figures []Figure
	err := s.Each(ctx, `SELECT name, subject, slot, n FROM alert_figures WHERE slot >= $1 ORDER BY slot, name, subject`,
		[]any{since}, func(row Row) error {
			var f Figure
			err := row.Scan(&f.Name, &f.Subject, scanTime(&f.Slot), &f.N)
			figures = append(figures, f)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("read figures: %w", err)
	}
	return figures, nil
}

// PruneAlerts forgets figures before one time, and resolved alerts and the
// sources' hours before another.
func (s *Store) PruneAlerts(ctx context.Context, figures, history time.Time) error {
	for _, step := range []struct {
		query  string
		before time.Time
	}{
		{`DELETE FROM alert_figures WHERE slot < $1`, figures},
		{`DELETE FROM source_hours WHERE hour < $1`, history},
		{`DELETE FROM alerts WHERE state = 'resolved' AND resolved_at < $1 AND tell_at IS NULL`, history},
	} {
		if _, err := s.Exec(ctx, step.query, step.before); err != nil {
			return fmt.Errorf("prune alerts: %w", err)
		}
	}
	return nil
}

// SourceHour is how many events a source sent in one hour.
type SourceHour struct {
	Source df.Source
	Hour   time.Time
	Events int64
}

// LearnHour counts what the sources sent in the hour that begins at the given
// time and remembers it, zeros included. An hour that is known stays.
func (s *Store) LearnHour(ctx context.Context, hour time.Time, sources []df.Source) error {
	return s.InTx(ctx, func(tx Tx) error {
		for _, source := range sources {
			_, err := tx.Exec(ctx, `INSERT INTO source_hours (source, hour, events)
				SELECT $1, $2, count(*) FROM webhook_events WHERE source = $1 AND id >= $4 AND received_at >= $2 AND received_at < $3
				ON CONFLICT (source, hour) DO NOTHING`,
				string(source), hour, hour.Add(time.Hour), floorID(hour.Add(-time.Minute)))
			if err != nil {
				return fmt.Errorf("learn an hour of a source: %w", err)
			}
		}
		return nil
	})
}

// SourceHours returns the hours that are known since the given time, oldest first.
func (s *Store) SourceHours(ctx context.Context, since time.Time) ([]SourceHour, error) {
	var hours []SourceHour
	err := s.Each(ctx, `SELECT source, hour, events FROM source_hours WHERE hour >= $1 ORDER BY hour, source`,
		[]any{since}, func(row Row) error {
			var h SourceHour
			err := row.Scan((*string)(&h.Source), scanTime(&h.Hour), &h.Events)
			hours = append(hours, h)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("read hours of sources: %w", err)
	}
	return hours, nil
}

// Waiting is how many events wait and since when.
type Waiting struct {
	Events int64
	Lanes  int64
	Oldest time.Time // when the oldest was received; zero without any
}

// UntriedEvents counts the events that no worker has tried though nothing in
// their lane stands before them: what a healthy system never lets wait.
func (s *Store) UntriedEvents(ctx context.Context, now time.Time) (Waiting, error) {
	return s.waiting(ctx, `FROM webhook_events e JOIN lanes l ON l.key = e.lane
		WHERE e.status = 'pending' AND e.attempts = 0 AND (l.wake_at IS NULL OR l.wake_at <= $1)`, now)
}

// StuckEvents counts the events that failed at least so often and are still
// tried. Their lanes stand still behind them.
func (s *Store) StuckEvents(ctx context.Context, attempts int) (Waiting, error) {
	return s.waiting(ctx, `FROM webhook_events e WHERE e.status IN ('pending', 'processing', 'error') AND e.attempts >= $1`, attempts)
}

func (s *Store) waiting(ctx context.Context, from string, arg any) (Waiting, error) {
	var w Waiting
	err := s.Row(ctx, `SELECT count(*), count(DISTINCT e.lane), min(e.received_at) `+from, arg).Scan(&w.Events, &w.Lanes, scanTime(&w.Oldest))
	if err != nil {
		return w, fmt.Errorf("count waiting events: %w", err)
	}
	return w, nil
}
