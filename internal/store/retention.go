package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// KeptClass says for what, and so for how long, rows are kept.
type KeptClass string

// The classes. History tells what happened and why; Records are what the law
// wants to see for years: calls, texts, and who changed what.
const (
	History KeptClass = "history"
	Records KeptClass = "records"
)

// ageing says how rows of one table grow old.
type ageing struct {
	class KeptClass
	table string
	key   string // columns that name a row
	time  string // column that says how old it is
	order string // oldest first, along an index
	when  string // which rows may go at all; empty for all
}

// ageings lists the tables whose rows go when they are old, those of events
// aside. A new table that grows with what happens gets a line here.
var ageings = []ageing{
	{class: History, table: "sync_log", key: "seq", time: "started_at", order: "seq"},
	{class: History, table: "sync_conflicts", key: "seq", time: "at", order: "seq", when: "state <> 'asked'"},
	{class: History, table: "sync_issues", key: "person_id, topic", time: "at", order: "at", when: "NOT open"},
	{class: History, table: "effects", key: "key", time: "updated_at", order: "updated_at", when: "state IN ('done', 'failed')"},
	{class: History, table: "people_undo", key: "id", time: "at", order: "id"},
	{class: History, table: "list_runs", key: "id", time: "created_at", order: "id", when: "state <> 'waiting'"},
	{class: History, table: "replays", key: "id", time: "started_at", order: "id", when: "status NOT IN ('working', 'running')"},
	{class: History, table: "reconcile_runs", key: "id", time: "started_at", order: "id", when: "status <> 'running'"},
	{class: Records, table: "message_mappings", key: "id", time: "created_at", order: "created_at"},
	{class: Records, table: "calls", key: "id", time: "started_at", order: "started_at, id"},
	{class: Records, table: "crm_items", key: "kind, id", time: "changed_at", order: "changed_at, id"},
	{class: Records, table: "audit_log", key: "seq", time: "at", order: "seq"},
	{class: Records, table: "consent_incidents", key: "key", time: "seen_at", order: "seen_at", when: "resolved_at IS NOT NULL"},
	{class: Records, table: "consent_reviews", key: "event_id", time: "at", order: "at", when: "resolved_at IS NOT NULL"},
}

// Aged names the tables of a class that DeleteAged takes rows from.
func Aged(class KeptClass) []string {
	var tables []string
	for _, a := range ageings {
		if a.class == class {
			tables = append(tables, a.table)
		}
	}
	return tables
}

// DeleteAged deletes rows of one of the Aged tables from before the given time:
// those among its limit oldest, so that it never reads or locks more than that.
// It returns how many went; fewer than limit means that the others are younger.
func (s *Store) DeleteAged(ctx context.Context, table string, before time.Time, limit int) (int64, error) {
	for _, a := range ageings {
		if a.table != table {
			continue
		}
		when := ""
		if a.when != "" {
			when = ` WHERE ` + a.when
		}
		n, err := s.Exec(ctx, `DELETE FROM `+table+` WHERE (`+a.key+`) IN (SELECT `+a.key+` FROM (SELECT `+a.key+`, `+a.time+` AS aged
			FROM `+table+when+` ORDER BY `+a.order+` LIMIT $2) AS oldest WHERE aged < $1)`, before, limit)
		if err != nil {
			return 0, fmt.Errorf("delete what is old of %s: %w", table, err)
		}
		return n, nil
	}
	return 0, fmt.Errorf("store: %s is not kept by age", table)
}

// DeleteEvents deletes, with their failed tries, at most limit events received
// before the given time. Those that are still open stay.
func (s *Store) DeleteEvents(ctx context.Context, before time.Time, limit int) (int64, error) {
	var deleted int64
	err := s.InTx(ctx, func(tx Tx) error {
		var ids []string
		err := tx.Each(ctx, `SELECT id FROM webhook_events WHERE id < $1 AND received_at < $2
			AND status IN ('done', 'skipped', 'quarantined') ORDER BY id LIMIT $3`,
			[]any{floorID(before.Add(time.Minute)), before, limit}, func(row Row) error {
				var id string
				err := row.Scan(&id)
				ids = append(ids, id)
				return err
			})
		if err != nil || len(ids) == 0 {
			return err
		}
		in := list(len(ids), 0)
		if _, err := tx.Exec(ctx, `DELETE FROM webhook_attempts WHERE event_id IN (`+in+`)`, anys(ids)...); err != nil {
			return err
		}
		deleted, err = tx.Exec(ctx, `DELETE FROM webhook_events WHERE id IN (`+in+`)`, anys(ids)...)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("delete old events: %w", err)
	}
	return deleted, nil
}

// EmptyEvents takes body and headers out of a source's events received before
// the given time. It looks at no more than limit events, from where it stopped
// the last time, and reports whether there may be more. What it emptied can no
// longer be replayed. Events that are open or quarantined keep their bodies: they
// are still to be handled.
func (s *Store) EmptyEvents(ctx context.Context, source df.Source, before time.Time, limit int) (emptied int64, more bool, err error) {
	err = s.InTx(ctx, func(tx Tx) error {
		emptied, more = 0, false
		mark, err := readMark(ctx, tx, source)
		if err != nil {
			return err
		}
		var ids []string
		seen := 0
		err = tx.Each(ctx, `SELECT id, source, status FROM webhook_events WHERE id > $1 AND id < $2 AND received_at < $3
			ORDER BY id LIMIT $4`, []any{mark, floorID(before.Add(time.Minute)), before, limit}, func(row Row) error {
			var from, status string
			err := row.Scan(&mark, &from, &status)
			seen++
			if from == string(source) && (status == string(df.Done) || status == string(df.Skipped)) {
				ids = append(ids, mark)
			}
			return err
		})
		if err != nil || seen == 0 {
			return err
		}
		more = seen == limit
		if len(ids) > 0 {
			emptied, err = tx.Exec(ctx, `UPDATE webhook_events SET payload_json = NULL, payload_raw = NULL, headers = '{}', lane = ''
				WHERE id IN (`+list(len(ids), 0)+`) AND status IN ('done', 'skipped')`, anys(ids)...)
			if err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `INSERT INTO retention_marks (name, mark) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET mark = excluded.mark`, markName(source), mark)
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("empty old events: %w", err)
	}
	return emptied, more, nil
}

func markName(source df.Source) string { return "payloads:" + string(source) }

func readMark(ctx context.Context, tx Tx, source df.Source) (string, error) {
	var mark string
	err := tx.Row(ctx, `SELECT mark FROM retention_marks WHERE name = $1`, markName(source)).Scan(&mark)
	if errors.Is(err, ErrNoRows) {
		return "", nil
	}
	return mark, err
}

// EmptyEffects forgets what was sent by effects that were settled before the
// given time, at most limit of them, and returns how many.
func (s *Store) EmptyEffects(ctx context.Context, before time.Time, limit int) (int64, error) {
	n, err := s.Exec(ctx, `UPDATE effects SET request = '{}' WHERE key IN (SELECT key FROM effects
		WHERE request <> '{}' AND state IN ('done', 'failed') AND updated_at < $1 ORDER BY updated_at LIMIT $2)`, before, limit)
	if err != nil {
		return 0, fmt.Errorf("empty old effects: %w", err)
	}
	return n, nil
}
