package store

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Minute is what happened within one minute, or within a longer stretch of them.
type Minute struct {
	At                                   time.Time // its beginning
	Received                             int64
	Finished, GivenUp                    int64 // ended as done or skipped; in quarantine
	Within1s, Within10s, Within60s, Slow int64 // of the done ones, by the time from receipt to end
	SlowestMS                            int64
	Written, Refused                     int64 // lines of the sync log
	Backlog                              int64 // open events when it ended
}

// Add adds what happened in a later minute. The backlog is the later one's.
func (m *Minute) Add(later Minute) {
	m.Received += later.Received
	m.Finished += later.Finished
	m.GivenUp += later.GivenUp
	m.Within1s += later.Within1s
	m.Within10s += later.Within10s
	m.Within60s += later.Within60s
	m.Slow += later.Slow
	m.SlowestMS = max(m.SlowestMS, later.SlowestMS)
	m.Written += later.Written
	m.Refused += later.Refused
	m.Backlog = later.Backlog
}

// How far back minutes are counted when the counting begins or was interrupted,
// and how many are counted in one go.
const (
	minutesBack  = 7 * 24 * time.Hour
	minutesChunk = 2 * time.Hour
)

// KeepMinutes counts the minutes that have ended since the last call and keeps
// what it found. It returns how many minutes it kept.
func (s *Store) KeepMinutes(ctx context.Context, now time.Time) (int, error) {
	kept := 0
	last, err := s.lastMinute(ctx)
	if err != nil {
		return 0, err
	}
	end := now.UTC().Truncate(time.Minute)
	from := end.Add(-minutesBack)
	if next := last.Add(time.Minute); next.After(from) {
		from = next
	}
	for from.Before(end) {
		to := from.Add(minutesChunk)
		if to.After(end) {
			to = end
		}
		minutes, err := s.MeasureMinutes(ctx, from, to)
		if err != nil {
			return kept, err
		}
		if err := s.putMinutes(ctx, minutes); err != nil {
			return kept, err
		}
		kept, from = kept+len(minutes), to
	}
	return kept, nil
}

func (s *Store) lastMinute(ctx context.Context) (time.Time, error) {
	var last time.Time
	if err := s.Row(ctx, `SELECT max(minute) FROM minute_figures`).Scan(scanTime(&last)); err != nil {
		return last, fmt.Errorf("find the last counted minute: %w", err)
	}
	return last, nil
}

// PruneMinutes forgets the minutes before the given time.
func (s *Store) PruneMinutes(ctx context.Context, before time.Time) (int64, error) {
	n, err := s.Exec(ctx, `DELETE FROM minute_figures WHERE minute < $1`, before)
	if err != nil {
		return 0, fmt.Errorf("forget old figures: %w", err)
	}
	return n, nil
}

const minuteColumns = `minute, received, finished, given_up, within_1s, within_10s, within_60s, slower, slowest_ms, written, refused, backlog`

func (s *Store) putMinutes(ctx context.Context, minutes []Minute) error {
	const columns = 12
	for chunk := range slices.Chunk(minutes, 60) {
		args := make([]any, 0, len(chunk)*columns)
		for _, m := range chunk {
			args = append(args, m.At, m.Received, m.Finished, m.GivenUp, m.Within1s, m.Within10s, m.Within60s, m.Slow, m.SlowestMS,
				m.Written, m.Refused, m.Backlog)
		}
		_, err := s.Exec(ctx, `INSERT INTO minute_figures (`+minuteColumns+`) VALUES `+tuples(len(chunk), columns, 0)+
			` ON CONFLICT (minute) DO NOTHING`, args...)
		if err != nil {
			return fmt.Errorf("keep figures: %w", err)
		}
	}
	return nil
}

