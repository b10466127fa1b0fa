package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// holdsText is the condition that a body holds a text. Only letters of ASCII are
// the same in either case: for more PostgreSQL would ask its locale about every
// letter, at three times the cost, and SQLite knows no more.
const holdsText = `lower(CAST(payload_json AS TEXT) COLLATE "C") LIKE ? ESCAPE '\'`

func likeText(text string) string { return "%" + likeEscape(lowerASCII(text)) + "%" }

// HoldsText reports whether a body holds a text, as the database judges it.
func HoldsText(body []byte, text string) bool {
	return strings.Contains(lowerASCII(string(body)), lowerASCII(text))
}

func lowerASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}

// EventSearch is what a search in the bodies of events found, as far as it came.
type EventSearch struct {
	Events []df.Event // newest first
	// Next is the seq before which the search goes on; 0 when nothing is left.
	Next int64
	// SearchedTo is when the oldest event was received whose body was looked at,
	// if the search ended because time was over; zero when it ended by itself.
	SearchedTo time.Time
}

// searchWindow is how many bodies are looked at in one go: some milliseconds when
// they lie together, some more when they are those of a source or a person.
const searchWindow = 250

// SearchEvents lists events whose bodies hold f.Text, as Events does. Bodies have
// no index, so they are looked at from the newest on, until the page is full or
// enough says that the reader should not wait longer. Some are always looked at,
// so that who goes on gets on. What is not shown to the reader counts as nothing at
// all, so that the number of rows and the way on say nothing of it either; a nil
// shown shows everything.
func (s *Store) SearchEvents(ctx context.Context, f EventFilter, shown func(body []byte) bool, enough func() bool) (EventSearch, error) {
	var found EventSearch
	limit := max(1, min(f.Limit, 1000))
	var fits []int64
	for {
		last, read, err := s.searchWindow(ctx, f, func(seq int64, body []byte) {
			if shown == nil || shown(body) {
				fits = append(fits, seq)
			}
		})
		if err != nil {
			return found, fmt.Errorf("search events: %w", err)
		}
		if len(fits) >= limit {
			fits = fits[:limit]
			found.Next = fits[limit-1]
			break
		}
		if read < searchWindow {
			break
		}
		f.Before = last.Seq
		if enough() {
			found.Next, found.SearchedTo = last.Seq, last.ReceivedAt
			break
		}
	}
	var err error
	found.Events, err = s.eventsBySeq(ctx, fits)
	return found, err
}

// searchWindow looks at the next bodies and returns the last event it looked at
// and how many there were.
func (s *Store) searchWindow(ctx context.Context, f EventFilter, fits func(seq int64, body []byte)) (last df.Event, read int, err error) {
	text := likeText(f.Text)
	f.Text, f.Limit = "", searchWindow
	window, args := f.page("seq, received_at, payload_json")
	args = append(args, text)
	holds := strings.ReplaceAll(holdsText, "?", fmt.Sprintf("$%d", len(args)))
	err = s.Each(ctx, `SELECT seq, received_at, CASE WHEN `+holds+` THEN payload_json END FROM (`+window+`) AS part`+f.order(), args, func(row Row) error {
		var e df.Event
		err := row.Scan(&e.Seq, scanTime(&e.ReceivedAt), &e.Raw)
		last, read = e, read+1
		if e.Raw != nil {
			fits(e.Seq, e.Raw)
		}
		return err
	})
	return last, read, err
}

// eventsBySeq reads events in the given order. One that is gone meanwhile is
// missing.
func (s *Store) eventsBySeq(ctx context.Context, seqs []int64) ([]df.Event, error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	args := make([]any, len(seqs))
	for i, seq := range seqs {
		args[i] = seq
	}
	var events []df.Event
	err := s.Each(ctx, `SELECT `+fullEvent+` FROM webhook_events WHERE seq IN (`+list(len(seqs), 0)+`)`, args, func(row Row) error {
		e, err := scanEvent(row)
		events = append(events, e)
		return err
	})
	slices.SortFunc(events, func(a, b df.Event) int { return slices.Index(seqs, a.Seq) - slices.Index(seqs, b.Seq) })
	return events, err
}
