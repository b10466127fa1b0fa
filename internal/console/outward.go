package console

import (
	"context"
	"time"

	"github.com/df-middleware/dfm/internal/alerts"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
)

// Outward is how the ways to the upstreams stand.
type Outward struct {
	Budgets  []Budget
	Breakers []Breaker
	Tokens   []Token
}

// Budget is what may still be called for one account, by all instances together.
type Budget struct {
	Upstream  string
	Account   string
	Limit     string // our own ceiling, in words
	Now, Most int    // ordinary calls that may go out at once now, and after a pause
	HeldUntil time.Time
	Daily     *int64 // what the upstream's headers said is left today; nil when they said nothing lately
	DailyAt   time.Time
}

// Breaker is the circuit breaker of one upstream in this process, and the calls
// of all processes.
type Breaker struct {
	Upstream string
	State    string // closed, open, half_open
	Until    time.Time
	Failures int   // in a row, just now
	Calls    int64 // of all instances in the last ten minutes
	Failed   int64 // of these, those without an answer
}

// Token is a credential that ends.
type Token struct {
	Name      string
	State     string // valid, expired, missing
	IssuedAt  time.Time
	ExpiresAt time.Time
	Note      string
}

// sourceRow is what arrived from one source.
type sourceRow struct {
	Source df.Source
	At     time.Time // of the last event; zero for never
	Type   string
	Silent string // what the alert says when the source should have sent something
}

// sources tells what every source sent last. One is called silent when the alert
// for that, which has learned what is usual, says so.
func (s *Server) sources(ctx context.Context) ([]sourceRow, error) {
	open, err := s.Store.Alerts(ctx, store.AlertFilter{State: "unresolved", Rule: "silent-source", Limit: 100})
	if err != nil {
		return nil, err
	}
	var rows []sourceRow
	for _, source := range []df.Source{df.SourceGHL, df.SourceAloware, df.SourceTexting, df.SourceBroadcast} {
		row := sourceRow{Source: source}
		last, err := s.Store.Events(ctx, store.EventFilter{Source: source, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(last) > 0 {
			row.At, row.Type = last[0].ReceivedAt, last[0].Notice.Type
		}
		for _, a := range open {
			if a.Subject == string(source) && a.State != alerts.Resolved {
				row.Silent = a.Summary
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}
