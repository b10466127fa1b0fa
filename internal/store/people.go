package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Person is one row of contact_mappings with the person's further phones. The
// people room gives the columns their meaning.
type Person struct {
	ID               string
	GHLContactID     string
	AlowareContactID string
	Phone            df.Phone
	OtherPhones      []df.Phone
	Email            string
	Status           string
	EndedAt          time.Time
	EndedReason      string
	MergedInto       string
	ApartFrom        []string
	SyncDirection    df.Direction
	LastSyncedAt     time.Time
	CreatedAt        time.Time
	UpdatedAt        time.Time
	Version          int64
}

// ErrStale is returned for an update of a row that has another version by now.
var ErrStale = errors.New("store: the row was changed meanwhile")

const personColumns = `id, ghl_contact_id, aloware_contact_id, phone_number, email, status, ended_at, ended_reason,
	merged_into, apart_from, sync_direction, last_synced_at, created_at, updated_at, version`

func scanPerson(row Row) (Person, error) {
	var p Person
	err := row.Scan(&p.ID, scanText(&p.GHLContactID), scanText(&p.AlowareContactID), scanText((*string)(&p.Phone)),
		scanText(&p.Email), &p.Status, scanTime(&p.EndedAt), scanText(&p.EndedReason), scanText(&p.MergedInto),
		scanJSON(&p.ApartFrom), (*string)(&p.SyncDirection), scanTime(&p.LastSyncedAt), scanTime(&p.CreatedAt),
		scanTime(&p.UpdatedAt), &p.Version)
	return p, err
}

// PersonByID returns a person of any status, or ErrNotFound.
func PersonByID(ctx context.Context, q Querier, id string) (Person, error) {
	found, err := selectPeople(ctx, q, `WHERE id = $1`, id)
	if err != nil {
		return Person{}, err
	}
	if len(found) == 0 {
		return Person{}, ErrNotFound
	}
	return found[0], nil
}

// PersonByContact returns the active person that has the contact, else the one
// that ended last with it, else ErrNotFound.
func PersonByContact(ctx context.Context, q Querier, side df.Side, contactID string) (Person, error) {
	column := "ghl_contact_id"
	if side == df.SideAloware {
		column = "aloware_contact_id"
	}
	found, err := selectPeople(ctx, q, `WHERE `+column+` = $1
		ORDER BY CASE WHEN ended_at IS NULL THEN 0 ELSE 1 END, ended_at DESC LIMIT 1`, contactID)
	if err != nil {
		return Person{}, err
	}
	if len(found) == 0 {
		return Person{}, ErrNotFound
	}
	return found[0], nil
}

// PeopleByPhone returns the active people who have or had the phone, by id.
func PeopleByPhone(ctx context.Context, q Querier, phone df.Phone) ([]Person, error) {
	return selectPeople(ctx, q, `WHERE ended_at IS NULL AND `+withPhone+` ORDER BY id`, string(phone))
}

// withPhone selects the people who have or had the phone $1. It is no OR, for
// which PostgreSQL reads the whole table.
const withPhone = `id IN (SELECT id FROM contact_mappings WHERE phone_number = $1
		UNION SELECT person_id FROM contact_phones WHERE phone = $1)`

// PeopleByEmail returns the active people with this e-mail, by id.
func PeopleByEmail(ctx context.Context, q Querier, email string) ([]Person, error) {
	return selectPeople(ctx, q, `WHERE ended_at IS NULL AND email = $1 ORDER BY id`, email)
}

// PersonFilter selects people. Zero fields select everybody.
type PersonFilter struct {
	GHLContactID     string
	AlowareContactID string
	Phone            df.Phone
	Text             string // as of a PersonSearch
	After            string // id of the last row of the page before
	Limit            int
	Active           bool
}

