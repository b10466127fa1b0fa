package lists

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/df-middleware/dfm/internal/store"
)

// Proof sets, for every list, who should be on it beside who is, as far as known.
type Proof struct {
	Lists []ListProof `json:"lists"`
	// Unread are people of whom nothing is known yet, Blocked those about whom
	// nobody can say; neither stands in the numbers of a list.
	Unread  int  `json:"unread"`
	Blocked int  `json:"blocked"`
	Braked  int  `json:"braked"`
	Applied bool `json:"applied"` // ENABLE_POWER_DIALER_LISTS
	// AsOf is when people were looked at.
	AsOf time.Time `json:"asOf"`
}

// ListProof is the proof of one list.
type ListProof struct {
	AgentKey    string    `json:"agentKey"`
	ListKey     string    `json:"listKey"`
	AlowareID   string    `json:"alowareListId"`
	Name        string    `json:"alowareListName"`
	Should      int       `json:"shouldContain"`
	Does        int       `json:"doesContain"` // as far as known
	Missing     int       `json:"missing"`
	Extra       int       `json:"extra"`
	Unsure      int       `json:"unsure"` // calls that were begun and whose end is not known
	LastWritten time.Time `json:"lastWrittenAt,omitzero"`
	// Differences are people who should be on the list and are not, or the
	// other way round; the first of them.
	Differences []Difference `json:"differences"`
}

// Difference is one person of whom a list is wrong.
type Difference struct {
	PersonID  string `json:"personId"`
	ContactID string `json:"ghlContactId"`
	Should    bool   `json:"should"`
	Does      bool   `json:"does"`
	Why       string `json:"why"`   // the rule that asks for it, or why none does
	State     string `json:"state"` // why it is not so yet
	Detail    string `json:"detail,omitempty"`
}

const proofExamples = 50

// Prove compares everybody's wanted lists with what was written. People who should
// be on the same lists and are on the same are looked at once.
func (d *Desk) Prove(ctx context.Context) (Proof, error) {
	setup, _, err := d.Setup(ctx)
	if err != nil {
		return Proof{}, err
	}
	b := proving{proof: Proof{Applied: d.Apply, AsOf: d.Clock()}, lists: map[[2]string]*ListProof{}}
	for _, l := range setup.Lists {
		*b.list(l.AgentKey, l.ListKey) = ListProof{AgentKey: l.AgentKey, ListKey: l.ListKey, AlowareID: l.ID, Name: l.Name, Differences: []Difference{}}
	}
	groups, err := d.Store.ListGroups(ctx)
	if err != nil {
		return Proof{}, err
	}
	samples, err := d.Store.Samples(ctx, groups)
	if err != nil {
		return Proof{}, err
	}
	var wrong []store.ListGroup
	for _, g := range groups {
		differs, err := b.count(g, samples[g.Sample])
		if err != nil {
			return Proof{}, err
		}
		if differs {
			wrong = append(wrong, g)
		}
	}
	if err := d.examples(ctx, &b, wrong); err != nil {
		return Proof{}, err
	}
	b.proof.Lists = []ListProof{}
	for _, key := range slices.SortedFunc(maps.Keys(b.lists), func(x, y [2]string) int {
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]))
	}) {
		b.proof.Lists = append(b.proof.Lists, *b.lists[key])
	}
	return b.proof, nil
}

// How long a proof stands that took long to make.
const (
	proofSlow     = 250 * time.Millisecond
	proofStands   = 20          // times as long as it took
	proofStandsAt = time.Minute // at most
)

// recentProof is a proof that took long to make.
type recentProof struct {
	mu    sync.Mutex
	proof Proof
	until time.Time
}

// LatestProof is Prove for readers. A proof of very many people stands for some
// seconds, and says as of when it is; of fewer it is always made anew.
func (d *Desk) LatestProof(ctx context.Context) (Proof, error) {
	d.recent.mu.Lock()
	defer d.recent.mu.Unlock()
	began := d.Clock()
	if began.Before(d.recent.until) {
		return d.recent.proof, nil
	}
	proof, err := d.Prove(ctx)
	if err != nil {
		return proof, err
	}
	if took := d.Clock().Sub(began); took > proofSlow {
		d.recent.proof, d.recent.until = proof, began.Add(min(took*proofStands, proofStandsAt))
	}
	return proof, nil
}

// examples names the first people of whom a list is wrong.
func (d *Desk) examples(ctx context.Context, b *proving, wrong []store.ListGroup) error {
	for after := ""; !b.exemplified(); {
		page, err := d.Store.ListedIn(ctx, wrong, after, runPage)
		if err != nil {
			return err
		}
		for _, p := range page {
			after = p.PersonID
			if err := b.example(p); err != nil {
				return err
			}
		}
		if len(page) < runPage {
			return nil
		}
	}
	return nil
}

// proving is a proof under way.
type proving struct {
	proof Proof
	lists map[[2]string]*ListProof
}

