package alerts

import (
	"context"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Window is the stretch of time over which rates are judged.
const Window = 10 * time.Minute

// Sample is what was seen at one moment. Fields whose probe is missing, or failed,
// are empty, and the rules that need them have no say.
type Sample struct {
	At time.Time

	Results map[string]Tried // by source, and by direction of the sync log
	Untried store.Waiting    // events that nobody has tried though they could be
	Stuck   store.Waiting    // events that failed again and again

	Quarantined int64 // events that wait for a person
	Incidents   int64 // texts and calls to people who had said stop

	Figures []store.Figure       // of the last hours, oldest first
	Held    map[string]time.Time // accounts that an upstream holds, and until when

	Hours    []store.SourceHour  // what the sources sent in past hours, oldest first
	ThisHour map[df.Source]int64 // and in the hour that is not over

	LateOptOuts []LateOptOut
	Unexplained int64            // people who differ between systems for no reason that we know
	Missed      map[string]int64 // changes that no webhook announced lately, by source
	GivenUp     int64            // forwards to Verity that were given up lately

	BackupAge   time.Duration // of the newest backup
	BackupEvery time.Duration // how often one is due

	known map[string]bool // by probe
}

// Tried is how many things were finished, and how many of them failed.
type Tried struct{ All, Failed int64 }

// LateOptOut is a system that has not been told of opt-outs in good time.
type LateOptOut struct {
	Target   string
	People   int64
	Deadline time.Time // the earliest at which the law is broken
}

// Probe fills a part of samples.
type Probe struct {
	Name string // rules name the probes that they need
	Read func(ctx context.Context, s *Sample) error
}

// Count returns the sum of a count's figures since the given time, by subject.
func (s *Sample) Count(name string, since time.Time) map[string]int64 {
	sums := map[string]int64{}
	for _, f := range s.Figures {
		if f.Name == name && !f.Slot.Before(since) {
			sums[f.Subject] += f.N
		}
	}
	return sums
}

// Gauge returns the figures that a gauge showed since the given time, by subject,
// the oldest first.
func (s *Sample) Gauge(name string, since time.Time) map[string][]store.Figure {
	shown := map[string][]store.Figure{}
	for _, f := range s.Figures {
		if f.Name == name && !f.Slot.Before(since) {
			shown[f.Subject] = append(shown[f.Subject], f)
		}
	}
	return shown
}
