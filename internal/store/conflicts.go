package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// The states of a conflict.
const (
	ConflictOpen      = "open"      // a rule decided, and nobody has said anything about it
	ConflictAccepted  = "accepted"  // a person accepts what the rule decided
	ConflictAsked     = "asked"     // a person asked for one side's value; it does not stand on both sides yet
	ConflictApplied   = "applied"   // that value stands on both sides
	ConflictOvertaken = "overtaken" // the field was changed since, so that nothing was written
	ConflictRefused   = "refused"   // a side did not take the value
)

// ConflictStates lists the states in the order in which they follow each other.
func ConflictStates() []string {
	return []string{ConflictOpen, ConflictAccepted, ConflictAsked, ConflictApplied, ConflictOvertaken, ConflictRefused}
}

// ConflictKeep is the choice of what the rule decided. The other choices are the
// sides whose value is to stand.
const ConflictKeep = "keep"

// Conflict is one line of the conflict ledger.
type Conflict struct {
	Seq           int64
	ID            string
	PersonID      string
	Field         df.Field
	Kind          string
	Base, Seen    map[df.Side]string
	Settled       map[df.Side]string // what each side showed once the rule was carried out; nil when that was not kept
	Chosen        df.Side
	Value         string
	Rule          string
	CorrelationID string
	At            time.Time

	State     string // one of ConflictStates; a new one is open
	Choice    string // keep, ghl, aloware; "" while it is open
	DecidedBy string
	DecidedAt time.Time
	Reason    string
	Outcome   string    // what came of a value that was asked for, safe text
	ChangedAt time.Time // when the state last changed; zero while it is open
}

// ConflictEnd is what came of a value that was asked for.
type ConflictEnd struct {
	ID      string
	State   string // applied, overtaken or refused
	Outcome string // safe text
}