// People lists people by id, which is by age.
func (s *Store) People(ctx context.Context, f PersonFilter) ([]Person, error) {
	terms := []string{"id > $1"}
	args := []any{f.After}
	add := func(term string, value any) {
		args = append(args, value)
		terms = append(terms, strings.ReplaceAll(term, "?", fmt.Sprintf("$%d", len(args))))
	}
	if f.GHLContactID != "" {
		add("ghl_contact_id = ?", f.GHLContactID)
	}
	if f.AlowareContactID != "" {
		add("aloware_contact_id = ?", f.AlowareContactID)
	}
	if f.Phone != "" {
		add(strings.ReplaceAll(withPhone, "$1", "?"), string(f.Phone))
	}
	if f.Text != "" {
		page := ""
		if len(terms) == 1 && !f.Active {
			page = fmt.Sprintf(` AND person_id > $1 ORDER BY person_id LIMIT %d`, max(1, min(f.Limit, 1000)))
		}
		terms, args = foundBy(f.Text, terms, args, page)
	}
	if f.Active {
		terms = append(terms, "ended_at IS NULL")
	}
	args = append(args, max(1, min(f.Limit, 1000)))
	return selectPeople(ctx, s, `WHERE `+strings.Join(terms, " AND ")+fmt.Sprintf(" ORDER BY id LIMIT $%d", len(args)), args...)
}

