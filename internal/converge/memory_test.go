package converge

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// memory is the store in memory: people.Registry and Ledger with the versions,
// unique ids and fences of the real one.
type memory struct {
	world      *world
	rows       map[string]people.Person
	reviews    map[string]people.Review
	agreed     map[string]Agreed
	issues     map[string]map[string]Issue
	written    map[string][]Written
	conflicts  []Conflict
	rulings    map[string]Ruling // of "p", by conflict
	ended      map[string]RulingEnd
	learned    []Normalisation
	log        []LogEntry
	fence      map[string]int64
	saves      int
	beforeSave func() // runs once in front of the next Save
}

func (m *memory) Load(_ context.Context, id string) (State, error) {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	if _, err := m.world.step(); err != nil {
		return State{}, err
	}
	p, ok := m.rows[id]
	if !ok {
		return State{}, people.ErrNotFound
	}
	rulings := slices.Collect(maps.Values(m.rulings))
	return State{Person: p.Clone(), Rulings: rulings, Agreed: m.agreed[id].Clone(), Issues: slices.Collect(maps.Values(m.issues[id])),
		Recent: slices.Clone(m.written[id])}, nil
}

func (m *memory) Save(ctx context.Context, l Lease, r Record) error {
	if m.beforeSave != nil {
		m.beforeSave()
		m.beforeSave = nil
	}
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	late, err := m.world.step()
	if err != nil {
		return err
	}
	if err := (&memoryTx{m}).Guard(ctx, l); err != nil {
		return err
	}
	if err := (&memoryTx{m}).Update(ctx, r.Person); err != nil {
		return err
	}
	id := r.Person.ID
	m.saves++
	m.agreed[id] = r.Agreed.Clone()
	m.conflicts = append(m.conflicts, r.Conflicts...)
	for _, end := range r.Ruled {
		if _, asked := m.rulings[end.ConflictID]; asked {
			delete(m.rulings, end.ConflictID)
			m.ended[end.ConflictID] = end
		}
	}
	m.learned = append(m.learned, r.Learned...)
	m.log = append(m.log, r.Log...)
	m.written[id] = append(m.written[id], r.Writes...)
	if m.issues[id] == nil {
		m.issues[id] = map[string]Issue{}
	}
	for _, issue := range r.Issues {
		m.issues[id][issue.Topic] = issue
	}
	for _, topic := range r.Resolved {
		delete(m.issues[id], topic)
	}
	if late {
		return errCrash
	}
	return nil
}

func (m *memory) Known(ctx context.Context, side df.Side, id string) (people.Person, bool, error) {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	if _, err := m.world.step(); err != nil {
		return people.Person{}, false, err
	}
	return (&memoryTx{m}).ByContact(ctx, side, id)
}

func (m *memory) WithPhoneLock(_ context.Context, _ df.Phone, fn func(people.RegistryTx) error) error {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	late, err := m.world.step()
	if err != nil {
		return err
	}
	rows, reviews := maps.Clone(m.rows), maps.Clone(m.reviews)
	if err := fn(&memoryTx{m}); err != nil {
		m.rows, m.reviews = rows, reviews
		return err
	}
	if late {
		return errCrash
	}
	return nil
}

type memoryTx struct{ *memory }

func (t *memoryTx) Guard(_ context.Context, l people.Lease) error {
	if l.Lane != "" && t.fence[l.Lane] != l.Fence {
		return people.ErrLeaseLost
	}
	return nil
}

func (t *memoryTx) Get(_ context.Context, id string) (people.Person, error) {
	p, ok := t.rows[id]
	if !ok {
		return people.Person{}, people.ErrNotFound
	}
	return p.Clone(), nil
}

func (t *memoryTx) find(active bool, match func(people.Person) bool) []people.Person {
	var found []people.Person
	for _, p := range t.rows {
		if (p.Status == people.Active) == active && match(p) {
			found = append(found, p.Clone())
		}
	}
	slices.SortFunc(found, func(a, b people.Person) int {
		return cmp.Or(b.EndedAt.Compare(a.EndedAt), cmp.Compare(a.ID, b.ID))
	})
	return found
}

func (t *memoryTx) ByContact(_ context.Context, side df.Side, id string) (people.Person, bool, error) {
	for _, active := range []bool{true, false} {
		if found := t.find(active, func(p people.Person) bool { return id != "" && p.ContactID(side) == id }); len(found) > 0 {
			return found[0], true, nil
		}
	}
	return people.Person{}, false, nil
}

func (t *memoryTx) ByPhone(_ context.Context, phone df.Phone) ([]people.Person, error) {
	return t.find(true, func(p people.Person) bool { return p.Knows(phone) }), nil
}

func (t *memoryTx) ByEmail(_ context.Context, email string) ([]people.Person, error) {
	return t.find(true, func(p people.Person) bool { return email != "" && p.Email == email }), nil
}

func (t *memoryTx) taken(p people.Person) bool {
	return p.Status == people.Active && len(t.find(true, func(q people.Person) bool {
		return q.ID != p.ID && (p.GHLContactID != "" && q.GHLContactID == p.GHLContactID ||
			p.AlowareContactID != "" && q.AlowareContactID == p.AlowareContactID)
	})) > 0
}

func (t *memoryTx) Insert(_ context.Context, p people.Person) error {
	if t.taken(p) {
		return people.ErrTaken
	}
	p.Version = 1
	t.rows[p.ID] = p.Clone()
	return nil
}

func (t *memoryTx) Update(_ context.Context, p people.Person) error {
	if t.rows[p.ID].Version != p.Version {
		return people.ErrStale
	}
	if t.taken(p) {
		return people.ErrTaken
	}
	p.Version++
	t.rows[p.ID] = p.Clone()
	return nil
}

func (t *memoryTx) Review(_ context.Context, r people.Review) error {
	if _, ok := t.reviews[r.Key]; !ok {
		t.reviews[r.Key] = r
	}
	return nil
}

func (t *memoryTx) Record(context.Context, people.Undo) error { return nil }

func (t *memoryTx) Undo(context.Context, string) (people.Undo, error) {
	return people.Undo{}, people.ErrNotFound
}

func (t *memoryTx) Undone(context.Context, string, time.Time) error { return nil }
