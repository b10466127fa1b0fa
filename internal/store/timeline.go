package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Moment is one entry of a person's timeline: what it is, which, and when.
type Moment struct {
	At   time.Time
	Kind string
	ID   string // in the table of its kind; of the audit log, its seq
}

// The kinds of moments.
const (
	MomentEvent       = "event"
	MomentSync        = "sync"
	MomentList        = "list"
	MomentConflict    = "conflict"
	MomentMessage     = "message"
	MomentCall        = "call"
	MomentAppointment = "appointment"
	MomentOpportunity = "opportunity"
	MomentConsent     = "consent"
	MomentIncident    = "incident"
	MomentChange      = "change" // a merge or split
	MomentAction      = "action" // what somebody did, of the audit log
)

// source says where the moments of one kind are. The person is $1 in where; {phones}
// are the person's numbers.
type source struct {
	kind, table, at, id, where string
}

// timeline lists the sources, in the order of moments of the same time. Merges and
// splits are told by their own records, not once more by the audit log.
var timeline = []source{
	{MomentAction, "audit_log", "at", "CAST(seq AS TEXT)", `target = $1 AND action NOT IN ('mapping.merge', 'mapping.split')`},
	{MomentChange, "people_undo", "at", "id", `after_rows LIKE '%"ID":"' || $1 || '"%'`},
	{MomentConflict, "sync_conflicts", "at", "id", `person_id = $1`},
	{MomentList, "sync_log", "started_at", "id", `person_id = $1 AND entity_type = 'list'`},
	{MomentSync, "sync_log", "started_at", "id", `person_id = $1 AND entity_type <> 'list'`},
	{MomentConsent, "consent_events", "at", "id", `(person_id = $1 OR phone IN ({phones}))`},
	{MomentIncident, "consent_incidents", "at", "key", `(person_id = $1 OR phone IN ({phones}))`},
	{MomentMessage, "message_mappings", "created_at", "id", `person_id = $1`},
	{MomentCall, "calls", "started_at", "id", `person_id = $1`},
	{MomentAppointment, "crm_items", "changed_at", "id", `person_id = $1 AND kind = 'appointment'`},
	{MomentOpportunity, "crm_items", "changed_at", "id", `person_id = $1 AND kind = 'opportunity'`},
	{MomentEvent, "webhook_events", "received_at", "id", `person_id = $1`},
}

// MomentKinds lists the kinds of moments, in the order of those of the same time.
func MomentKinds() []string {
	kinds := make([]string, len(timeline))
	for i, s := range timeline {
		kinds[i] = s.kind
	}
	return kinds
}

// MomentFilter selects moments.
type MomentFilter struct {
	PersonID string
	Phones   []df.Phone // the person's; what was said by these numbers is on the timeline
	Kinds    []string   // all when empty
	Before   Moment     // the last of the page before; zero for none
	Limit    int
}

// Moments lists what happened to a person, the newest first.
func (s *Store) Moments(ctx context.Context, f MomentFilter) ([]Moment, error) {
	f.Limit = max(1, min(f.Limit, 1000))
	var found []Moment
	last := slices.IndexFunc(timeline, func(s source) bool { return s.kind == f.Before.Kind })
	for i, from := range timeline {
		if len(f.Kinds) > 0 && !slices.Contains(f.Kinds, from.kind) {
			continue
		}
		query, args := from.query(f, i-last)
		err := s.Each(ctx, query, args, func(row Row) error {
			m := Moment{Kind: from.kind}
			err := row.Scan(scanTime(&m.At), &m.ID)
			found = append(found, m)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list a person's %ss: %w", from.kind, err)
		}
	}
	slices.SortStableFunc(found, func(a, b Moment) int { return b.At.Compare(a.At) })
	return found[:min(len(found), f.Limit)], nil
}

// query selects one kind's moments behind the place of f.Before, to which this
// kind comes before (negative), is the same (0) or comes after.
func (s source) query(f MomentFilter, order int) (string, []any) {
	args := []any{f.PersonID}
	phones := "''"
	if strings.Contains(s.where, "{phones}") && len(f.Phones) > 0 {
		phones = list(len(f.Phones), len(args))
		for _, phone := range f.Phones {
			args = append(args, string(phone))
		}
	}
	where := strings.ReplaceAll(s.where, "{phones}", phones)
	if f.Before.Kind != "" {
		args = append(args, f.Before.At)
		place := fmt.Sprintf("$%d", len(args))
		switch {
		case order < 0:
			where += " AND " + s.at + " < " + place
		case order > 0:
			where += " AND " + s.at + " <= " + place
		default:
			args = append(args, f.Before.ID)
			where += fmt.Sprintf(" AND (%s < %s OR %s = %s AND %s < $%d)", s.at, place, s.at, place, s.id, len(args))
		}
	}
	args = append(args, f.Limit)
	return fmt.Sprintf("SELECT %s, %s FROM %s WHERE %s ORDER BY %s DESC, %s DESC LIMIT $%d", s.at, s.id, s.table, where, s.at, s.id, len(args)), args
}

// IncidentByKey returns an incident, resolved or not, or ErrNotFound.
func (s *Store) IncidentByKey(ctx context.Context, key string) (Incident, error) {
	found, err := s.incidents(ctx, "WHERE key = $1", []any{key})
	if err != nil || len(found) == 0 {
		return Incident{}, orNotFound(err)
	}
	return found[0], nil
}

// AuditBySeq returns a line of the audit log, or ErrNotFound.
func (s *Store) AuditBySeq(ctx context.Context, seq int64) (AuditRow, error) {
	rows, err := s.AuditLog(ctx, seq+1, 1)
	if err != nil || len(rows) == 0 || rows[0].Seq != seq {
		return AuditRow{}, orNotFound(err)
	}
	return rows[0], nil
}

// LastAction returns what was done last to a target by an action, or ErrNotFound.
func (s *Store) LastAction(ctx context.Context, action, target string) (AuditRow, error) {
	var seq int64
	err := s.Row(ctx, `SELECT COALESCE(max(seq), 0) FROM audit_log WHERE action = $1 AND target = $2`, action, target).Scan(&seq)
	if err != nil || seq == 0 {
		return AuditRow{}, orNotFound(err)
	}
	return s.AuditBySeq(ctx, seq)
}

func orNotFound(err error) error {
	if err == nil {
		return ErrNotFound
	}
	return err
}
