package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// TestATimelineHasEveryKindAndIsPagedWithoutLoss puts several of each kind at the
// same instant, which is where a cursor by time alone would lose or repeat some.
func TestATimelineHasEveryKindAndIsPagedWithoutLoss(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		ctx, at := t.Context(), time.Date(2030, 1, 2, 3, 4, 5, 6000, time.UTC)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		person := store.Person{ID: "p1", Phone: "+15005550111", Status: "active", SyncDirection: "bidirectional", CreatedAt: at, UpdatedAt: at}
		must(s.InTx(ctx, func(tx store.Tx) error { return store.InsertPerson(ctx, tx, person) }))
		for i := range 3 {
			when := at.Add(time.Duration(i/2) * time.Hour) // the first two at once
			must(s.InTx(ctx, func(tx store.Tx) error { return happened(ctx, tx, i, when) }))
		}
		all, err := s.Moments(ctx, store.MomentFilter{PersonID: "p1", Phones: []df.Phone{"+15005550111"}, Limit: 100})
		must(err)
		kinds := map[string]int{}
		for i, m := range all {
			kinds[m.Kind]++
			if i > 0 && m.At.After(all[i-1].At) {
				t.Errorf("%v is newer than what stands before it", m)
			}
		}
		for _, kind := range store.MomentKinds() {
			if kind != store.MomentEvent && kinds[kind] != 3 {
				t.Errorf("%d of kind %s, want 3", kinds[kind], kind)
			}
		}
		for _, size := range []int{1, 4, 7} {
			var paged []store.Moment
			filter := store.MomentFilter{PersonID: "p1", Phones: []df.Phone{"+15005550111"}, Limit: size}
			for {
				page, err := s.Moments(ctx, filter)
				must(err)
				paged = append(paged, page...)
				if len(page) < size {
					break
				}
				filter.Before = page[len(page)-1]
			}
			if !slices.EqualFunc(all, paged, func(a, b store.Moment) bool { return a.Kind == b.Kind && a.ID == b.ID && a.At.Equal(b.At) }) {
				t.Errorf("in pages of %d: %v, want %v", size, paged, all)
			}
		}
		only, err := s.Moments(ctx, store.MomentFilter{PersonID: "p1", Kinds: []string{store.MomentCall, store.MomentChange}, Limit: 100})
		must(err)
		if len(only) != 6 {
			t.Errorf("of two kinds: %v", only)
		}
		none, err := s.Moments(ctx, store.MomentFilter{PersonID: "nobody", Limit: 100})
		must(err)
		if len(none) != 0 {
			t.Errorf("of nobody: %v", none)
		}
	})
}

// happened keeps one of each kind but events.
func happened(ctx context.Context, tx store.Tx, i int, at time.Time) error {
	id := fmt.Sprintf("id-%d", i)
	person := store.Person{ID: "p1"}
	sync := store.SyncRow{ID: id, Direction: df.GHLToAloware, EntityType: "contact", EntityID: "p1", Status: "success", StartedAt: at, FinishedAt: at, PersonID: "p1"}
	list := sync
	list.ID, list.EntityType = id+"-list", "list"
	seq, hash, err := store.LockChain(ctx, tx)
	if err != nil {
		return err
	}
	for _, do := range []func() error{
		func() error {
			return store.InsertAudit(ctx, tx, store.AuditRow{At: at, Actor: "admin", Action: "person.converge", Target: "p1"})
		},
		func() error { // told by its own record
			return store.InsertAudit(ctx, tx, store.AuditRow{At: at, Actor: "admin", Action: "mapping.merge", Target: "p1"})
		},
		func() error {
			return store.InsertUndo(ctx, tx, store.Undo{ID: id, Kind: "merge", Actor: "admin", At: at, Before: []store.Person{person}, After: []store.Person{person}})
		},
		func() error { return store.InsertSync(ctx, tx, sync, list) },
		func() error {
			return store.AppendConsent(ctx, tx, []store.ConsentEvent{{Seq: seq + int64(i) + 1, ID: id, Phone: "+15005550111", Kind: "stop", At: at, HeardAt: at, PrevHash: hash, Hash: id}})
		},
		func() error {
			_, err := store.InsertIncident(ctx, tx, store.Incident{Key: id, Phone: "+15005550111", Scope: "sms", At: at, SeenAt: at, OutSince: at})
			return err
		},
		func() error {
			return store.SaveMessage(ctx, tx, store.Message{ID: id, GHLID: id, PersonID: "p1", Direction: "inbound", Source: df.SourceTexting, CreatedAt: at, UpdatedAt: at})
		},
		func() error {
			return store.SaveCall(ctx, tx, store.Call{ID: id, PersonID: "p1", StartedAt: at, Facts: []byte("{}"), CreatedAt: at, UpdatedAt: at})
		},
		func() error {
			return store.SaveItem(ctx, tx, store.Item{Kind: "appointment", ID: id, PersonID: "p1", Told: "[]", ChangedAt: at, CreatedAt: at, UpdatedAt: at})
		},
		func() error {
			return store.SaveItem(ctx, tx, store.Item{Kind: "opportunity", ID: id, PersonID: "p1", Told: "[]", ChangedAt: at, CreatedAt: at, UpdatedAt: at})
		},
		func() error {
			_, err := tx.Exec(ctx, `INSERT INTO sync_conflicts (id, person_id, field, kind, base, seen, rule, at) VALUES ($1, 'p1', 'city', 'both_changed', '{}', '{}', 'prefer_ghl', $2)`, id, at)
			return err
		},
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}
