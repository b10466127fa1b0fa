package store

import (
	"context"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// The verdicts about a finding: it waits, since a webhook may only be late; a
// webhook told of it after all; or none did.
const (
	FindingWaiting   = "waiting"
	FindingAnnounced = "announced"
	FindingMissed    = "missed"
)

// Finding is a change that a sweep found before any webhook had told of it.
type Finding struct {
	Source    df.Source
	Kind      df.Kind // of the webhook that should have come
	EntityID  string
	ChangedAt time.Time // not later than this; when the side last says, or the sides last agreed
	PersonID  string
	FoundAt   time.Time
}

// AddFindings keeps findings that are new.
func (s *Store) AddFindings(ctx context.Context, found []Finding) error {
	if len(found) == 0 {
		return nil
	}
	return s.InTx(ctx, func(tx Tx) error {
		for _, f := range found {
			if _, err := tx.Exec(ctx, `INSERT INTO sweep_findings (source, kind, entity_id, changed_at, person_id, found_at, verdict)
				VALUES ($1, $2, $3, $4, $5, $6, 'waiting') ON CONFLICT DO NOTHING`,
				string(f.Source), string(f.Kind), f.EntityID, f.ChangedAt, null(f.PersonID), f.FoundAt); err != nil {
				return fmt.Errorf("keep finding: %w", err)
			}
		}
		return nil
	})
}

// WaitingFindings lists the oldest findings of a source that were found before
// the given time and are not judged.
func (s *Store) WaitingFindings(ctx context.Context, source df.Source, before time.Time, limit int) ([]Finding, error) {
	var found []Finding
	err := s.Each(ctx, `SELECT source, kind, entity_id, changed_at, person_id, found_at FROM sweep_findings
		WHERE verdict = 'waiting' AND source = $1 AND found_at <= $2 ORDER BY found_at LIMIT $3`, []any{string(source), before, limit}, func(row Row) error {
		var f Finding
		err := row.Scan((*string)(&f.Source), (*string)(&f.Kind), &f.EntityID, scanTime(&f.ChangedAt), scanText(&f.PersonID), scanTime(&f.FoundAt))
		found = append(found, f)
		return err
	})
	return found, err
}

// Announced reports whether a webhook tells of the finding: one about the entity
// or the person whose sender dates it not before the change, or which came after
// since when its sender does not date it. A deletion is only told of by a deletion.
// What happened after the finding announces nothing, since our own repair causes
// it, and neither does what a sweep itself put among the events.
func (s *Store) Announced(ctx context.Context, f Finding, since time.Time) (bool, error) {
	var one int
	err := s.Row(ctx, `SELECT count(*) FROM (SELECT 1 FROM webhook_events WHERE source = $1
		AND (entity_id = $2 OR person_id = $3 AND (source = 'aloware' OR kind LIKE 'contact.%'))
		AND ($4 <> 'contact.deleted' OR kind = 'contact.deleted')
		AND (occurred_at >= $5 AND occurred_at <= $6 OR occurred_at IS NULL AND received_at >= $7) AND route <> $8 LIMIT 1) AS found`,
		string(f.Source), f.EntityID, null(f.PersonID), string(f.Kind), f.ChangedAt.Add(-time.Second), f.FoundAt, since, RouteSweep).Scan(&one)
	if err != nil {
		return false, fmt.Errorf("look for the webhook of a finding: %w", err)
	}
	return one > 0, nil
}

// RouteSweep is the route of events that no sender posted: a sweep read them at
// their source.
const RouteSweep = "sweep"

// JudgeFinding records the verdict about a finding.
func (s *Store) JudgeFinding(ctx context.Context, f Finding, verdict string, now time.Time) error {
	_, err := s.Exec(ctx, `UPDATE sweep_findings SET verdict = $5, judged_at = $6
		WHERE source = $1 AND kind = $2 AND entity_id = $3 AND changed_at = $4`,
		string(f.Source), string(f.Kind), f.EntityID, f.ChangedAt, verdict, now)
	return err
}

// MissedCount is how the findings of one source and kind were judged.
type MissedCount struct {
	Source                     df.Source
	Kind                       df.Kind
	Missed, Announced, Waiting int64
	LastMissed                 time.Time
}

// MissedCounts counts findings since the given time (zero: all) by source and kind.
func (s *Store) MissedCounts(ctx context.Context, since time.Time) ([]MissedCount, error) {
	if since.IsZero() {
		since = time.Unix(0, 0) // the zero time is NULL in a statement
	}
	var counts []MissedCount
	err := s.Each(ctx, `SELECT source, kind, sum(CASE WHEN verdict = 'missed' THEN 1 ELSE 0 END),
		sum(CASE WHEN verdict = 'announced' THEN 1 ELSE 0 END), sum(CASE WHEN verdict = 'waiting' THEN 1 ELSE 0 END),
		max(CASE WHEN verdict = 'missed' THEN found_at END)
		FROM sweep_findings WHERE found_at >= $1 GROUP BY source, kind ORDER BY source, kind`, []any{since}, func(row Row) error {
		var c MissedCount
		err := row.Scan((*string)(&c.Source), (*string)(&c.Kind), &c.Missed, &c.Announced, &c.Waiting, scanTime(&c.LastMissed))
		counts = append(counts, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count findings: %w", err)
	}
	return counts, nil
}

// PruneFindings forgets judged findings from before the given time.
func (s *Store) PruneFindings(ctx context.Context, before time.Time) (int64, error) {
	return s.Exec(ctx, `DELETE FROM sweep_findings WHERE verdict <> 'waiting' AND found_at < $1`, before)
}

// UnheardMessages returns which of the messages, by GHL's id, we have never heard
// of, neither by a webhook nor because we put them there.
func (s *Store) UnheardMessages(ctx context.Context, ids []string) (map[string]bool, error) {
	unheard := make(map[string]bool, len(ids))
	for _, id := range ids {
		unheard[id] = true
	}
	if len(ids) == 0 {
		return unheard, nil
	}
	hear := func(row Row) error {
		var id string
		err := row.Scan(&id)
		delete(unheard, id)
		return err
	}
	in := list(len(ids), 0)
	for _, query := range []string{
		`SELECT entity_id FROM webhook_events WHERE source = 'ghl' AND entity_id IN (` + in + `)`,
		`SELECT ghl_message_id FROM message_mappings WHERE ghl_message_id IN (` + in + `)`,
		`SELECT ghl_message_id FROM calls WHERE ghl_message_id IN (` + in + `)`,
	} {
		if err := s.Each(ctx, query, anys(ids), hear); err != nil {
			return nil, fmt.Errorf("look for messages: %w", err)
		}
	}
	return unheard, nil
}
