package alerts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Sender tells somebody about an alert.
type Sender interface {
	Send(ctx context.Context, a store.Alert) error
}

// Watch judges the system. One instance at a time calls Check.
type Watch struct {
	Store  *store.Store
	Rules  []Rule
	Probes []Probe
	Send   Sender // nil when nobody is to be told
	Clock  df.Clock
	NewID  func() string
	Log    *slog.Logger
}

// tellAtOnce is how many alerts are told in one check.
const tellAtOnce = 20

// Check takes a sample, writes down what becomes of each alert, and tells what
// is to be told. A probe that fails is an error, but keeps no rule from judging
// that does not need it.
func (w *Watch) Check(ctx context.Context) error {
	sample, err := w.sample(ctx)
	if judging := w.judge(ctx, sample); judging != nil {
		return errors.Join(err, judging)
	}
	return errors.Join(err, w.tell(ctx))
}

func (w *Watch) sample(ctx context.Context) (*Sample, error) {
	s := &Sample{At: w.Clock(), known: map[string]bool{}}
	var errs []error
	for _, probe := range w.Probes {
		if err := probe.Read(ctx, s); err != nil {
			errs = append(errs, fmt.Errorf("probe %s: %w", probe.Name, err))
			continue
		}
		s.known[probe.Name] = true
	}
	return s, errors.Join(errs...)
}

// tells reports whether the sample holds all that the rule needs.
func (s *Sample) tells(rule Rule) bool {
	for _, probe := range rule.Needs {
		if !s.known[probe] {
			return false
		}
	}
	return true
}

func (w *Watch) judge(ctx context.Context, s *Sample) error {
	longest := time.Duration(0)
	for _, rule := range w.Rules {
		longest = max(longest, rule.Cooldown)
	}
	recent, err := w.Store.AlertsSince(ctx, s.At.Add(-longest))
	if err != nil {
		return err
	}
	last := latestOf(recent)
	for _, rule := range w.Rules {
		if !s.tells(rule) {
			continue
		}
		for subject, finding := range merge(rule.Judge(s), last[rule.Name]) {
			if err := w.advance(ctx, rule, last[rule.Name][subject], finding, s.At); err != nil {
				return err
			}
		}
	}
	return nil
}

// latestOf finds the alert that counts for each rule and subject: the one that
// is not resolved, or else the newest.
func latestOf(alerts []store.Alert) map[string]map[string]*store.Alert {
	last := map[string]map[string]*store.Alert{}
	for i := range alerts { // oldest first
		a := &alerts[i]
		if last[a.Rule] == nil {
			last[a.Rule] = map[string]*store.Alert{}
		}
		if have := last[a.Rule][a.Subject]; have == nil || have.State == Resolved {
			last[a.Rule][a.Subject] = a
		}
	}
	return last
}

// merge pairs every subject with the worst finding about it, or with none.
func merge(findings []Finding, known map[string]*store.Alert) map[string]*Finding {
	all := map[string]*Finding{}
	for subject := range known {
		all[subject] = nil
	}
	for i := range findings {
		f := &findings[i]
		if have := all[f.Subject]; have == nil || have.Severity != Critical {
			all[f.Subject] = f
		}
	}
	return all
}

func (w *Watch) advance(ctx context.Context, rule Rule, last *store.Alert, finding *Finding, now time.Time) error {
	next, changed := Next(rule, last, finding, now)
	if !changed {
		return nil
	}
	if w.Send == nil {
		next.TellAt = time.Time{}
	}
	var err error
	if next.ID == "" {
		next.ID = w.NewID()
		err = store.InsertAlert(ctx, w.Store, next)
	} else {
		err = store.UpdateAlert(ctx, w.Store, next)
	}
	if errors.Is(err, store.ErrStale) || errors.Is(err, store.ErrUnique) {
		return nil // an operator was faster; the next sample sees what is left to do
	}
	if err == nil {
		w.say(ctx, last, next)
	}
	return err
}

// say puts the turns of an alert into the log, which is there without any
// receiver.
func (w *Watch) say(ctx context.Context, last *store.Alert, next store.Alert) {
	if last != nil && last.State == next.State && last.Severity == next.Severity && last.ID == next.ID {
		return
	}
	level := slog.LevelWarn
	if next.State == Resolved {
		level = slog.LevelInfo
	}
	w.Log.Log(ctx, level, "alert", "rule", next.Rule, "subject", next.Subject, "state", next.State, "severity", next.Severity,
		"summary", next.Summary, "alert", next.ID)
}

// tell tells what is due. A receiver that does not answer is tried again later
// and keeps nobody from judging.
func (w *Watch) tell(ctx context.Context) error {
	if w.Send == nil {
		return nil
	}
	due, err := w.Store.AlertsToTell(ctx, w.Clock(), tellAtOnce)
	if err != nil {
		return err
	}
	for _, a := range due {
		failure := ""
		if err := w.Send.Send(ctx, a); err != nil {
			failure = err.Error()
			w.Log.WarnContext(ctx, "an alert could not be told", "rule", a.Rule, "tries", a.TellTries+1, "error", failure)
		}
		if err := store.UpdateAlert(ctx, w.Store, told(a, failure, w.Clock())); err != nil && !errors.Is(err, store.ErrStale) {
			return err
		}
	}
	return nil
}
