package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ListRules is one version of the operator's rules.
type ListRules struct {
	Version   int64
	Rules     string // JSON
	State     string // in_force, waiting, declined, replaced
	Author    string
	Note      string
	CreatedAt time.Time
	DecidedAt time.Time
	DecidedBy string
}

const rulesColumns = `version, rules, state, author, note, created_at, decided_at, decided_by`

func scanRules(row Row) (ListRules, error) {
	var r ListRules
	err := row.Scan(&r.Version, &r.Rules, &r.State, &r.Author, &r.Note, scanTime(&r.CreatedAt), scanTime(&r.DecidedAt),
		scanText(&r.DecidedBy))
	return r, err
}

// ListRulesInForce returns the rules in force, or ErrNotFound when no operator
// wrote any.
func ListRulesInForce(ctx context.Context, q Querier) (ListRules, error) {
	r, err := scanRules(q.Row(ctx, `SELECT `+rulesColumns+` FROM list_rules WHERE state = 'in_force'`))
	if errors.Is(err, ErrNoRows) {
		return r, ErrNotFound
	}
	if err != nil {
		return r, fmt.Errorf("read list rules: %w", err)
	}
	return r, nil
}

// ListRulesHistory lists all versions, newest first.
func (s *Store) ListRulesHistory(ctx context.Context, limit int) ([]ListRules, error) {
	var history []ListRules
	err := s.Each(ctx, `SELECT `+rulesColumns+` FROM list_rules ORDER BY version DESC LIMIT $1`, []any{limit}, func(row Row) error {
		r, err := scanRules(row)
		history = append(history, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	return history, nil
}

// InsertListRules adds a version that waits and returns its number.
func InsertListRules(ctx context.Context, tx Tx, r ListRules) (int64, error) {
	var version int64
	err := tx.Row(ctx, `INSERT INTO list_rules (version, rules, state, author, note, created_at)
		VALUES (COALESCE((SELECT MAX(version) FROM list_rules), 0) + 1, $1, 'waiting', $2, $3, $4) RETURNING version`,
		r.Rules, r.Author, r.Note, r.CreatedAt).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("insert list rules: %w", err)
	}
	return version, nil
}

// EnforceListRules puts a waiting version in force in the place of the one that
// is. It returns ErrState when the version does not wait any more.
func EnforceListRules(ctx context.Context, tx Tx, version int64, by string, now time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE list_rules SET state = 'replaced' WHERE state = 'in_force'`); err != nil {
		return fmt.Errorf("replace list rules: %w", err)
	}
	return decideRules(ctx, tx, version, "in_force", by, now)
}

// DeclineListRules gives a waiting version up, or returns ErrState.
func DeclineListRules(ctx context.Context, tx Tx, version int64, by string, now time.Time) error {
	return decideRules(ctx, tx, version, "declined", by, now)
}

func decideRules(ctx context.Context, tx Tx, version int64, state, by string, now time.Time) error {
	changed, err := tx.Exec(ctx, `UPDATE list_rules SET state = $2, decided_by = $3, decided_at = $4
		WHERE version = $1 AND state = 'waiting'`, version, state, by, now)
	if err != nil {
		return fmt.Errorf("decide list rules: %w", err)
	}
	if changed == 0 {
		return ErrState
	}
	return nil
}

// ListRun is one look at everybody's lists that changed something, or that waits
// for a person to say that it may.
type ListRun struct {
	ID           string
	Kind         string // rebuild, rules, settings, brake
	State        string // waiting, done, declined
	RulesVersion int64
	Totals       string // JSON
	CreatedBy    string
	CreatedAt    time.Time
	DecidedBy    string
	DecidedAt    time.Time
}

const runColumns = `id, kind, state, rules_version, totals, created_by, created_at, decided_by, decided_at`

func scanRun(row Row) (ListRun, error) {
	var r ListRun
	err := row.Scan(&r.ID, &r.Kind, &r.State, &r.RulesVersion, &r.Totals, &r.CreatedBy, scanTime(&r.CreatedAt),
		scanText(&r.DecidedBy), scanTime(&r.DecidedAt))
	return r, err
}

// ListRuns lists runs, newest first.
func (s *Store) ListRuns(ctx context.Context, limit int) ([]ListRun, error) {
	var runs []ListRun
	err := s.Each(ctx, `SELECT `+runColumns+` FROM list_runs ORDER BY created_at DESC, id DESC LIMIT $1`, []any{limit}, func(row Row) error {
		r, err := scanRun(row)
		runs = append(runs, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return runs, nil
}

// ListRunByID returns a run, or ErrNotFound.
func ListRunByID(ctx context.Context, q Querier, id string) (ListRun, error) {
	r, err := scanRun(q.Row(ctx, `SELECT `+runColumns+` FROM list_runs WHERE id = $1`, id))
	if errors.Is(err, ErrNoRows) {
		return r, ErrNotFound
	}
	if err != nil {
		return r, fmt.Errorf("read run: %w", err)
	}
	return r, nil
}

// WaitingListRun returns the newest run of the kind that waits, or ErrNotFound.
func WaitingListRun(ctx context.Context, q Querier, kind string) (ListRun, error) {
	r, err := scanRun(q.Row(ctx, `SELECT `+runColumns+` FROM list_runs WHERE state = 'waiting' AND kind = $1
		ORDER BY created_at DESC, id DESC LIMIT 1`, kind))
	if errors.Is(err, ErrNoRows) {
		return r, ErrNotFound
	}
	if err != nil {
		return r, fmt.Errorf("read waiting run: %w", err)
	}
	return r, nil
}

// InsertListRun keeps a run.
func InsertListRun(ctx context.Context, q Querier, r ListRun) error {
	_, err := q.Exec(ctx, `INSERT INTO list_runs (`+runColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		r.ID, r.Kind, r.State, r.RulesVersion, r.Totals, r.CreatedBy, r.CreatedAt, null(r.DecidedBy), r.DecidedAt)
	if err != nil {
		return fmt.Errorf("keep run: %w", err)
	}
	return nil
}

// DecideListRun ends the waiting of a run, or returns ErrState.
func DecideListRun(ctx context.Context, tx Tx, id, state, by string, now time.Time) error {
	changed, err := tx.Exec(ctx, `UPDATE list_runs SET state = $2, decided_by = $3, decided_at = $4
		WHERE id = $1 AND state = 'waiting'`, id, state, by, now)
	if err != nil {
		return fmt.Errorf("decide run: %w", err)
	}
	if changed == 0 {
		return ErrState
	}
	return nil
}

// Listed is one active person with what is known about the person's lists.
type Listed struct {
	PersonID         string
	ContactID        string // at GHL
	AlowareContactID string
	Phone            string
	Intent           ListIntent // PersonID is empty when there is none yet
	Held             string     // JSON, empty when nothing is known
	HeldAt           time.Time
}

// ListedPeople lists active people by id, with their intents and holdings. A
// state selects those whose intent is in it.
func (s *Store) ListedPeople(ctx context.Context, after, state string, limit int) ([]Listed, error) {
	where, args := "p.id > $1", []any{after, limit}
	if state != "" {
		where, args = where+" AND i.state = $3", append(args, state)
	}
	return s.listed(ctx, where+` ORDER BY p.id LIMIT $2`, args)
}

// listedFrom are the active people with their intents and holdings.
const listedFrom = ` FROM contact_mappings p LEFT JOIN list_intents i ON i.person_id = p.id
			LEFT JOIN list_holdings h ON h.aloware_contact_id = p.aloware_contact_id
		WHERE p.ended_at IS NULL`

func (s *Store) listed(ctx context.Context, where string, args []any) ([]Listed, error) {
	var all []Listed
	err := s.Each(ctx, `SELECT p.id, p.ghl_contact_id, p.aloware_contact_id, p.phone_number, h.lists, h.updated_at,
			i.person_id, i.agent_key, i.state, i.detail, i.facts, i.intent, i.wanted, i.approved, i.rules_version, i.updated_at`+
		listedFrom+` AND `+where, args, func(row Row) error {
		var l Listed
		var version *int64
		err := row.Scan(&l.PersonID, scanText(&l.ContactID), scanText(&l.AlowareContactID), scanText(&l.Phone), scanText(&l.Held),
			scanTime(&l.HeldAt), scanText(&l.Intent.PersonID), scanText(&l.Intent.AgentKey), scanText(&l.Intent.State),
			scanText(&l.Intent.Detail), scanText(&l.Intent.Facts), scanText(&l.Intent.Intent), scanText(&l.Intent.Wanted),
			scanText(&l.Intent.Approved), &version, scanTime(&l.Intent.UpdatedAt))
		if version != nil {
			l.Intent.RulesVersion = *version
		}
		all = append(all, l)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list people with their lists: %w", err)
	}
	return all, nil
}

// ListGroup is all active people who should be on the same lists and are on the
// same lists. However many people there are, there are few groups.
type ListGroup struct {
	People int
	Sample string    // the first of them
	State  string    // of their intents; empty when there are none
	HeldAt time.Time // when what they hold was written last
	wanted string
	held   string
}

// ListGroups lists the groups.
func (s *Store) ListGroups(ctx context.Context) ([]ListGroup, error) {
	var groups []ListGroup
	err := s.Each(ctx, `SELECT count(*), min(p.id), i.state, i.wanted, h.lists, max(h.updated_at)`+listedFrom+`
		GROUP BY i.state, i.wanted, h.lists ORDER BY 2`, nil, func(row Row) error {
		var g ListGroup
		err := row.Scan(&g.People, &g.Sample, scanText(&g.State), scanText(&g.wanted), scanText(&g.held), scanTime(&g.HeldAt))
		groups = append(groups, g)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("group people by lists: %w", err)
	}
	return groups, nil
}

// Samples returns the first person of each group, by id.
func (s *Store) Samples(ctx context.Context, groups []ListGroup) (map[string]Listed, error) {
	samples := make(map[string]Listed, len(groups))
	for chunk := range slices.Chunk(groups, 500) {
		args := make([]any, len(chunk))
		for i, g := range chunk {
			args[i] = g.Sample
		}
		some, err := s.listed(ctx, `p.id IN (`+list(len(chunk), 0)+`)`, args)
		if err != nil {
			return nil, err
		}
		for _, l := range some {
			samples[l.PersonID] = l
		}
	}
	return samples, nil
}

// groupsMost is how many groups ListedIn looks for in one go.
const groupsMost = 400

// ListedIn lists the people of the groups by id, at most limit, after the given id.
// Of more groups than it can look for it takes the first.
func (s *Store) ListedIn(ctx context.Context, groups []ListGroup, after string, limit int) ([]Listed, error) {
	groups = groups[:min(len(groups), groupsMost)]
	if len(groups) == 0 {
		return nil, nil
	}
	args := []any{after, limit}
	for _, g := range groups {
		args = append(args, g.wanted+" "+g.held)
	}
	return s.listed(ctx, `p.id > $1 AND COALESCE(i.wanted, '') || ' ' || COALESCE(h.lists, '') IN (`+list(len(groups), 2)+`)
		ORDER BY p.id LIMIT $2`, args)
}

// ApproveWanted says that a person's lists may become the wanted set whatever
// the brake says.
func ApproveWanted(ctx context.Context, q Querier, personID, wanted string) error {
	_, err := q.Exec(ctx, `UPDATE list_intents SET approved = $2 WHERE person_id = $1`, personID, wanted)
	if err != nil {
		return fmt.Errorf("approve lists: %w", err)
	}
	return nil
}

// RedoHolding asks for an Aloware contact's lists to be written anew.
func RedoHolding(ctx context.Context, q Querier, l Listed, now time.Time) error {
	_, err := q.Exec(ctx, `INSERT INTO list_holdings (aloware_contact_id, person_id, lists, redo, updated_at)
		VALUES ($1, $2, '[]', TRUE, $3) ON CONFLICT (aloware_contact_id) DO UPDATE SET redo = TRUE`,
		l.AlowareContactID, l.PersonID, now)
	if err != nil {
		return fmt.Errorf("ask for lists anew: %w", err)
	}
	return nil
}

// ListTraffic says how many contacts are on a list and how many people were
// moved or taken off since the given time.
func ListTraffic(ctx context.Context, q Querier, since time.Time) (listed, moved int, err error) {
	if err = q.Row(ctx, `SELECT count(*) FROM list_holdings WHERE lists <> '[]'`).Scan(&listed); err == nil {
		err = q.Row(ctx, `SELECT count(*) FROM list_intents WHERE moved_at >= $1`, since).Scan(&moved)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("count list moves: %w", err)
	}
	return listed, moved, nil
}

// CountIntents returns how many intents are in the state.
func (s *Store) CountIntents(ctx context.Context, state string) (int, error) {
	var n int
	err := s.Row(ctx, `SELECT count(*) FROM list_intents WHERE state = $1`, state).Scan(&n)
	return n, err
}

// DueRechecks returns people whose lists depend on the time and may have changed
// by now, and forgets the time.
func (s *Store) DueRechecks(ctx context.Context, now time.Time, limit int) ([]string, error) {
	var due []string
	err := s.InTx(ctx, func(tx Tx) error {
		due = due[:0]
		return tx.Each(ctx, `UPDATE list_intents SET recheck_at = NULL WHERE person_id IN (SELECT person_id FROM list_intents
			WHERE recheck_at <= $1 ORDER BY recheck_at LIMIT $2) RETURNING person_id`, []any{now, limit}, func(row Row) error {
			var id string
			err := row.Scan(&id)
			due = append(due, id)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list due rechecks: %w", err)
	}
	return due, nil
}

// ListSetting returns a remembered value, or "".
func (s *Store) ListSetting(ctx context.Context, name string) (string, error) {
	var value string
	err := s.Row(ctx, `SELECT value FROM list_settings WHERE name = $1`, name).Scan(&value)
	if errors.Is(err, ErrNoRows) {
		return "", nil
	}
	return value, err
}

// SaveListSetting remembers a value.
func (s *Store) SaveListSetting(ctx context.Context, name, value string) error {
	_, err := s.Exec(ctx, `INSERT INTO list_settings (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	if err != nil {
		return fmt.Errorf("remember list settings: %w", err)
	}
	return nil
}
