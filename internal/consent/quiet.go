package consent

import (
	"slices"
	"time"
)

// QuietHours are the hours of the day, by the person's own clock, in which
// nobody is texted or called. The law's own are 21 to 8 (47 CFR
// 64.1200(c)(1)).
type QuietHours struct {
	// From and Until are hours and minutes on the clock, as durations since
	// midnight. From 21 h until 8 h spans midnight.
	From, Until time.Duration
	// Elsewhere are the zones a person may be in whose own is not known: it
	// must be quiet in none of them. Empty means that such a person is never
	// contacted while quiet hours are on.
	Elsewhere []*time.Location
}

// zones returns where the person may be: the IANA zone when it is one, else
// everywhere that the policy names.
func (q *QuietHours) zones(timezone string) []*time.Location {
	if timezone == "" || timezone == "Local" {
		return q.Elsewhere
	}
	zone, err := time.LoadLocation(timezone)
	if err != nil {
		return q.Elsewhere
	}
	return []*time.Location{zone}
}

// Quiet reports whether it is quiet at the time in the zone. It goes by what the
// clock on the wall shows, so it holds on the days on which clocks change: an
// hour that is shown twice is quiet twice, one that is skipped is nobody's.
func (q *QuietHours) Quiet(at time.Time, zone *time.Location) bool {
	hour, minute, second := at.In(zone).Clock()
	wall := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second
	if q.From <= q.Until {
		return wall >= q.From && wall < q.Until
	}
	return wall >= q.From || wall < q.Until
}

// anywhere reports whether it is quiet in one of the zones.
func (q *QuietHours) anywhere(at time.Time, zones []*time.Location) bool {
	return slices.ContainsFunc(zones, func(zone *time.Location) bool { return q.Quiet(at, zone) })
}
