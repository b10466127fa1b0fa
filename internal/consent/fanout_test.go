package consent

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/store"
	"github.com/df-middleware/dfm/internal/store/storetest"
)

// world is GHL or Aloware with one contact or none, as moody as they are.
type world struct {
	mu       sync.Mutex
	name     df.Side
	contact  *df.Contact
	lists    int
	sequence int
	calls    []string
	fail     map[string]error // by call
	lies     bool             // answers 2xx and writes nothing
	before   func(call string)
}

func newWorld(name df.Side, id string, phone df.Phone) *world {
	contact := &df.Contact{ID: id, Fields: map[df.Field]string{df.PhoneNumber: string(phone)}, DoNotCall: ptr(false), Tags: []string{"vip"}}
	if name == df.SideGHL {
		contact.DoNotText = ptr(false)
	}
	return &world{name: name, contact: contact, lists: 2, sequence: 1, fail: map[string]error{}}
}

func (w *world) say(call string) error {
	w.mu.Lock()
	before := w.before
	w.calls = append(w.calls, call)
	w.mu.Unlock()
	if before != nil {
		before(call)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fail[strings.Fields(call)[0]]
}

func (w *world) change(call string, f func(*df.Contact)) error {
	if err := w.say(call); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.lies {
		f(w.contact)
	}
	return nil
}

func (w *world) Find(_ context.Context, phone df.Phone, _ string) ([]df.Contact, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.contact == nil || w.contact.Phone() != phone {
		return nil, w.fail["find"]
	}
	return []df.Contact{w.contact.Clone()}, w.fail["find"]
}

func (w *world) Read(_ context.Context, ref df.Ref) (df.Contact, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.contact == nil || w.contact.ID != ref.ID {
		return df.Contact{}, &df.CallError{Upstream: string(w.name), Operation: "read contact", Outcome: df.Refused, Code: df.CodeNotFound}
	}
	return w.contact.Clone(), w.fail["read"]
}

func (w *world) SetDND(_ context.Context, id string, scope Scope, on bool, reason string) error {
	return w.change(fmt.Sprintf("dnd %s %s %v", id, scope, on), func(c *df.Contact) {
		if scope == SMS {
			c.DoNotText = ptr(on)
		} else {
			c.DoNotCall = ptr(on)
		}
		if reason == "" {
			panic("a change of do-not-disturb needs its reason")
		}
	})
}

func (w *world) AddTags(_ context.Context, id string, tags []string) error {
	return w.change("addtags "+id, func(c *df.Contact) { c.Tags = df.Tags(append(c.Tags, tags...)...) })
}

func (w *world) RemoveTags(_ context.Context, id string, tags []string) error {
	return w.change("removetags "+id, func(c *df.Contact) {
		c.Tags = slices.DeleteFunc(c.Tags, func(tag string) bool { return slices.Contains(tags, tag) })
	})
}

func (w *world) SetDoNotCall(_ context.Context, phone df.Phone, on bool) error {
	return w.change(fmt.Sprintf("dnc %s %v", phone, on), func(c *df.Contact) { c.DoNotCall = ptr(on) })
}

func (w *world) Disenroll(_ context.Context, phone df.Phone) error {
	return w.change("disenroll "+string(phone), func(*df.Contact) { w.sequence = 0 })
}

func (w *world) RemoveFromAllLists(_ context.Context, id string) error {
	return w.change("unlist "+id, func(*df.Contact) { w.lists = 0 })
}

func (w *world) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := strings.Join(w.calls, "; ")
	w.calls = nil
	return said
}

// rig is a fan between a store and two worlds, with a clock that is set by hand.
type rig struct {
	t            testing.TB
	store        *store.Store
	recorder     *Recorder
	fan          *Fan
	ghl, aloware *world
	now          time.Time
	log          bytes.Buffer
}

func newRig(t testing.TB, s *store.Store) *rig {
	r := &rig{t: t, store: s, now: minute(10), ghl: newWorld(df.SideGHL, "G1", ann), aloware: newWorld(df.SideAloware, "7", ann)}
	clock := func() time.Time { return r.now }
	r.recorder = &Recorder{Targets: Targets(true, true), Clock: clock, NewID: df.IDs(clock)}
	r.fan = &Fan{Store: s, Recorder: r.recorder, GHL: r.ghl, Aloware: r.aloware, Clock: clock, Log: slog.New(slog.NewTextHandler(&r.log, nil))}
	return r
}

