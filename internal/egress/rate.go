package egress

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxHold bounds what one answer can make us wait, so that a broken Retry-After
// cannot shut an account for good. GHL's longest window is a day.
const maxHold = 24 * time.Hour

// Rate is what the headers of an answer say about what is left of a budget.
type Rate struct {
	Known     bool      // the headers were there
	Remaining int       // calls left in the short window
	Daily     int       // calls left today; -1 when not said
	HoldUntil time.Time // when to call again, zero unless something is used up
}

// dailyProbe is how often an account that used up its day is tried again. GHL
// does not document when the day resets.
const dailyProbe = 15 * time.Minute

// RateLimitHeaders reads the X-RateLimit family as GHL sends it with every
// answer: what remains of the interval, the interval in milliseconds, and what
// remains of the day. It is made for Options.RateHeaders.
func RateLimitHeaders(header http.Header, now time.Time) Rate {
	rate := Rate{Remaining: -1, Daily: -1}
	if left, ok := count(header, "X-RateLimit-Remaining"); ok {
		rate.Known, rate.Remaining = true, left
		if left == 0 {
			rate.HoldUntil = now.Add(interval(header))
		}
	}
	if left, ok := count(header, "X-RateLimit-Daily-Remaining"); ok {
		rate.Known, rate.Daily = true, left
		if left == 0 {
			rate.HoldUntil = now.Add(dailyProbe)
		}
	}
	return rate
}

// interval is the length of the short window; GHL documents ten seconds.
func interval(header http.Header) time.Duration {
	ms, ok := count(header, "X-RateLimit-Interval-Milliseconds")
	if !ok || ms == 0 {
		return 10 * time.Second
	}
	return min(time.Duration(ms)*time.Millisecond, maxHold)
}

func count(header http.Header, name string) (int, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(header.Get(name)), 10, 32)
	if err != nil || n < 0 {
		return 0, false
	}
	return int(n), true
}

// RetryAfter reads a Retry-After header, whether it counts seconds or names a
// date, and returns the instant meant: never in the past and at most a day
// ahead. It returns the zero time when there is no header or it cannot be read.
func RetryAfter(header http.Header, now time.Time) time.Time {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return time.Time{}
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if math.IsNaN(seconds) || seconds < 0 {
			return time.Time{}
		}
		return now.Add(time.Duration(min(seconds, maxHold.Seconds()) * float64(time.Second)))
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return time.Time{}
	}
	return clamp(date, now, now.Add(maxHold))
}

func clamp(t, low, high time.Time) time.Time {
	if t.Before(low) {
		return low
	}
	if t.After(high) {
		return high
	}
	return t
}
