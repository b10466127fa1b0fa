package egress

import (
	"math"
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := epoch
	for _, test := range []struct {
		header string
		want   time.Time
	}{
		{"", time.Time{}},
		{"7", now.Add(7 * time.Second)},
		{" 0.5 ", now.Add(500 * time.Millisecond)},
		{"0", now},
		{"-3", time.Time{}},
		{"NaN", time.Time{}},
		{"soon", time.Time{}},
		{"99999999999999999999", now.Add(24 * time.Hour)},
		{"+Inf", now.Add(24 * time.Hour)},
		{now.Add(time.Minute).Format(http.TimeFormat), now.Add(time.Minute)},
		{now.Add(-time.Minute).Format(http.TimeFormat), now},
		{now.AddDate(9, 0, 0).Format(http.TimeFormat), now.Add(24 * time.Hour)},
	} {
		got := RetryAfter(http.Header{"Retry-After": {test.header}}, now)
		if !got.Equal(test.want) {
			t.Errorf("Retry-After %q: %v, want %v", test.header, got, test.want)
		}
	}
}

func TestRateLimitHeaders(t *testing.T) {
	for _, test := range []struct {
		name   string
		header map[string]string
		want   Rate
	}{
		{"none", nil, Rate{Remaining: -1, Daily: -1}},
		{"some left", map[string]string{"X-RateLimit-Remaining": "40", "X-RateLimit-Daily-Remaining": "9000"},
			Rate{Known: true, Remaining: 40, Daily: 9000}},
		{"interval used up", map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Interval-Milliseconds": "4000"},
			Rate{Known: true, Remaining: 0, Daily: -1, HoldUntil: epoch.Add(4 * time.Second)}},
		{"interval not said", map[string]string{"X-RateLimit-Remaining": "0"},
			Rate{Known: true, Remaining: 0, Daily: -1, HoldUntil: epoch.Add(10 * time.Second)}},
		{"day used up", map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Daily-Remaining": "0"},
			Rate{Known: true, HoldUntil: epoch.Add(15 * time.Minute)}},
		{"nonsense", map[string]string{"X-RateLimit-Remaining": "-1", "X-RateLimit-Daily-Remaining": "many"},
			Rate{Remaining: -1, Daily: -1}},
	} {
		header := http.Header{}
		for name, value := range test.header {
			header.Set(name, value)
		}
		if got := RateLimitHeaders(header, epoch); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func FuzzRetryAfterStaysWithinADay(f *testing.F) {
	for _, seed := range []string{"1", "1e400", "-0", "0x10", "Mon, 04 May 2026 12:00:00 GMT", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		at := RetryAfter(http.Header{"Retry-After": {value}}, epoch)
		if at.IsZero() {
			return
		}
		if ahead := at.Sub(epoch); ahead < 0 || ahead > 24*time.Hour || math.IsNaN(ahead.Seconds()) {
			t.Errorf("%q means %v from now", value, ahead)
		}
	})
}
