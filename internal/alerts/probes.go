package alerts

import (
	"context"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// figureWatched counts the minutes in which the system was watched; an hour with
// enough of them is one from which a source's rate can be learned.
const (
	figureWatched = "watched"
	watchedLeast  = 50
)

// Probes returns the probes of what is in our own database.
func Probes(db *store.Store) []Probe {
	return []Probe{
		{ProbeEvents, func(ctx context.Context, s *Sample) error { return readEvents(ctx, db, s) }},
		{ProbeQuestions, func(ctx context.Context, s *Sample) error { return readQuestions(ctx, db, s) }},
		{ProbeFigures, func(ctx context.Context, s *Sample) error {
			var err error
			s.Figures, err = db.Figures(ctx, s.At.Add(-2*time.Hour-Window).Truncate(time.Minute))
			return err
		}},
		{ProbeBudgets, func(ctx context.Context, s *Sample) error { return readBudgets(ctx, db, s) }},
		// Behind the figures, which say whether the last hour was watched.
		{ProbeSilence, func(ctx context.Context, s *Sample) error { return readSilence(ctx, db, s) }},
	}
}

func readEvents(ctx context.Context, db *store.Store, s *Sample) error {
	from := s.At.Add(-Window)
	s.Results = map[string]Tried{}
	add := func(subject string, n int64, failed bool) {
		t := s.Results[subject]
		t.All += n
		if failed {
			t.Failed += n
		}
		s.Results[subject] = t
	}
	counts, err := db.EventsInSlots(ctx, []time.Time{from})
	if err != nil {
		return err
	}
	for _, c := range counts {
		switch c.Status {
		case df.Done:
			add(string(c.Source), c.Events, false)
		case df.Failed, df.Quarantined:
			add(string(c.Source), c.Events, true)
		}
	}
	writes, err := db.SyncsSince(ctx, from)
	if err != nil {
		return err
	}
	for _, w := range writes {
		if w.Status != "skipped" {
			add(string(w.Direction), w.Lines, w.Status == "error")
		}
	}
	if s.Untried, err = db.UntriedEvents(ctx, s.At); err != nil {
		return err
	}
	s.Stuck, err = db.StuckEvents(ctx, StuckAfter)
	return err
}

func readQuestions(ctx context.Context, db *store.Store, s *Sample) error {
	unfinished, err := db.UnfinishedEvents(ctx)
	if err != nil {
		return err
	}
	s.Quarantined = unfinished[df.Quarantined].Events
	questions, err := db.OpenQuestions(ctx)
	s.Incidents = questions.Incidents
	return err
}

func readBudgets(ctx context.Context, db *store.Store, s *Sample) error {
	accounts, err := db.Accounts(ctx)
	s.Held = map[string]time.Time{}
	for name, account := range accounts {
		if until := time.UnixMicro(account.HeldUntil); until.After(s.At) {
			s.Held[name] = until
		}
	}
	return err
}

func readSilence(ctx context.Context, db *store.Store, s *Sample) error {
	sources := []df.Source{df.SourceGHL, df.SourceAloware, df.SourceTexting, df.SourceBroadcast}
	hour := s.At.UTC().Truncate(time.Hour)
	if last := hour.Add(-time.Hour); s.watched(last) >= watchedLeast {
		if err := db.LearnHour(ctx, last, sources); err != nil {
			return err
		}
	}
	var err error
	if s.Hours, err = db.SourceHours(ctx, hour.Add(-LearnFor)); err != nil {
		return err
	}
	counts, err := db.EventsInSlots(ctx, []time.Time{hour})
	s.ThisHour = map[df.Source]int64{}
	for _, c := range counts {
		s.ThisHour[c.Source] += c.Events
	}
	if err != nil {
		return err
	}
	minute := store.Figure{Name: figureWatched, Slot: s.At.UTC().Truncate(time.Minute), N: 1}
	return db.AddFigures(ctx, nil, []store.Figure{minute})
}

// watched counts the minutes of the hour in which somebody took a sample.
func (s *Sample) watched(hour time.Time) int {
	minutes := 0
	for _, f := range s.Figures {
		if f.Name == figureWatched && !f.Slot.Before(hour) && f.Slot.Before(hour.Add(time.Hour)) {
			minutes++
		}
	}
	return minutes
}
