package converge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// errCrash is what everything answers once the process is dead.
var errCrash = errors.New("the process died")

// world is both sides, the store and a converger between them. It can die at
// any call, before or after the call took effect.
type world struct {
	mu      sync.Mutex
	now     time.Time
	ghl     *fakeSide
	aloware *fakeSide
	store   *memory
	c       *Converger
	h       *Handler
	calls   int
	dieAt   int // the number of the call at which the process dies; 0 never
	dieLate bool
	dead    bool
}

func newWorld(t rapid.TB) *world {
	w := &world{now: noon}
	w.ghl = &fakeSide{world: w, name: df.SideGHL, prefix: "g", contacts: map[string]df.Contact{}, noDuplicates: true,
		readOnly: []df.Field{df.Company, df.LeadSource}}
	w.aloware = &fakeSide{world: w, name: df.SideAloware, contacts: map[string]df.Contact{}, byPhone: true}
	w.store = &memory{world: w, rows: map[string]people.Person{}, reviews: map[string]people.Review{},
		agreed: map[string]Agreed{}, issues: map[string]map[string]Issue{}, written: map[string][]Written{}, fence: map[string]int64{},
		rulings: map[string]Ruling{}, ended: map[string]RulingEnd{}}
	n := 0
	d := &people.Directory{Registry: w.store, Clock: func() time.Time { return w.now }, NewID: func() string {
		n++
		return fmt.Sprintf("p%d", n)
	}}
	w.c = &Converger{Sides: map[df.Side]Side{df.SideGHL: w.ghl, df.SideAloware: w.aloware}, Ledger: w.store, People: d,
		Rules: Rules{Policy: Merge}, Limits: DefaultLimits(), Clock: func() time.Time { return w.now },
		Log: slog.New(slog.DiscardHandler)}
	w.h = &Handler{Converger: w.c}
	return w
}

// step is passed by every call. It returns errCrash when the call must not take
// effect, and late when it takes effect but nobody hears of it.
func (w *world) step() (late bool, err error) {
	if w.dead {
		return false, errCrash
	}
	w.calls++
	if w.calls != w.dieAt {
		return false, nil
	}
	w.dead = true
	if w.dieLate {
		return true, nil
	}
	return false, errCrash
}

// restart brings the process back; it dies no more.
func (w *world) restart() { w.dead, w.dieAt = false, 0 }

// person stores an active person.
func (w *world) person(p people.Person) {
	p.Status, p.Version = people.Active, 1
	w.store.rows[p.ID] = p
}

// converge runs one convergence of p and fails the test when it cannot.
func (w *world) converge(t rapid.TB) Result {
	t.Helper()
	r, err := w.c.Reconcile(context.Background(), Lease{}, "p")
	if err != nil {
		t.Fatalf("converge: %v", err)
	}
	return r
}

// fakeSide is an upstream that lies as the real ones do.
type fakeSide struct {
	world        *world
	name         df.Side
	prefix       string
	contacts     map[string]df.Contact
	next         int
	byPhone      bool // contacts are read by phone, as Aloware's are
	noDuplicates bool // a second contact with the phone or e-mail is refused
	readOnly     []df.Field
	hidden       []df.Field // taken, never shown
	keepsTags    bool
	noTags       bool // tags are taken, never shown
	habit        func(df.Field, string) string
	drops        func(df.Field) bool // accepted and not written
	fault        func(op string) (err error, applied bool)
	refuse       func(df.Patch) error
	meanwhile    func()     // runs once, right after the next write
	ghost        df.Contact // still found, although it is gone
	absent       bool       // answers that it is not configured

	creates, writes, retires, reads, finds int
	patches                                []df.Patch
	retired                                []string
}

func (s *fakeSide) Name() df.Side            { return s.name }
func (s *fakeSide) Writable(f df.Field) bool { return !slices.Contains(s.readOnly, f) }
func (s *fakeSide) Holds(df.Field) bool      { return true }
func (s *fakeSide) CanRemoveTags() bool      { return !s.keepsTags }

func (s *fakeSide) fail(code string, outcome df.Outcome, message string) *df.CallError {
	return &df.CallError{Upstream: string(s.name), Operation: "test", Outcome: outcome, Code: code, Message: message}
}

// call passes step and fault; applied says that the effect happens although err
// is answered.
func (s *fakeSide) call(op string, effect func() error) error {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	late, err := s.world.step()
	if err != nil {
		return err
	}
	if s.absent {
		return s.fail(df.CodeUnconfigured, df.Refused, "")
	}
	if s.fault != nil {
		if err, applied := s.fault(op); err != nil {
			if applied {
				_ = effect()
			}
			return err
		}
	}
	err = effect()
	if late {
		return errCrash
	}
	return err
}

func (s *fakeSide) show(c df.Contact) df.Contact {
	c = c.Clone()
	for _, f := range s.hidden {
		delete(c.Fields, f)
	}
	if s.noTags {
		c.Tags = nil
	}
	return c
}