// act records an act that happens now.
func (r *rig) act(act Act) {
	r.t.Helper()
	act.At, act.HeardAt = r.now, r.now
	keep(r.t, r.store, r.recorder, act)
}

func (r *rig) run() {
	r.t.Helper()
	if err := r.fan.FanOut(r.t.Context(), ann); err != nil {
		r.t.Fatal(err)
	}
}

// states says how far each target is.
func (r *rig) states() string {
	r.t.Helper()
	rows, err := r.store.FanOuts(r.t.Context(), store.FanOutFilter{Phone: string(ann), Limit: 9})
	if err != nil {
		r.t.Fatal(err)
	}
	var list []string
	for _, row := range rows {
		list = append(list, row.Target+"="+row.State)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

const allDone = "aloware_dnc=done aloware_lists=done aloware_sequences=done ghl_dnd=done ghl_tag=done"

// D-31 and D-32: a STOP reached no other system, and the contact stayed on the
// dialer's lists.
func TestAStopReachesEverySystemOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := newRig(t, s)
		r.act(stopAct(ann, 0))
		r.run()
		if got := r.states(); got != allDone {
			t.Error(got)
		}
		if g := r.ghl.contact; !*g.DoNotText || !*g.DoNotCall || !slices.Equal(g.Tags, []string{"DNC", "DNC-SMS", "Do Not Call", "SMS Opted Out", "vip"}) {
			t.Errorf("GHL has %v %v %v", *g.DoNotText, *g.DoNotCall, g.Tags)
		}
		if a := r.aloware; !*a.contact.DoNotCall || a.lists != 0 || a.sequence != 0 {
			t.Errorf("Aloware has %v, %d lists, %d sequences", *a.contact.DoNotCall, a.lists, a.sequence)
		}
		r.ghl.said()
		r.aloware.said()
		r.run()
		if said := r.ghl.said() + r.aloware.said(); said != "" {
			t.Errorf("told again: %s", said)
		}
		rows, _ := s.FanOuts(t.Context(), store.FanOutFilter{Phone: string(ann), Limit: 9})
		if !rows[0].ConfirmedAt.Equal(r.now) || rows[0].Attempts != 1 {
			t.Errorf("%+v", rows[0])
		}
	})
}

func TestOneSystemThatFailsHoldsUpNoOtherAndIsAskedUntilItAnswers(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := newRig(t, s)
		down := &df.CallError{Upstream: "ghl", Operation: "set do-not-disturb", Outcome: df.RetryLater, Code: df.CodeUnavailable, Status: 503}
		r.ghl.fail["dnd"] = down
		r.act(stopAct(ann, 0))
		r.run()
		if got := r.states(); got != strings.Replace(allDone, "ghl_dnd=done", "ghl_dnd=failed", 1) {
			t.Error(got)
		}
		r.ghl.said()
		r.run()
		if said := r.ghl.said(); said != "" {
			t.Errorf("asked again at once: %s", said)
		}
		tries := 0
		for range 40 {
			r.now = r.now.Add(2 * time.Minute)
			if _, err := r.fan.Sweep(t.Context(), 10); err != nil {
				t.Fatal(err)
			}
			tries += strings.Count(r.ghl.said(), "dnd")
		}
		if tries < 5 || tries > 20 {
			t.Errorf("%d tries in 80 minutes", tries)
		}
		late, err := r.fan.Late(t.Context(), 9)
		if err != nil || len(late) != 1 || late[0].Target != GHLDND || late[0].LastError != down.Error() || !late[0].Since.Equal(minute(10)) ||
			late[0].Deadline.Before(r.now) {
			t.Errorf("late %+v, %v", late, err)
		}
		delete(r.ghl.fail, "dnd")
		r.now = r.now.Add(time.Hour)
		if _, err := r.fan.Sweep(t.Context(), 10); err != nil || r.states() != allDone {
			t.Errorf("%s, %v", r.states(), err)
		}
		if late, _ := r.fan.Late(t.Context(), 9); len(late) != 0 {
			t.Errorf("still late: %+v", late)
		}
		if log := r.log.String(); log == "" || strings.Contains(log, string(ann)) {
			t.Errorf("the log has a whole number, or nothing: %s", log)
		}
	})
}