func selectPeople(ctx context.Context, q Querier, where string, args ...any) ([]Person, error) {
	var found []Person
	err := q.Each(ctx, `SELECT `+personColumns+` FROM contact_mappings `+where, args, func(row Row) error {
		p, err := scanPerson(row)
		found = append(found, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	return found, loadPhones(ctx, q, found)
}

func loadPhones(ctx context.Context, q Querier, found []Person) error {
	if len(found) == 0 {
		return nil
	}
	byID := make(map[string]*Person, len(found))
	ids := make([]string, len(found))
	for i := range found {
		byID[found[i].ID], ids[i] = &found[i], found[i].ID
	}
	err := q.Each(ctx, `SELECT person_id, phone FROM contact_phones WHERE person_id IN (`+list(len(ids), 0)+`)
		ORDER BY person_id, phone`, anys(ids), func(row Row) error {
		var id, phone string
		err := row.Scan(&id, &phone)
		if p := byID[id]; p != nil {
			p.OtherPhones = append(p.OtherPhones, df.Phone(phone))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read phones: %w", err)
	}
	return nil
}

// InsertPerson adds a person with version 1. It returns ErrUnique when another
// active person has one of the contacts.
func InsertPerson(ctx context.Context, tx Tx, p Person) error {
	added, err := tx.Exec(ctx, `INSERT INTO contact_mappings (`+personColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 1) ON CONFLICT DO NOTHING`, personArgs(p)...)
	if err != nil {
		return fmt.Errorf("insert person: %w", err)
	}
	if added == 0 {
		return ErrUnique
	}
	if err := savePhones(ctx, tx, p); err != nil {
		return err
	}
	return saveWords(ctx, tx, p)
}

// UpdatePerson replaces the row whose version is p.Version and raises the
// version. It returns ErrStale when the row has another version, and ErrUnique
// when another active person has one of the contacts.
func UpdatePerson(ctx context.Context, tx Tx, p Person) error {
	if err := updatePerson(ctx, tx, p); err != nil {
		return err
	}
	return saveWords(ctx, tx, p)
}

// updatePerson leaves it to its caller to save the person's words.
func updatePerson(ctx context.Context, tx Tx, p Person) error {
	changed, err := tx.Exec(ctx, `UPDATE contact_mappings SET ghl_contact_id = $2, aloware_contact_id = $3,
		phone_number = $4, email = $5, status = $6, ended_at = $7, ended_reason = $8, merged_into = $9, apart_from = $10,
		sync_direction = $11, last_synced_at = $12, created_at = $13, updated_at = $14, version = version + 1
		WHERE id = $1 AND version = $15`, append(personArgs(p), p.Version)...)
	if err != nil {
		return fmt.Errorf("update person: %w", err)
	}
	if changed == 0 {
		return ErrStale
	}
	return savePhones(ctx, tx, p)
}

func personArgs(p Person) []any {
	if p.ApartFrom == nil {
		p.ApartFrom = []string{}
	}
	return []any{p.ID, null(p.GHLContactID), null(p.AlowareContactID), null(string(p.Phone)), null(p.Email), p.Status,
		p.EndedAt, null(p.EndedReason), null(p.MergedInto), asJSON(p.ApartFrom), string(p.SyncDirection), p.LastSyncedAt,
		p.CreatedAt, p.UpdatedAt}
}

func savePhones(ctx context.Context, tx Tx, p Person) error {
	if _, err := tx.Exec(ctx, `DELETE FROM contact_phones WHERE person_id = $1`, p.ID); err != nil {
		return fmt.Errorf("save phones: %w", err)
	}
	for _, phone := range p.OtherPhones {
		if _, err := tx.Exec(ctx, `INSERT INTO contact_phones (person_id, phone) VALUES ($1, $2)`, p.ID, string(phone)); err != nil {
			return fmt.Errorf("save phones: %w", err)
		}
	}
	return nil
}

// LockPhone holds a lock on a phone number, shared by all instances, until the
// transaction ends.
func LockPhone(ctx context.Context, tx Tx, phone df.Phone) error {
	_, err := tx.Exec(ctx, `INSERT INTO phone_locks (phone, taken) VALUES ($1, 1)
		ON CONFLICT (phone) DO UPDATE SET taken = phone_locks.taken + 1`, string(phone))
	if err != nil {
		return fmt.Errorf("lock phone: %w", err)
	}
	return nil
}

// Guard fails with ErrLeaseLost unless the lease is the lane's newest, and keeps
// the lane from changing hands until the transaction ends.
func Guard(ctx context.Context, tx Tx, lease Lease) error {
	held, err := tx.Exec(ctx, `UPDATE lanes SET fence = fence WHERE key = $1 AND fence = $2`, lease.Lane, lease.Fence)
	if err != nil {
		return fmt.Errorf("check lease: %w", err)
	}
	if held == 0 {
		return ErrLeaseLost
	}
	return nil
}

// Review is a question for an operator about who is who.
type Review struct {
	Key        string
	Kind       string
	PersonID   string
	Side       df.Side
	ContactID  string
	Phone      df.Phone
	Email      string
	Candidates []string
	At         time.Time
}

// InsertReview keeps a question, once per key.
func InsertReview(ctx context.Context, tx Tx, r Review) error {
	if r.Candidates == nil {
		r.Candidates = []string{}
	}
	_, err := tx.Exec(ctx, `INSERT INTO people_reviews (key, kind, person_id, side, contact_id, phone, email, candidates, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (key) DO NOTHING`,
		r.Key, r.Kind, r.PersonID, string(r.Side), null(r.ContactID), null(string(r.Phone)), null(r.Email),
		asJSON(r.Candidates), r.At)
	if err != nil {
		return fmt.Errorf("keep review: %w", err)
	}
	return nil
}

// Undo is the record of a merge or split: the rows before and after it.
type Undo struct {
	ID     string
	Kind   string
	Reason string
	Actor  string
	At     time.Time
	Before []Person
	After  []Person
}

// InsertUndo keeps a record.
func InsertUndo(ctx context.Context, tx Tx, u Undo) error {
	_, err := tx.Exec(ctx, `INSERT INTO people_undo (id, kind, reason, actor, at, before_rows, after_rows)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, u.ID, u.Kind, u.Reason, u.Actor, u.At, asJSON(u.Before), asJSON(u.After))
	if err != nil {
		return fmt.Errorf("keep undo record: %w", err)
	}
	return nil
}

// UndoByID returns a record that has not been undone, or ErrNotFound.
func UndoByID(ctx context.Context, tx Tx, id string) (Undo, error) {
	var u Undo
	err := tx.Row(ctx, `SELECT id, kind, reason, actor, at, before_rows, after_rows FROM people_undo
		WHERE id = $1 AND undone_at IS NULL`, id).Scan(&u.ID, &u.Kind, &u.Reason, &u.Actor, scanTime(&u.At),
		scanJSON(&u.Before), scanJSON(&u.After))
	if errors.Is(err, ErrNoRows) {
		return u, ErrNotFound
	}
	return u, err
}

// MarkUndone notes that a record was undone.
func MarkUndone(ctx context.Context, tx Tx, id string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE people_undo SET undone_at = $2 WHERE id = $1`, id, at)
	return err
}