// Minutes returns what happened from the given time until now, by minute: those
// that were kept, and the youngest as they stand now. Minutes in which nothing
// happened are missing.
func (s *Store) Minutes(ctx context.Context, from, now time.Time) ([]Minute, error) {
	var minutes []Minute
	err := s.Each(ctx, `SELECT `+minuteColumns+` FROM minute_figures WHERE minute >= $1 ORDER BY minute`, []any{from}, func(row Row) error {
		var m Minute
		err := row.Scan(scanTime(&m.At), &m.Received, &m.Finished, &m.GivenUp, &m.Within1s, &m.Within10s, &m.Within60s, &m.Slow, &m.SlowestMS,
			&m.Written, &m.Refused, &m.Backlog)
		minutes = append(minutes, m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read figures: %w", err)
	}
	last, err := s.lastMinute(ctx)
	if err != nil {
		return nil, err
	}
	// Nobody counts when no worker runs: what is missing is counted here, though
	// no more than a page can wait for.
	young := now.UTC().Truncate(time.Minute).Add(-15 * time.Minute)
	if next := last.Add(time.Minute); next.After(young) {
		young = next
	}
	if young.Before(from) {
		young = from
	}
	fresh, err := s.MeasureMinutes(ctx, young, now.UTC().Truncate(time.Minute).Add(time.Minute))
	return append(minutes, fresh...), err
}

// MeasureMinutes counts what happened between two full minutes from the events
// and the sync log themselves. The newest minute is always among the result, and
// others only when something happened.
func (s *Store) MeasureMinutes(ctx context.Context, from, to time.Time) ([]Minute, error) {
	n := int(to.Sub(from) / time.Minute)
	if n <= 0 {
		return nil, nil
	}
	c := minuteCount{from: from, minutes: make([]Minute, n), opened: make([]int64, n), ended: make([]int64, n)}
	if err := c.read(ctx, s, to); err != nil {
		return nil, fmt.Errorf("count what happened: %w", err)
	}
	open, err := s.openAt(ctx, to)
	if err != nil {
		return nil, err
	}
	for i := n - 1; i >= 0; i-- {
		c.minutes[i].At, c.minutes[i].Backlog = from.Add(time.Duration(i)*time.Minute), max(0, open)
		open += c.ended[i] - c.opened[i]
	}
	var found []Minute
	for i, m := range c.minutes {
		if m.Received+m.Finished+m.GivenUp+m.Written+m.Refused > 0 || i == n-1 {
			found = append(found, m)
		}
	}
	return found, nil
}

// openAt returns how many events were open at the time: those from before it
// that are open now or have ended since. What was skipped on arrival never was.
func (s *Store) openAt(ctx context.Context, at time.Time) (int64, error) {
	var open, ended int64
	err := s.Row(ctx, `SELECT (SELECT count(CASE WHEN received_at < $1 THEN 1 END) FROM webhook_events WHERE status IN ('pending', 'processing', 'error')),
		(SELECT count(*) FROM webhook_events WHERE processed_at >= $1 AND received_at < $1 AND lane <> '')`, at).Scan(&open, &ended)
	if err != nil {
		return 0, fmt.Errorf("count what was open: %w", err)
	}
	return open + ended, nil
}

// minuteCount adds up the minutes from a time on.
type minuteCount struct {
	from          time.Time
	minutes       []Minute
	opened, ended []int64
}

// slot returns the minute of a time, or -1 when it is in none.
func (c *minuteCount) slot(at time.Time) int {
	if at.Before(c.from) {
		return -1
	}
	if i := int(at.Sub(c.from) / time.Minute); i < len(c.minutes) {
		return i
	}
	return -1
}

func (c *minuteCount) read(ctx context.Context, q Querier, to time.Time) error {
	least, most := floorID(c.from.Add(-time.Minute)), floorID(to.Add(time.Minute))
	err := q.Each(ctx, `SELECT received_at, lane <> '' FROM webhook_events WHERE id >= $1 AND id < $2 AND received_at >= $3 AND received_at < $4`,
		[]any{least, most, c.from, to}, func(row Row) error {
			var at time.Time
			var open bool
			err := row.Scan(scanTime(&at), &open)
			if i := c.slot(at); i >= 0 {
				c.minutes[i].Received++
				if open {
					c.opened[i]++
				}
			}
			return err
		})
	if err != nil {
		return err
	}
	err = q.Each(ctx, `SELECT processed_at, received_at, status, lane <> '' FROM webhook_events WHERE processed_at >= $1 AND processed_at < $2`,
		[]any{c.from, to}, func(row Row) error {
			var at, received time.Time
			var status string
			var open bool
			err := row.Scan(scanTime(&at), scanTime(&received), &status, &open)
			if i := c.slot(at); i >= 0 {
				c.end(i, status, at.Sub(received), open)
			}
			return err
		})
	if err != nil {
		return err
	}
	return q.Each(ctx, `SELECT started_at, status FROM sync_log WHERE id >= $1 AND id < $2 AND started_at >= $3 AND started_at < $4`,
		[]any{least, most, c.from, to}, func(row Row) error {
			var at time.Time
			var status string
			err := row.Scan(scanTime(&at), &status)
			switch i := c.slot(at); {
			case i < 0:
			case status == "success":
				c.minutes[i].Written++
			case status == "error":
				c.minutes[i].Refused++
			}
			return err
		})
}

// end counts one event that ended in the minute.
func (c *minuteCount) end(i int, status string, took time.Duration, open bool) {
	m := &c.minutes[i]
	if open {
		c.ended[i]++
	}
	if status == "quarantined" {
		m.GivenUp++
		return
	}
	m.Finished++
	if status != "done" {
		return
	}
	m.SlowestMS = max(m.SlowestMS, took.Milliseconds())
	switch {
	case took <= time.Second:
		m.Within1s++
	case took <= 10*time.Second:
		m.Within10s++
	case took <= time.Minute:
		m.Within60s++
	default:
		m.Slow++
	}
}