// A contact that was deleted while it was being told once waited an hour for a
// person, as if GHL had refused, and whoever it was could not be erased.
func TestAContactThatIsDeletedWhileItIsToldIsGone(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		for name, test := range map[string]struct {
			deletes bool
			want    string
		}{"deleted": {true, StateAbsent}, "there, and GHL says otherwise": {false, StateFailed}} {
			r := newRig(t, s)
			phone := df.Phone("+1500555" + map[bool]string{true: "0151", false: "0152"}[test.deletes])
			r.ghl.contact.Fields[df.PhoneNumber] = string(phone)
			r.ghl.fail["dnd"] = &df.CallError{Upstream: "ghl", Operation: "set do-not-disturb", Outcome: df.Refused, Code: df.CodeNotFound, Status: 400}
			r.ghl.before = func(call string) {
				if test.deletes && strings.HasPrefix(call, "dnd") {
					r.ghl.mu.Lock()
					defer r.ghl.mu.Unlock()
					r.ghl.contact = nil
				}
			}
			r.act(stopAct(phone, 0))
			if err := r.fan.FanOut(t.Context(), phone); err != nil {
				t.Fatal(err)
			}
			rows, err := s.FanOuts(t.Context(), store.FanOutFilter{Phone: string(phone), Limit: 9})
			i := slices.IndexFunc(rows, func(row store.FanOut) bool { return row.Target == string(GHLDND) })
			if err != nil || i < 0 || rows[i].State != test.want {
				t.Errorf("%s: %+v, %v, want %s", name, rows, err, test.want)
			}
		}
	})
}

func TestAnAnswerThatIsNotTrueIsNotBelieved(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	r.ghl.lies, r.aloware.lies = true, true
	r.act(stopAct(ann, 0))
	r.run()
	if got := r.states(); !strings.Contains(got, "ghl_dnd=failed") || !strings.Contains(got, "aloware_dnc=failed") {
		t.Error(got)
	}
	r.ghl.lies, r.aloware.lies = false, false
	r.now = r.now.Add(time.Hour)
	r.run()
	if got := r.states(); !strings.Contains(got, "ghl_dnd=done") || !strings.Contains(got, "aloware_dnc=done") {
		t.Error(got)
	}
}

func TestSomebodyNotThereYetIsToldAboutWhenTheyAre(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := newRig(t, s)
		there := r.ghl.contact
		r.ghl.contact, r.aloware.contact = nil, nil
		r.act(stopAct(ann, 0))
		r.run()
		if got := r.states(); strings.Count(got, "absent") != 5 {
			t.Error(got)
		}
		r.now = r.now.Add(2 * time.Hour)
		if late, _ := r.fan.Late(t.Context(), 9); len(late) != 0 {
			t.Errorf("nobody is there, and somebody is late: %+v", late)
		}
		r.ghl.contact = there
		err := s.InTx(t.Context(), func(tx store.Tx) error { return Reopen(t.Context(), tx, ann, r.now) })
		if err != nil {
			t.Fatal(err)
		}
		r.run()
		if got := r.states(); strings.Count(got, "done") != 2 || !*there.DoNotText {
			t.Error(got)
		}
	})
}

func TestAnOptInTakesBackWhatWasOursAsThePolicySays(t *testing.T) {
	t.Parallel()
	for _, policy := range []Policy{{}, {KeepDND: true, KeepTags: true}, {ClearDNC: true}} {
		r := newRig(t, storetest.SQLite(t))
		r.recorder.Policy = policy
		r.act(stopAct(ann, 0))
		r.run()
		r.now = r.now.Add(time.Minute)
		// The echoes of our own writes come as webhooks and are not news.
		for _, w := range []*world{r.ghl, r.aloware} {
			contact := w.contact.Clone()
			done := hear(t, r.store, r.recorder, Heard{Source: df.Source(w.name), EventID: "e" + string(w.name), HeardAt: r.now,
				Notice: df.Notice{ContactID: contact.ID, Phone: ann, Contact: &contact}})
			if len(done) != 0 {
				t.Errorf("our own echo from %s: %+v", w.name, done)
			}
		}
		r.act(startAct(ann, 0))
		r.run()
		if got := r.states(); got != allDone {
			t.Errorf("%+v: %s", policy, got)
		}
		if g := r.ghl.contact; *g.DoNotText != policy.KeepDND || *g.DoNotCall != policy.KeepDND || (len(g.Tags) > 1) != policy.KeepTags {
			t.Errorf("%+v: GHL has %v %v %v", policy, *g.DoNotText, *g.DoNotCall, g.Tags)
		}
		if a := r.aloware; *a.contact.DoNotCall == policy.ClearDNC || a.lists != 0 {
			t.Errorf("%+v: Aloware has %v, %d lists", policy, *a.contact.DoNotCall, a.lists)
		}
		if out := standingNow(t, r.store, ann).Out(SMS); out {
			t.Errorf("%+v: out", policy)
		}
	}
}

