package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// SyncRow is one line of sync_log: what was written where, for which event.
type SyncRow struct {
	Seq           int64
	ID            string
	Direction     df.Direction
	EntityType    string
	EntityID      string
	SourceID      string
	TargetID      string
	Status        string // success, error, skipped
	StartedAt     time.Time
	FinishedAt    time.Time
	Message       string // the error, or why nothing was done; safe text
	CorrelationID string // the event, when one caused it
	PersonID      string
	Fields        string          // names of what was written, comma separated
	Decisions     json.RawMessage // what was decided in this run, by which rule; nil for none
}

// SyncFilter selects lines of the sync log. Zero fields select everything.
type SyncFilter struct {
	IDs           []string
	Direction     df.Direction
	Status        string
	EntityID      string
	PersonID      string
	CorrelationID string
	Before        int64
	Limit         int
}

// SyncLog lists lines of the sync log, newest first.
func (s *Store) SyncLog(ctx context.Context, f SyncFilter) ([]SyncRow, error) {
	query, args := f.query()
	var rows []SyncRow
	err := s.Each(ctx, query, args, func(row Row) error {
		var r SyncRow
		var decisions string
		err := row.Scan(&r.Seq, &r.ID, (*string)(&r.Direction), &r.EntityType, &r.EntityID, &r.SourceID,
			scanText(&r.TargetID), &r.Status, scanTime(&r.StartedAt), scanTime(&r.FinishedAt), scanText(&r.Message),
			scanText(&r.CorrelationID), scanText(&r.PersonID), scanText(&r.Fields),
			scanText(&decisions))
		if decisions != "" {
			r.Decisions = json.RawMessage(decisions)
		}
		rows = append(rows, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list sync log: %w", err)
	}
	return rows, nil
}

func (f SyncFilter) query() (string, []any) {
	var terms []string
	var args []any
	add := func(term, value string) {
		if value != "" {
			args = append(args, value)
			terms = append(terms, strings.ReplaceAll(term, "?", "$"+strconv.Itoa(len(args))))
		}
	}
	add("direction = ?", string(f.Direction))
	add("status = ?", f.Status)
	// Each of the three has an index; an OR of them would use none.
	add(`seq IN (SELECT seq FROM sync_log WHERE entity_id = ? UNION SELECT seq FROM sync_log WHERE source_id = ?
		UNION SELECT seq FROM sync_log WHERE target_id = ?)`, f.EntityID)
	add("person_id = ?", f.PersonID)
	add("correlation_id = ?", f.CorrelationID)
	if len(f.IDs) > 0 {
		terms = append(terms, "id IN ("+list(len(f.IDs), len(args))+")")
		args = append(args, anys(f.IDs)...)
	}
	if f.Before > 0 {
		args = append(args, f.Before)
		terms = append(terms, "seq < $"+strconv.Itoa(len(args)))
	}
	where := ""
	if len(terms) > 0 {
		where = " WHERE " + strings.Join(terms, " AND ")
	}
	args = append(args, max(1, min(f.Limit, 1000)))
	return `SELECT seq, id, direction, entity_type, entity_id, source_id, target_id, status, started_at,
		finished_at, error_message, correlation_id, person_id, fields, decisions FROM sync_log` + where +
		` ORDER BY seq DESC LIMIT $` + strconv.Itoa(len(args)), args
}

func insertSync(ctx context.Context, tx Tx, rows []SyncRow) error {
	for _, r := range rows {
		_, err := tx.Exec(ctx, `INSERT INTO sync_log (id, direction, entity_type, entity_id, source_id, target_id, status,
			started_at, finished_at, error_message, correlation_id, person_id, fields, decisions)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
			r.ID, string(r.Direction), r.EntityType, r.EntityID, r.SourceID, null(r.TargetID), r.Status, r.StartedAt,
			r.FinishedAt, null(r.Message), null(r.CorrelationID), null(r.PersonID), null(r.Fields), null(string(r.Decisions)))
		if err != nil {
			return err
		}
	}
	return nil
}

// AuditRow is one change that a person or a script made.
type AuditRow struct {
	Seq     int64
	At      time.Time
	Actor   string
	Action  string
	Target  string
	Details map[string]any
}

// Audit records a change.
func (s *Store) Audit(ctx context.Context, row AuditRow) error { return InsertAudit(ctx, s, row) }

// InsertAudit records a change together with others of a transaction.
func InsertAudit(ctx context.Context, q Querier, row AuditRow) error {
	if row.Details == nil {
		row.Details = map[string]any{}
	}
	_, err := q.Exec(ctx, `INSERT INTO audit_log (at, actor, action, target, details) VALUES ($1, $2, $3, $4, $5)`,
		row.At, row.Actor, row.Action, row.Target, asJSON(row.Details))
	if err != nil {
		return fmt.Errorf("write audit log: %w", err)
	}
	return nil
}

// AuditLog lists changes, newest first.
func (s *Store) AuditLog(ctx context.Context, before int64, limit int) ([]AuditRow, error) {
	if before == 0 {
		before = 1 << 62
	}
	var rows []AuditRow
	err := s.Each(ctx, `SELECT seq, at, actor, action, target, details FROM audit_log WHERE seq < $1
		ORDER BY seq DESC LIMIT $2`, []any{before, limit}, func(row Row) error {
		var r AuditRow
		err := row.Scan(&r.Seq, scanTime(&r.At), &r.Actor, &r.Action, &r.Target, scanJSON(&r.Details))
		rows = append(rows, r)
		return err
	})
	return rows, err
}
