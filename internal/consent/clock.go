package consent

import "time"

// BusinessDays is the most that an opt-out may take to be honoured (47 CFR
// 64.1200(a)(10), in force since 2025-04-11).
const BusinessDays = 10

// Deadline returns the end of the tenth business day after the given time, in
// the time's own zone: the moment at which honouring an opt-out is late. The day
// of the opt-out does not count, nor do Saturdays, Sundays and the holidays,
// which are dates as "2006-01-02". Nil holidays are none, which is the stricter
// reading.
func Deadline(from time.Time, holidays map[string]bool) time.Time {
	year, month, day := from.Date()
	at := time.Date(year, month, day, 0, 0, 0, 0, from.Location())
	for left := BusinessDays; left > 0; {
		at = at.AddDate(0, 0, 1)
		weekend := at.Weekday() == time.Saturday || at.Weekday() == time.Sunday
		if !weekend && !holidays[at.Format(time.DateOnly)] {
			left--
		}
	}
	return at.AddDate(0, 0, 1)
}

// FederalHolidays returns the dates on which the holidays of 5 U.S.C. 6103 are
// observed in the year, for Deadline. One that falls on a Saturday is observed
// on the Friday before, and on a Sunday, on the Monday after.
func FederalHolidays(year int) map[string]bool {
	dates := map[string]bool{}
	observe := func(at time.Time) {
		switch at.Weekday() {
		case time.Saturday:
			at = at.AddDate(0, 0, -1)
		case time.Sunday:
			at = at.AddDate(0, 0, 1)
		}
		dates[at.Format(time.DateOnly)] = true
	}
	fixed := func(month time.Month, day int) { observe(date(year, month, day)) }
	fixed(time.January, 1)
	observe(nth(year, time.January, time.Monday, 3))
	observe(nth(year, time.February, time.Monday, 3))
	observe(nth(year, time.June, time.Monday, 1).AddDate(0, 0, -7)) // the last Monday of May
	fixed(time.June, 19)
	fixed(time.July, 4)
	observe(nth(year, time.September, time.Monday, 1))
	observe(nth(year, time.October, time.Monday, 2))
	fixed(time.November, 11)
	observe(nth(year, time.November, time.Thursday, 4))
	fixed(time.December, 25)
	observe(date(year+1, time.January, 1)) // may be observed on December 31
	return dates
}

func date(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// nth returns the n-th given weekday of a month.
func nth(year int, month time.Month, weekday time.Weekday, n int) time.Time {
	first := date(year, month, 1)
	ahead := (int(weekday) - int(first.Weekday()) + 7) % 7
	return first.AddDate(0, 0, ahead+7*(n-1))
}
