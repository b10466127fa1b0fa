package alerts

import (
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

const (
	// LearnFor is how far back a source's usual rate is learned.
	LearnFor = 5 * 7 * 24 * time.Hour

	expectedLeast = 12 // events that must be expected before their absence means anything
	expectedMost  = 36 // events that are expected in a stretch that is long enough
	quietHours    = 24 // the longest stretch that is judged
	quietShare    = 10 // fewer than one in so many of the expected is too quiet
	sameHours     = 2  // weeks that must be known for an hour of the week to have a rate of its own
	learnedLeast  = 48 // hours that must be known at all
)

// silentSources finds the sources that send much less than they usually do at
// this hour of the week: more often than not that is a webhook that somebody
// switched off, and no error ever tells.
//
// It goes back from now, hour by hour, until enough events would be expected, a
// day at most; a source that sends too little even in a day is never judged. As
// long as the hours of the week are not known, nights and weekends are not
// either, and only a whole day of nothing counts.
func silentSources(s *Sample) []Finding {
	usual := learn(s.Hours)
	var found []Finding
	for _, source := range []df.Source{df.SourceGHL, df.SourceAloware, df.SourceTexting, df.SourceBroadcast} {
		rates, ok := usual[source]
		if !ok || rates.hours < learnedLeast {
			continue
		}
		l := rates.lately(s.At.Truncate(time.Hour))
		l.got += s.ThisHour[source]
		if l.expected < expectedLeast || float64(l.got*quietShare) > l.expected || l.flat && (l.hours < quietHours || l.got > 0) {
			continue
		}
		found = append(found, Finding{string(source), grade(l.got == 0 && l.expected >= expectedMost && !l.flat, true), fmt.Sprintf(
			"%d events came in the last %d hours, where about %.0f are usual: its webhooks may be switched off", l.got, l.hours, l.expected)})
	}
	return found
}

// usualRates is what a source sends in an hour of the week.
type usualRates struct {
	hours int // that are known
	total int64
	known map[time.Time]int64
}

func learn(hours []store.SourceHour) map[df.Source]*usualRates {
	learned := map[df.Source]*usualRates{}
	for _, h := range hours {
		rates := learned[h.Source]
		if rates == nil {
			rates = &usualRates{known: map[time.Time]int64{}}
			learned[h.Source] = rates
		}
		rates.hours++
		rates.total += h.Events
		rates.known[h.Hour.UTC()] = h.Events
	}
	return learned
}

// stretch is what was to be expected, and what came, in some whole hours.
type stretch struct {
	expected float64
	got      int64
	hours    int
	flat     bool // for an hour of them, only the mean of all hours is known
}

// lately looks at the hours before the given one. It stops at an hour in which
// we did not listen, which is no silence of the source.
func (u *usualRates) lately(hour time.Time) stretch {
	var l stretch
	for l.hours < quietHours && (l.flat || l.expected < expectedMost) {
		hour = hour.Add(-time.Hour)
		n, known := u.known[hour.UTC()]
		if !known {
			break
		}
		rate, own := u.usual(hour)
		l.expected += rate
		l.got += n
		l.hours++
		l.flat = l.flat || !own
	}
	return l
}

// usual is the mean of the same hour in the weeks before, or of all hours while
// too few weeks are known.
func (u *usualRates) usual(hour time.Time) (rate float64, own bool) {
	sum, weeks := int64(0), 0
	for past := hour.AddDate(0, 0, -7); hour.Sub(past) <= LearnFor; past = past.AddDate(0, 0, -7) {
		if n, ok := u.known[past.UTC()]; ok {
			sum, weeks = sum+n, weeks+1
		}
	}
	if weeks >= sameHours {
		return float64(sum) / float64(weeks), true
	}
	return float64(u.total) / float64(u.hours), false
}