func TestAnEchoThatComesBeforeTheAnswerIsKnown(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	echoes := 0
	r.ghl.before = func(call string) {
		if !strings.HasPrefix(call, "dnd G1 sms true") {
			return
		}
		echoes++
		contact := df.Contact{ID: "G1", DoNotText: ptr(true), DoNotCall: ptr(false)}
		done := hear(t, r.store, r.recorder, Heard{Source: df.SourceGHL, EventID: "echo", HeardAt: r.now,
			Notice: df.Notice{ContactID: "G1", Phone: ann, Contact: &contact}})
		if len(done) != 0 {
			t.Errorf("our own echo: %+v", done)
		}
	}
	r.act(stopAct(ann, 0))
	r.run()
	r.now = r.now.Add(time.Minute)
	r.act(startAct(ann, 0))
	if echoes != 1 || standingNow(t, r.store, ann).Out(SMS) {
		t.Errorf("%d echoes, holders %v", echoes, standingNow(t, r.store, ann).Holders(SMS))
	}
}

func TestAWriteThatFailedMakesNobodysLaterNoAnEcho(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	r.ghl.fail["dnd"] = &df.CallError{Upstream: "ghl", Operation: "set do-not-disturb", Outcome: df.RetryLater, Code: df.CodeUnavailable}
	r.act(stopAct(ann, 0))
	r.run()
	delete(r.ghl.fail, "dnd")
	r.now = r.now.Add(time.Minute)
	r.act(startAct(ann, 0))
	r.run()
	r.now = r.now.Add(time.Minute)
	contact := df.Contact{ID: "G1", DoNotText: ptr(true), DoNotCall: ptr(false)}
	hear(t, r.store, r.recorder, Heard{Source: df.SourceGHL, EventID: "an agent", HeardAt: r.now,
		Notice: df.Notice{ContactID: "G1", Phone: ann, Contact: &contact}})
	if holders := standingNow(t, r.store, ann).Holders(SMS); !slices.Equal(holders, []Holder{GHL}) {
		t.Errorf("holders %v", holders)
	}
}

func TestADoNotDisturbThatNobodyToldUsIsNotTakenBackButHeard(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	r.recorder.Policy.TextOnly = true
	r.act(stopAct(ann, 0))
	r.run()
	r.now = r.now.Add(time.Minute)
	r.ghl.contact.DoNotCall = ptr(true) // an agent, and the webhook was lost
	r.act(startAct(ann, 0))
	for range 3 {
		r.run()
		r.now = r.now.Add(time.Hour)
	}
	now := standingNow(t, r.store, ann)
	if now.Out(SMS) || !now.Out(Call) || *r.ghl.contact.DoNotText || !*r.ghl.contact.DoNotCall || !*r.aloware.contact.DoNotCall {
		t.Errorf("out of texts %v, of calls %v; GHL has %v %v", now.Out(SMS), now.Out(Call), *r.ghl.contact.DoNotText, *r.ghl.contact.DoNotCall)
	}
	if got := r.states(); got != allDone {
		t.Error(got)
	}
}

func TestWhatGHLBlocksForGoodIsLeftAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	r.act(stopAct(ann, 0))
	r.run()
	r.now = r.now.Add(time.Minute)
	r.ghl.fail["dnd"] = &df.CallError{Upstream: "ghl", Operation: "set do-not-disturb", Outcome: df.Refused, Code: df.CodeNotWritten}
	r.act(startAct(ann, 0))
	r.run()
	if got := r.states(); got != allDone {
		t.Error(got)
	}
}