func (s *fakeSide) Read(_ context.Context, ref df.Ref) (contact df.Contact, err error) {
	err = s.call("read", func() error {
		s.reads++
		for id, c := range s.contacts {
			if !s.byPhone && id == ref.ID || s.byPhone && c.Phone() == ref.Phone && ref.Phone != "" {
				contact = s.show(c)
				return nil
			}
		}
		return s.fail(df.CodeNotFound, df.Refused, "")
	})
	return contact, err
}

func (s *fakeSide) Find(_ context.Context, phone df.Phone, email string) (found []df.Contact, err error) {
	err = s.call("find", func() error {
		s.finds++
		if s.ghost.ID != "" {
			found = append(found, s.show(s.ghost))
		}
		for _, id := range slices.Sorted(maps.Keys(s.contacts)) {
			c := s.contacts[id]
			if phone != "" && c.Phone() == phone || !s.byPhone && email != "" && Form(df.Email, c.Get(df.Email)) == email {
				found = append(found, s.show(c))
			}
		}
		return nil
	})
	return found, err
}

// other returns the id of another contact with the phone or e-mail.
func (s *fakeSide) other(id string, set fields) string {
	for otherID, c := range s.contacts {
		for _, f := range []df.Field{df.PhoneNumber, df.Email} {
			if v := set[f]; otherID != id && v != "" && Same(f, v, c.Get(f)) {
				return otherID
			}
		}
	}
	return ""
}

func (s *fakeSide) put(c df.Contact, set fields) {
	for f, v := range set {
		if s.habit != nil {
			v = s.habit(f, v)
		}
		if s.drops == nil || !s.drops(f) {
			c.Fields[f] = v
		}
	}
}

func (s *fakeSide) Create(_ context.Context, wanted df.Contact) (made df.Contact, err error) {
	err = s.call("create", func() error {
		if s.refuse != nil {
			if err := s.refuse(df.Patch{Set: wanted.Fields, AddTags: wanted.Tags}); err != nil {
				return err
			}
		}
		if id := s.other("", wanted.Fields); id != "" && s.noDuplicates {
			refused := s.fail(df.CodeDuplicate, df.Refused, "")
			refused.ContactID = id
			return refused
		}
		s.creates++
		s.next++
		c := df.Contact{ID: fmt.Sprintf("%s%d", s.prefix, 100+s.next), Fields: fields{}, Tags: df.Tags(wanted.Tags...)}
		for _, f := range df.Fields() {
			c.Fields[f] = ""
		}
		s.put(c, wanted.Fields)
		s.contacts[c.ID] = c
		made = s.show(c)
		return nil
	})
	return made, err
}

func (s *fakeSide) Write(_ context.Context, ref df.Ref, _ df.Contact, p df.Patch) error {
	return s.call("write", func() error {
		c, ok := s.contacts[ref.ID]
		if !ok {
			return s.fail(df.CodeNotFound, df.Refused, "")
		}
		if s.refuse != nil {
			if err := s.refuse(p); err != nil {
				return err
			}
		}
		if id := s.other(ref.ID, p.Set); id != "" && s.noDuplicates {
			refused := s.fail(df.CodeDuplicate, df.Refused, "")
			refused.ContactID = id
			return refused
		}
		s.writes++
		s.patches = append(s.patches, p)
		c = c.Clone()
		s.put(c, p.Set)
		kept := c.Tags
		if !s.keepsTags {
			kept = slices.DeleteFunc(kept, func(tag string) bool { return hasTag(p.RemoveTags, tag) })
		}
		if s.drops == nil || !s.drops(TagsField) {
			c.Tags = df.Tags(append(kept, p.AddTags...)...)
		}
		s.contacts[ref.ID] = c
		if s.meanwhile != nil {
			s.meanwhile()
			s.meanwhile = nil
		}
		return nil
	})
}

func (s *fakeSide) Retire(_ context.Context, ref df.Ref) error {
	return s.call("retire", func() error {
		s.retires++
		if !slices.Contains(s.retired, ref.ID) {
			s.retired = append(s.retired, ref.ID)
		}
		return nil
	})
}

// has stores a contact that shows every field.
func (s *fakeSide) has(id string, set fields, tags ...string) {
	c := df.Contact{ID: id, Fields: fields{}, Tags: df.Tags(tags...)}
	for _, f := range df.Fields() {
		c.Fields[f] = set[f]
	}
	for f, v := range set {
		c.Fields[f] = v
	}
	s.contacts[id] = c
}

// edit changes a contact as a user of the side would.
func (s *fakeSide) edit(id string, set fields) {
	c := s.contacts[id].Clone()
	maps.Copy(c.Fields, set)
	s.contacts[id] = c
}

func (s *fakeSide) tag(id string, tags ...string) {
	c := s.contacts[id]
	c.Tags = df.Tags(tags...)
	s.contacts[id] = c
}

func (s *fakeSide) get(id string, f df.Field) string { return s.contacts[id].Get(f) }
