package verity

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/verity/strictjson"
)

// Analytics says how a broadcast went.
type Analytics struct {
	Name         string
	Channel      string // as Verity spells it: sms, email
	SentAt       time.Time
	Recipients   int64
	Sent         int64
	Delivered    int64
	Pending      int64
	Failed       int64
	Bounced      int64
	OptedOut     int64
	Responses    int64
	Appointments int64
}

// BroadcastAnalytics fetches how a broadcast went, with the middleware's own
// token. Its errors are *df.CallError.
func (c *Client) BroadcastAnalytics(ctx context.Context, broadcastID string) (Analytics, error) {
	const operation = "read broadcast analytics"
	response, err := c.Do(ctx, Request{
		Endpoint: c.cfg.AnalyticsPath, Method: http.MethodGet, Params: map[string]string{"id": broadcastID},
	})
	if err != nil {
		return Analytics{}, asVerdict(operation, err)
	}
	if err := c.verdict(operation, response, true); err != nil {
		return Analytics{}, err
	}
	analytics, ok := DecodeAnalytics(response.Body)
	if !ok {
		return Analytics{}, &df.CallError{
			Upstream: upstream, Operation: operation, Outcome: df.RetryLater, Status: response.Status,
			Code: df.CodeGarbled, Message: "the answer holds no analytics",
		}
	}
	return analytics, nil
}

// DecodeAnalytics finds analytics in an answer of Verity's or in a broadcast
// webhook's payload: at the root, under "data" or under "analytics", also one
// inside the other. Numbers may be given as text. It returns false when none of
// the counts is there.
func DecodeAnalytics(raw []byte) (Analytics, bool) { return findAnalytics(raw, 3) }

func findAnalytics(raw []byte, depth int) (Analytics, bool) {
	fields := object(raw)
	if depth == 0 || len(fields) == 0 {
		return Analytics{}, false
	}
	for _, name := range []string{"analytics", "data"} {
		if found, ok := findAnalytics(fields[name], depth-1); ok {
			return found.named(fields, "channel"), true // the type beside analytics is the event's
		}
	}
	counted := false
	count := func(names ...string) int64 {
		for _, name := range names {
			if n, ok := whole(fields[name]); ok {
				counted = true
				return n
			}
		}
		return 0
	}
	a := Analytics{
		Recipients: count("recipients", "totalRecipients"), Sent: count("sent"), Delivered: count("delivered"),
		Pending: count("pending"), Failed: count("failed"), Bounced: count("bounced"), OptedOut: count("optedOut"),
		Responses: count("responses"), Appointments: count("appointmentsSet", "appointments"),
	}
	return a.named(fields, "channel", "type"), counted
}

// named fills in name, channel and time where they are not known yet.
func (a Analytics) named(fields map[string]json.RawMessage, channel ...string) Analytics {
	for _, name := range []string{"name", "subject"} {
		if a.Name == "" {
			a.Name = scalarText(fields[name])
		}
	}
	for _, name := range channel {
		if a.Channel == "" {
			a.Channel = scalarText(fields[name])
		}
	}
	for _, name := range []string{"sentAt", "executedAt"} {
		if a.SentAt.IsZero() {
			a.SentAt = moment(fields[name])
		}
	}
	return a
}

// whole reads a count, given as a number or as text. A list is counted.
func whole(raw json.RawMessage) (int64, bool) {
	switch strictjson.KindOf(raw) {
	case strictjson.Number, strictjson.Text:
	case strictjson.Array:
		n := int64(0)
		_ = strictjson.Elements(raw, func(int, []byte) error { n++; return nil })
		return n, true
	default:
		return 0, false
	}
	text, _ := scalar(raw)
	value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(value) || math.Abs(value) > 1<<53 {
		return 0, false
	}
	return max(0, int64(value)), true
}

// moment reads a time in RFC 3339 or as Unix seconds or milliseconds.
func moment(raw json.RawMessage) time.Time {
	text := scalarText(raw)
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at.UTC()
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || n <= 0:
		return time.Time{}
	case n > 1e11:
		return time.UnixMilli(n).UTC()
	}
	return time.Unix(n, 0).UTC()
}
