package people_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// registry is people.Registry in memory: transactions one at a time, each on a
// copy that is kept only when it succeeds, with the table's constraints.
type registry struct {
	mu      sync.Mutex
	rows    map[string]people.Person
	reviews map[string]people.Review
	undos   map[string]people.Undo
	fence   map[string]int64
	// before, when set, runs once in front of the next transaction, as another
	// instance would.
	before func()
	locked []df.Phone
}

func newRegistry() *registry {
	return &registry{rows: map[string]people.Person{}, reviews: map[string]people.Review{},
		undos: map[string]people.Undo{}, fence: map[string]int64{}}
}

func (r *registry) Known(ctx context.Context, side df.Side, id string) (people.Person, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return (&tx{r}).ByContact(ctx, side, id)
}

func (r *registry) WithPhoneLock(_ context.Context, phone df.Phone, fn func(people.RegistryTx) error) error {
	if before := r.before; before != nil {
		r.before = nil
		before()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.locked = append(r.locked, phone)
	rows, reviews, undos := maps.Clone(r.rows), maps.Clone(r.reviews), maps.Clone(r.undos)
	err := fn(&tx{r})
	if err != nil {
		r.rows, r.reviews, r.undos = rows, reviews, undos
	}
	return err
}

type tx struct{ *registry }

func (t *tx) Guard(_ context.Context, l people.Lease) error {
	if l.Lane != "" && t.fence[l.Lane] != l.Fence {
		return people.ErrLeaseLost
	}
	return nil
}

func (t *tx) Get(_ context.Context, id string) (people.Person, error) {
	p, ok := t.rows[id]
	if !ok {
		return people.Person{}, people.ErrNotFound
	}
	return p.Clone(), nil
}

func (t *tx) find(active bool, match func(people.Person) bool) []people.Person {
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

func (t *tx) ByContact(_ context.Context, side df.Side, id string) (people.Person, bool, error) {
	has := func(p people.Person) bool { return id != "" && p.ContactID(side) == id }
	for _, active := range []bool{true, false} {
		if found := t.find(active, has); len(found) > 0 {
			return found[0], true, nil
		}
	}
	return people.Person{}, false, nil
}

func (t *tx) ByPhone(_ context.Context, phone df.Phone) ([]people.Person, error) {
	return t.find(true, func(p people.Person) bool { return p.Knows(phone) }), nil
}

func (t *tx) ByEmail(_ context.Context, email string) ([]people.Person, error) {
	return t.find(true, func(p people.Person) bool { return email != "" && p.Email == email }), nil
}

func (t *tx) taken(p people.Person) bool {
	if p.Status != people.Active {
		return false
	}
	return len(t.find(true, func(q people.Person) bool {
		return q.ID != p.ID && (p.GHLContactID != "" && q.GHLContactID == p.GHLContactID ||
			p.AlowareContactID != "" && q.AlowareContactID == p.AlowareContactID)
	})) > 0
}

func (t *tx) Insert(_ context.Context, p people.Person) error {
	if t.taken(p) {
		return people.ErrTaken
	}
	p.Version = 1
	t.rows[p.ID] = p.Clone()
	return nil
}

func (t *tx) Update(_ context.Context, p people.Person) error {
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

func (t *tx) Review(_ context.Context, r people.Review) error {
	if _, ok := t.reviews[r.Key]; !ok {
		t.reviews[r.Key] = r
	}
	return nil
}

func (t *tx) Record(_ context.Context, u people.Undo) error { t.undos[u.ID] = u; return nil }

func (t *tx) Undo(_ context.Context, id string) (people.Undo, error) {
	u, ok := t.undos[id]
	if !ok {
		return u, people.ErrNotFound
	}
	return u, nil
}

func (t *tx) Undone(_ context.Context, id string, _ time.Time) error { delete(t.undos, id); return nil }

var noon = time.Date(2026, 8, 24, 12, 0, 0, 0, time.UTC)

const (
	ann   df.Phone = "+12025550101"
	bob   df.Phone = "+12025550102"
	carol df.Phone = "+12025550103"
)

// directory returns a directory over a fresh registry with the given people.
func directory(t *testing.T, rows ...people.Person) (*people.Directory, *registry) {
	t.Helper()
	r := newRegistry()
	for _, p := range rows {
		if p.Status == "" {
			p.Status = people.Active
		}
		p.Version = 1
		r.rows[p.ID] = p
	}
	var mu sync.Mutex
	n := 0
	return &people.Directory{Registry: r, Clock: func() time.Time { return noon }, NewID: func() string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return fmt.Sprintf("new-%d", n)
	}}, r
}
