package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// ConsentEvent is one link of the chain of evidence. Rows are only ever added.
type ConsentEvent struct {
	Seq       int64
	ID        string
	Key       string // the same key is the same act; empty for none
	Phone     string
	Kind      string
	Scopes    string
	Holder    string
	Actor     string
	At        time.Time // when it happened
	HeardAt   time.Time // when we heard
	Source    string
	Words     string
	Rule      string
	Certain   bool
	MessageID string
	EventID   string
	PersonID  string
	PrevHash  string
	Hash      string
}

const consentEventColumns = `seq, id, key, phone, kind, scopes, holder, actor, at, heard_at, source, words, rule, certain,
	message_id, event_id, person_id, prev_hash, hash`

// LockChain returns the number and the hash of the chain's last link and keeps
// others from adding one until the transaction ends. It is the last lock that
// a transaction takes: every writer of evidence stands in line for it.
func LockChain(ctx context.Context, tx Tx) (seq int64, hash string, err error) {
	err = tx.Row(ctx, `UPDATE consent_chain SET seq = seq WHERE name = 'main' RETURNING seq, hash`).Scan(&seq, &hash)
	if err != nil {
		return 0, "", fmt.Errorf("lock chain of evidence: %w", err)
	}
	return seq, hash, nil
}

// ChainHead returns the number and the hash of the chain's last link.
func (s *Store) ChainHead(ctx context.Context) (seq int64, hash string, err error) {
	return ChainHead(ctx, s)
}

// ChainHead returns the number and the hash of the chain's last link, as q sees
// it.
func ChainHead(ctx context.Context, q Querier) (seq int64, hash string, err error) {
	err = q.Row(ctx, `SELECT seq, hash FROM consent_chain WHERE name = 'main'`).Scan(&seq, &hash)
	if err != nil {
		return 0, "", fmt.Errorf("read chain of evidence: %w", err)
	}
	return seq, hash, nil
}