func TestAStopThatComesWhileAStartIsBeingToldWins(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, s *store.Store) {
		r := newRig(t, s)
		r.act(stopAct(ann, 0))
		r.run()
		r.now = r.now.Add(time.Minute)
		r.act(startAct(ann, 0))
		r.ghl.before = func(call string) {
			if call == "dnd G1 sms false" {
				r.now = r.now.Add(time.Second)
				r.act(stopAct(ann, 0))
			}
		}
		r.run()
		r.ghl.before = nil
		r.now = r.now.Add(time.Hour)
		r.run()
		if got := r.states(); got != allDone || !*r.ghl.contact.DoNotText || !*r.ghl.contact.DoNotCall {
			t.Errorf("%s; GHL has %v %v", got, *r.ghl.contact.DoNotText, *r.ghl.contact.DoNotCall)
		}
	})
}

func TestAllContactsOfTheNumberAreTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	err := r.store.InTx(t.Context(), func(tx store.Tx) error {
		return store.InsertPerson(t.Context(), tx, store.Person{ID: "p1", GHLContactID: "G1", AlowareContactID: "gone", Phone: bob,
			OtherPhones: []df.Phone{ann}, Status: "active", SyncDirection: "bidirectional", CreatedAt: noon, UpdatedAt: noon})
	})
	if err != nil {
		t.Fatal(err)
	}
	r.ghl.contact.Fields[df.PhoneNumber] = string(bob) // known by another number now
	r.act(stopAct(ann, 0))
	if err := r.fan.FanOutPerson(t.Context(), "p1"); err != nil {
		t.Fatal(err)
	}
	if said := r.aloware.said(); !*r.ghl.contact.DoNotText || !strings.Contains(said, "unlist 7") || strings.Contains(said, "gone") {
		t.Errorf("GHL has %v; Aloware heard %s", *r.ghl.contact.DoNotText, said)
	}
}

// Whatever is said in whatever order while systems fail and lie: once they
// behave, everybody who is out is out everywhere, and then nothing is written.
func TestAfterAnyStormEverySystemAgreesAndThenIsQuiet(t *testing.T) {
	t.Parallel()
	rounds := 0
	rapid.Check(t, func(rt *rapid.T) {
		if rounds++; rounds > 15 {
			return
		}
		r := newRig(t, storetest.SQLite(t))
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			r.now = r.now.Add(time.Duration(rapid.IntRange(1, 5000).Draw(rt, "seconds")) * time.Second)
			side := rapid.SampledFrom([]*world{r.ghl, r.aloware}).Draw(rt, "side")
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0:
				r.act(stopAct(ann, 0))
			case 1:
				r.act(startAct(ann, 0))
			case 2:
				side.contact.DoNotCall = ptr(rapid.Bool().Draw(rt, "flag"))
			case 3:
				side.lies = !side.lies
			case 4:
				call := rapid.SampledFrom([]string{"dnd", "dnc", "unlist", "addtags", "read", "find"}).Draw(rt, "call")
				side.fail[call] = &df.CallError{Upstream: string(side.name), Operation: call, Outcome: df.RetryLater, Code: df.CodeTimeout}
			case 5:
				r.run()
			}
		}
		for _, w := range []*world{r.ghl, r.aloware} {
			w.lies, w.fail = false, map[string]error{}
		}
		for range 4 {
			r.now = r.now.Add(12 * time.Hour)
			r.run()
			for _, w := range []*world{r.ghl, r.aloware} { // the reconcile reads both
				contact := w.contact.Clone()
				hear(t, r.store, r.recorder, Heard{Source: df.Source(w.name), HeardAt: r.now,
					Notice: df.Notice{ContactID: contact.ID, Phone: ann, Contact: &contact}})
			}
		}
		r.ghl.said()
		r.aloware.said()
		r.now = r.now.Add(12 * time.Hour)
		r.run()
		now := standingNow(t, r.store, ann)
		if now.Out(SMS) && !*r.ghl.contact.DoNotText || now.Out(Call) && (!*r.ghl.contact.DoNotCall || !*r.aloware.contact.DoNotCall) {
			rt.Fatalf("out of texts %v, of calls %v; GHL %v %v, Aloware %v", now.Out(SMS), now.Out(Call), *r.ghl.contact.DoNotText,
				*r.ghl.contact.DoNotCall, *r.aloware.contact.DoNotCall)
		}
		if said := r.ghl.said() + r.aloware.said(); said != "" {
			rt.Fatalf("not quiet: %s", said)
		}
	})
}