func (b *proving) list(agentKey, listKey string) *ListProof {
	key := [2]string{agentKey, listKey}
	if b.lists[key] == nil {
		b.lists[key] = &ListProof{AgentKey: agentKey, ListKey: listKey, Name: ListName(agentKey, listKey), Differences: []Difference{}}
	}
	return b.lists[key]
}

// placed is what one person should hold and holds.
type placed struct {
	intent Intent
	held   []Held
}

func placeOf(p store.Listed) (placed, error) {
	var at placed
	err := errors.Join(read(p.Intent.Intent, &at.intent), read(p.Held, &at.held))
	return at, err
}

// missing and extra are the lists of which the person is wrong.
func (p placed) missing() (wanted []Membership) {
	for _, m := range p.intent.Wanted {
		if !slices.ContainsFunc(p.held, func(h Held) bool { return h.ListID == m.ListID && !h.Unsure }) {
			wanted = append(wanted, m)
		}
	}
	return wanted
}

func (p placed) extra() (held []Held) {
	for _, h := range p.held {
		known := p.intent.Leave || slices.ContainsFunc(p.intent.Wanted, func(m Membership) bool { return m.ListID == h.ListID })
		if !h.Unsure && !known {
			held = append(held, h)
		}
	}
	return held
}

// count adds a group, whose sample stands for all of them, and reports whether
// some list is wrong.
func (b *proving) count(g store.ListGroup, sample store.Listed) (bool, error) {
	at, err := placeOf(sample)
	if err != nil {
		return false, err
	}
	switch {
	case sample.Intent.PersonID == "":
		b.proof.Unread += g.People
	case at.intent.Leave:
		b.proof.Blocked += g.People
	case g.State == Braked:
		b.proof.Braked += g.People
	}
	for _, m := range at.intent.Wanted {
		b.list(m.AgentKey, m.ListKey).Should += g.People
	}
	for _, h := range at.held {
		l := b.list(h.AgentKey, h.ListKey)
		if g.HeldAt.After(l.LastWritten) {
			l.LastWritten = g.HeldAt
		}
		if h.Unsure {
			l.Unsure += g.People
		} else {
			l.Does += g.People
		}
	}
	missing, extra := at.missing(), at.extra()
	for _, m := range missing {
		b.list(m.AgentKey, m.ListKey).Missing += g.People
	}
	for _, h := range extra {
		b.list(h.AgentKey, h.ListKey).Extra += g.People
	}
	return len(missing)+len(extra) > 0, nil
}

// example shows one person of whom lists are wrong.
func (b *proving) example(p store.Listed) error {
	at, err := placeOf(p)
	if err != nil {
		return err
	}
	for _, m := range at.missing() {
		b.list(m.AgentKey, m.ListKey).differ(Difference{p.PersonID, p.ContactID, true, false, "rule " + m.Rule, p.Intent.State, p.Intent.Detail})
	}
	for _, h := range at.extra() {
		b.list(h.AgentKey, h.ListKey).differ(Difference{p.PersonID, p.ContactID, false, true, why(at.intent, h.ListKey, h.AgentKey), p.Intent.State, p.Intent.Detail})
	}
	return nil
}

// exemplified reports whether every list has as many examples as are shown.
func (b *proving) exemplified() bool {
	for _, l := range b.lists {
		if len(l.Differences) < min(proofExamples, l.Missing+l.Extra) {
			return false
		}
	}
	return true
}

func (l *ListProof) differ(d Difference) {
	if len(l.Differences) < proofExamples {
		l.Differences = append(l.Differences, d)
	}
}

// Explanation is all that is known about one person's lists: why the person is on
// a list, and why not on another.
type Explanation struct {
	PersonID     string    `json:"personId"`
	State        string    `json:"state"`
	Detail       string    `json:"detail"`
	RulesVersion int64     `json:"rulesVersion"`
	At           time.Time `json:"at"`
	Facts        Facts     `json:"facts"`
	Intent       Intent    `json:"intent"`
	Held         []Held    `json:"held"`
	Sequence     Enrolment `json:"sequence"`
}

// Explain returns what is known about a person's lists, or store.ErrNotFound.
func (d *Desk) Explain(ctx context.Context, personID string) (Explanation, error) {
	row, err := store.ListIntentOf(ctx, d.Store, personID)
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{PersonID: personID, State: row.State, Detail: row.Detail, RulesVersion: row.RulesVersion, At: row.UpdatedAt, Held: []Held{}}
	if err := errors.Join(read(row.Facts, &e.Facts), read(row.Intent, &e.Intent), read(row.Sequence, &e.Sequence)); err != nil {
		return e, err
	}
	holding, err := store.ListHoldingOf(ctx, d.Store, row.AlowareContactID)
	if err != nil {
		return e, ignoreMissing(err)
	}
	return e, read(holding.Lists, &e.Held)
}