func saveConflicts(ctx context.Context, tx Tx, c Convergence) error {
	for _, k := range c.Conflicts {
		var settled any
		if k.Settled != nil {
			settled = asJSON(k.Settled)
		}
		_, err := tx.Exec(ctx, `INSERT INTO sync_conflicts (id, person_id, field, kind, base, seen, settled, chosen, value, rule, correlation_id, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, k.ID, c.Person.ID, string(k.Field), k.Kind,
			asJSON(k.Base), asJSON(k.Seen), settled, null(string(k.Chosen)), null(k.Value), k.Rule, null(k.CorrelationID), c.At)
		if err != nil {
			return err
		}
	}
	for _, e := range c.Ruled {
		if _, err := tx.Exec(ctx, `UPDATE sync_conflicts SET state = $2, outcome = $3, changed_at = $4 WHERE id = $1 AND state = 'asked'`,
			e.ID, e.State, null(e.Outcome), c.At); err != nil {
			return err
		}
	}
	return nil
}

// ChosenNone selects conflicts in which nobody's value was chosen.
const ChosenNone df.Side = "none"

// ConflictFilter selects conflicts. Zero fields select everything.
type ConflictFilter struct {
	IDs      []string
	PersonID string
	Field    df.Field
	State    string
	Chosen   df.Side // the side that won; ChosenNone where none did
	Before   int64
	UntilSeq int64 // of those that came later none
	Limit    int
}

// where writes the filter as conditions.
func (f ConflictFilter) where() (string, []any) {
	terms, args := []string{"TRUE"}, []any{}
	add := func(term string, value any) {
		args = append(args, value)
		terms = append(terms, strings.ReplaceAll(term, "?", "$"+strconv.Itoa(len(args))))
	}
	if f.IDs != nil {
		terms = append(terms, "id IN ("+list(len(f.IDs), 0)+")")
		args = anys(f.IDs)
	}
	if f.PersonID != "" {
		add("person_id = ?", f.PersonID)
	}
	if f.Field != "" {
		add("field = ?", string(f.Field))
	}
	if f.State != "" {
		add("state = ?", f.State)
	}
	switch f.Chosen {
	case "":
	case ChosenNone:
		terms = append(terms, "chosen IS NULL")
	default:
		add("chosen = ?", string(f.Chosen))
	}
	if f.Before > 0 {
		add("seq < ?", f.Before)
	}
	if f.UntilSeq > 0 {
		add("seq <= ?", f.UntilSeq)
	}
	return strings.Join(terms, " AND "), args
}

const conflictColumns = `seq, id, person_id, field, kind, base, seen, settled, chosen, value, rule, correlation_id, at,
	state, choice, decided_by, decided_at, reason, outcome, changed_at`

func scanConflict(row Row) (Conflict, error) {
	var k Conflict
	err := row.Scan(&k.Seq, &k.ID, &k.PersonID, (*string)(&k.Field), &k.Kind, scanJSON(&k.Base), scanJSON(&k.Seen), scanJSON(&k.Settled),
		scanText((*string)(&k.Chosen)), scanText(&k.Value), &k.Rule, scanText(&k.CorrelationID), scanTime(&k.At),
		&k.State, scanText(&k.Choice), scanText(&k.DecidedBy), scanTime(&k.DecidedAt), scanText(&k.Reason), scanText(&k.Outcome), scanTime(&k.ChangedAt))
	return k, err
}

// Conflicts lists the conflict ledger, newest first.
func (s *Store) Conflicts(ctx context.Context, f ConflictFilter) ([]Conflict, error) {
	if f.IDs != nil && len(f.IDs) == 0 {
		return nil, nil
	}
	query, args := f.query()
	var conflicts []Conflict
	err := s.Each(ctx, query, args, func(row Row) error {
		k, err := scanConflict(row)
		conflicts = append(conflicts, k)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list conflicts: %w", err)
	}
	return conflicts, nil
}

func (f ConflictFilter) query() (string, []any) {
	where, args := f.where()
	args = append(args, max(1, min(f.Limit, 1000)))
	return `SELECT ` + conflictColumns + ` FROM sync_conflicts WHERE ` + where + ` ORDER BY seq DESC LIMIT $` + strconv.Itoa(len(args)), args
}

// ConflictByID returns a conflict, or ErrNotFound.
func ConflictByID(ctx context.Context, q Querier, id string) (Conflict, error) {
	k, err := scanConflict(q.Row(ctx, `SELECT `+conflictColumns+` FROM sync_conflicts WHERE id = $1`, id))
	if errors.Is(err, ErrNoRows) {
		return k, ErrNotFound
	}
	if err != nil {
		return k, fmt.Errorf("read conflict: %w", err)
	}
	return k, nil
}

// OpenConflicts counts the conflicts about which nobody has said anything, as far
// as the given number.
func (s *Store) OpenConflicts(ctx context.Context, most int) (int64, error) {
	var n int64
	err := s.Row(ctx, `SELECT count(*) FROM (SELECT 1 FROM sync_conflicts WHERE state = 'open' LIMIT $1) AS found`, most).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count open conflicts: %w", err)
	}
	return n, nil
}

// ConflictChoice is what a person chose about a conflict.
type ConflictChoice struct {
	ID     string
	Choice string // keep, ghl or aloware
	By     string
	Reason string
	At     time.Time
}

// DecideConflict keeps what a person chose about an open conflict, a line of the
// audit log and, when a side's value is asked for, a nudge of the person's lane,
// all or nothing. The same choice once more changes nothing. It returns the
// conflict as it is then, ErrNotFound, ErrState when another choice was made
// before, and ErrEnded when a value is asked for a person who has ended.
func (s *Store) DecideConflict(ctx context.Context, c ConflictChoice) (Conflict, error) {
	for {
		k, err := s.decideConflict(ctx, c)
		if !errors.Is(err, errFaster) {
			return k, err
		}
	}
}

// errFaster means that somebody else decided a moment ago.
var errFaster = errors.New("store: decided a moment ago")

func (s *Store) decideConflict(ctx context.Context, c ConflictChoice) (Conflict, error) {
	var k Conflict
	err := s.InTx(ctx, func(tx Tx) (err error) {
		if k, err = ConflictByID(ctx, tx, c.ID); err != nil {
			return err
		}
		if k.State == ConflictOpen {
			k, err = decideOpen(ctx, tx, k, c)
		} else if k.Choice != c.Choice {
			err = ErrState
		}
		return err
	})
	return k, err
}

// ErrEnded is returned for what can only be done about a person who has not ended.
var ErrEnded = errors.New("store: the person has ended")

// decideOpen decides a conflict that was open a moment ago. The lane is locked
// before the conflict, in the order of SaveConvergence.
func decideOpen(ctx context.Context, tx Tx, k Conflict, c ConflictChoice) (Conflict, error) {
	state, action := ConflictAccepted, "conflict.accept"
	var bell []string
	if c.Choice != ConflictKeep {
		state, action = ConflictAsked, "conflict.ask"
		var err error
		if bell, err = nudge(ctx, tx, PersonLane(k.PersonID), c.At); err != nil {
			return k, err
		}
		if person, err := PersonByID(ctx, tx, k.PersonID); err != nil || !person.EndedAt.IsZero() {
			return k, errors.Join(err, ErrEnded)
		}
	}
	changed, err := tx.Exec(ctx, `UPDATE sync_conflicts SET state = $2, choice = $3, decided_by = $4, decided_at = $5, reason = $6, changed_at = $5
		WHERE id = $1 AND state = 'open'`, k.ID, state, c.Choice, c.By, c.At, c.Reason)
	if err != nil {
		return k, fmt.Errorf("decide conflict: %w", err)
	}
	if changed == 0 {
		return k, errFaster
	}
	if err := InsertAudit(ctx, tx, AuditRow{At: c.At, Actor: c.By, Action: action, Target: k.PersonID,
		Details: map[string]any{"conflict": k.ID, "field": k.Field, "choice": c.Choice, "reason": c.Reason}}); err != nil {
		return k, err
	}
	if err := ring(ctx, tx, bell); err != nil {
		return k, err
	}
	return ConflictByID(ctx, tx, k.ID)
}

// ConflictCount is what accepting many conflicts would come to.
type ConflictCount struct {
	Conflicts int64
	People    int64
	ByField   map[df.Field]int64
	UntilSeq  int64 // the newest that was counted
	More      bool  // whether more fit than were counted
}

// CountOpen counts the open conflicts that fit, the oldest first, as far as the
// given number.
func (s *Store) CountOpen(ctx context.Context, f ConflictFilter, most int) (ConflictCount, error) {
	count := ConflictCount{ByField: map[df.Field]int64{}}
	from, args := f.open(most)
	err := s.Row(ctx, `SELECT count(*), count(DISTINCT person_id), COALESCE(max(seq), 0) FROM (`+from+`) AS found`, args...).
		Scan(&count.Conflicts, &count.People, &count.UntilSeq)
	if err != nil {
		return count, fmt.Errorf("count open conflicts: %w", err)
	}
	f.UntilSeq = count.UntilSeq
	from, args = f.open(most)
	err = s.Each(ctx, `SELECT field, count(*) FROM (`+from+`) AS found GROUP BY field`, args, func(row Row) error {
		var field df.Field
		var n int64
		err := row.Scan((*string)(&field), &n)
		count.ByField[field] = n
		return err
	})
	if err != nil || count.Conflicts < int64(most) {
		return count, err
	}
	f.UntilSeq = 0
	from, args = f.open(most + 1)
	var all int64
	err = s.Row(ctx, `SELECT count(*) FROM (`+from+`) AS found`, args...).Scan(&all)
	count.More = all > count.Conflicts
	return count, err
}

// open selects the open conflicts that fit, the oldest first.
func (f ConflictFilter) open(most int) (string, []any) {
	f.State = ConflictOpen
	if f.IDs != nil && len(f.IDs) == 0 {
		f.IDs = []string{""}
	}
	where, args := f.where()
	args = append(args, most)
	return `SELECT seq, person_id, field FROM sync_conflicts WHERE ` + where + ` ORDER BY seq LIMIT $` + strconv.Itoa(len(args)), args
}

// AcceptConflicts accepts the open conflicts that fit, the oldest first, at most
// most of them, and calls along in the same transaction with their number. It
// changes nothing when along fails.
func (s *Store) AcceptConflicts(ctx context.Context, f ConflictFilter, most int, by, reason string, at time.Time, along func(tx Tx, accepted int64) error) (int64, error) {
	var accepted int64
	err := s.InTx(ctx, func(tx Tx) error {
		from, args := f.open(most)
		n := len(args)
		args = append(args, by, at, reason)
		var err error
		accepted, err = tx.Exec(ctx, fmt.Sprintf(`UPDATE sync_conflicts SET state = 'accepted', choice = 'keep', decided_by = $%d, decided_at = $%d,
			reason = $%d, changed_at = $%d WHERE state = 'open' AND seq IN (SELECT seq FROM (%s) AS found)`, n+1, n+2, n+3, n+2, from), args...)
		if err != nil {
			return fmt.Errorf("accept conflicts: %w", err)
		}
		return along(tx, accepted)
	})
	return accepted, err
}

// AskedPeople lists, a page at a time, for whom a value was asked for that does
// not stand yet and whose lane has nothing to do: a field may have been held back,
// or the release before have worked the lane.
func (s *Store) AskedPeople(ctx context.Context, after string, limit int) ([]string, error) {
	var people []string
	err := s.Each(ctx, `SELECT DISTINCT person_id FROM sync_conflicts WHERE state = 'asked' AND person_id > $1
			AND NOT EXISTS (SELECT 1 FROM lanes l WHERE l.key = 'person:' || person_id AND l.queued + l.nudges > 0)
		ORDER BY person_id LIMIT $2`, []any{after, limit}, func(row Row) error {
		var id string
		err := row.Scan(&id)
		people = append(people, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list people of asked conflicts: %w", err)
	}
	return people, nil
}

// OvertakeEnded ends what was asked for people who have ended since: nobody
// converges them any more.
func (s *Store) OvertakeEnded(ctx context.Context, now time.Time) (int64, error) {
	n, err := s.Exec(ctx, `UPDATE sync_conflicts SET state = 'overtaken', outcome = 'the person has ended', changed_at = $1
		WHERE state = 'asked' AND person_id IN (SELECT id FROM contact_mappings WHERE ended_at IS NOT NULL)`, now)
	if err != nil {
		return 0, fmt.Errorf("end asked conflicts: %w", err)
	}
	return n, nil
}