// KnownConsentKeys returns those of the keys that are in the chain.
func KnownConsentKeys(ctx context.Context, tx Tx, keys []string) (map[string]bool, error) {
	known := make(map[string]bool, len(keys))
	if len(keys) == 0 {
		return known, nil
	}
	err := tx.Each(ctx, `SELECT key FROM consent_events WHERE key IN (`+list(len(keys), 0)+`)`, anys(keys),
		func(row Row) error {
			var key string
			err := row.Scan(&key)
			known[key] = true
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("read chain of evidence: %w", err)
	}
	return known, nil
}

// AppendConsent adds links to a chain that the transaction has locked.
func AppendConsent(ctx context.Context, tx Tx, events []ConsentEvent) error {
	for _, e := range events {
		_, err := tx.Exec(ctx, `INSERT INTO consent_events (`+consentEventColumns+`) VALUES `+tuples(1, 19, 0),
			e.Seq, e.ID, null(e.Key), e.Phone, e.Kind, e.Scopes, e.Holder, e.Actor, e.At, e.HeardAt, e.Source, e.Words,
			e.Rule, e.Certain, e.MessageID, e.EventID, e.PersonID, e.PrevHash, e.Hash)
		if err != nil {
			return fmt.Errorf("add to chain of evidence: %w", err)
		}
	}
	if len(events) == 0 {
		return nil
	}
	last := events[len(events)-1]
	if _, err := tx.Exec(ctx, `UPDATE consent_chain SET seq = $1, hash = $2 WHERE name = 'main'`, last.Seq, last.Hash); err != nil {
		return fmt.Errorf("move head of chain: %w", err)
	}
	return nil
}

// ConsentFilter selects links of the chain, in order. Zero fields select all.
type ConsentFilter struct {
	IDs    []string
	Phones []string
	From   time.Time // heard at or after
	Until  time.Time // heard before
	After  int64     // seq of the last row of the page before
	UpTo   int64     // the last seq to read
	Limit  int
}

// ConsentEvents lists links of the chain, oldest first.
func (s *Store) ConsentEvents(ctx context.Context, f ConsentFilter) ([]ConsentEvent, error) {
	return ConsentEvents(ctx, s, f)
}

// ConsentEvents lists links of the chain, oldest first, as q sees them.
func ConsentEvents(ctx context.Context, q Querier, f ConsentFilter) ([]ConsentEvent, error) {
	terms, args := []string{"seq > $1"}, []any{f.After}
	add := func(term string, value any) {
		args = append(args, value)
		terms = append(terms, fmt.Sprintf(term, len(args)))
	}
	if len(f.IDs) > 0 {
		terms = append(terms, "id IN ("+list(len(f.IDs), len(args))+")")
		args = append(args, anys(f.IDs)...)
	}
	if len(f.Phones) > 0 {
		terms = append(terms, "phone IN ("+list(len(f.Phones), len(args))+")")
		args = append(args, anys(f.Phones)...)
	}
	if !f.From.IsZero() {
		add("heard_at >= $%d", f.From)
	}
	if !f.Until.IsZero() {
		add("heard_at < $%d", f.Until)
	}
	if f.UpTo > 0 {
		add("seq <= $%d", f.UpTo)
	}
	args = append(args, max(1, min(f.Limit, 1000)))
	var events []ConsentEvent
	err := q.Each(ctx, `SELECT `+consentEventColumns+` FROM consent_events WHERE `+strings.Join(terms, " AND ")+
		fmt.Sprintf(` ORDER BY seq LIMIT $%d`, len(args)), args, func(row Row) error {
		var e ConsentEvent
		err := row.Scan(&e.Seq, &e.ID, scanText(&e.Key), &e.Phone, &e.Kind, &e.Scopes, &e.Holder, &e.Actor, scanTime(&e.At),
			scanTime(&e.HeardAt), &e.Source, &e.Words, &e.Rule, &e.Certain, &e.MessageID, &e.EventID, &e.PersonID,
			&e.PrevHash, &e.Hash)
		events = append(events, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list chain of evidence: %w", err)
	}
	return events, nil
}

// ConsentReview is an act that a person should look at.
type ConsentReview struct {
	EventID    string // of the consent event
	Kind       string
	Phone      string
	At         time.Time
	ResolvedAt time.Time
	ResolvedBy string
	Note       string
}

// InsertConsentReview asks a person to look at an act, once.
func InsertConsentReview(ctx context.Context, tx Tx, r ConsentReview) error {
	_, err := tx.Exec(ctx, `INSERT INTO consent_reviews (event_id, kind, phone, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (event_id) DO NOTHING`, r.EventID, r.Kind, r.Phone, r.At)
	if err != nil {
		return fmt.Errorf("ask for review: %w", err)
	}
	return nil
}

// ConsentReviews lists the acts that wait for a person, oldest first.
func (s *Store) ConsentReviews(ctx context.Context, limit int) ([]ConsentReview, error) {
	var reviews []ConsentReview
	err := s.Each(ctx, `SELECT event_id, kind, phone, at FROM consent_reviews WHERE resolved_at IS NULL
		ORDER BY at, event_id LIMIT $1`, []any{max(1, min(limit, 1000))}, func(row Row) error {
		var r ConsentReview
		err := row.Scan(&r.EventID, &r.Kind, &r.Phone, scanTime(&r.At))
		reviews = append(reviews, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list consent reviews: %w", err)
	}
	return reviews, nil
}

// ResolveConsentReview notes that a person looked at an act. It returns
// ErrNotFound for one that is not waiting.
func ResolveConsentReview(ctx context.Context, tx Tx, eventID, by, note string, at time.Time) error {
	changed, err := tx.Exec(ctx, `UPDATE consent_reviews SET resolved_at = $2, resolved_by = $3, note = $4
		WHERE event_id = $1 AND resolved_at IS NULL`, eventID, at, by, note)
	if err != nil {
		return fmt.Errorf("resolve consent review: %w", err)
	}
	if changed == 0 {
		return ErrNotFound
	}
	return nil
}

// Incident is a text or call to a number after its opt-out.
type Incident struct {
	Key       string // the same contact is one incident
	Phone     string
	Scope     string
	At        time.Time
	SeenAt    time.Time
	OutSince  time.Time
	Source    string
	MessageID string
	EventID   string
	PersonID  string
}

// InsertIncident keeps an incident and reports whether it is news.
func InsertIncident(ctx context.Context, tx Tx, i Incident) (bool, error) {
	added, err := tx.Exec(ctx, `INSERT INTO consent_incidents (key, phone, scope, at, seen_at, out_since, source, message_id,
		event_id, person_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (key) DO NOTHING`,
		i.Key, i.Phone, i.Scope, i.At, i.SeenAt, i.OutSince, i.Source, i.MessageID, i.EventID, i.PersonID)
	if err != nil {
		return false, fmt.Errorf("keep incident: %w", err)
	}
	return added > 0, nil
}

// Incidents lists the incidents that nobody resolved, newest first.
func (s *Store) Incidents(ctx context.Context, limit int) ([]Incident, error) {
	return s.incidents(ctx, "WHERE resolved_at IS NULL ORDER BY seen_at DESC, key LIMIT $1", []any{max(1, min(limit, 1000))})
}

func (s *Store) incidents(ctx context.Context, where string, args []any) ([]Incident, error) {
	var incidents []Incident
	err := s.Each(ctx, `SELECT key, phone, scope, at, seen_at, out_since, source, message_id, event_id, person_id
		FROM consent_incidents `+where, args, func(row Row) error {
		var i Incident
		err := row.Scan(&i.Key, &i.Phone, &i.Scope, scanTime(&i.At), scanTime(&i.SeenAt), scanTime(&i.OutSince),
			&i.Source, &i.MessageID, &i.EventID, &i.PersonID)
		incidents = append(incidents, i)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	return incidents, nil
}

// ResolveIncident notes that a person dealt with an incident. It returns
// ErrNotFound for one that is not open.
func ResolveIncident(ctx context.Context, tx Tx, key, by, note string, at time.Time) error {
	changed, err := tx.Exec(ctx, `UPDATE consent_incidents SET resolved_at = $2, resolved_by = $3, note = $4
		WHERE key = $1 AND resolved_at IS NULL`, key, at, by, note)
	if err != nil {
		return fmt.Errorf("resolve incident: %w", err)
	}
	if changed == 0 {
		return ErrNotFound
	}
	return nil
}
