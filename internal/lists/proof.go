package lists

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
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

// Prove compares everybody's wanted lists with what was written.
func (d *Desk) Prove(ctx context.Context) (Proof, error) {
	setup, _, err := d.Setup(ctx)
	if err != nil {
		return Proof{}, err
	}
	b := proving{proof: Proof{Applied: d.Apply}, lists: map[[2]string]*ListProof{}}
	for _, l := range setup.Lists {
		*b.list(l.AgentKey, l.ListKey) = ListProof{AgentKey: l.AgentKey, ListKey: l.ListKey, AlowareID: l.ID, Name: l.Name, Differences: []Difference{}}
	}
	for after := ""; ; {
		page, err := d.Store.ListedPeople(ctx, after, "", runPage)
		if err != nil {
			return Proof{}, err
		}
		for _, p := range page {
			after = p.PersonID
			if err := b.add(p); err != nil {
				return Proof{}, err
			}
		}
		if len(page) < runPage {
			break
		}
	}
	b.proof.Lists = []ListProof{}
	for _, key := range slices.SortedFunc(maps.Keys(b.lists), func(x, y [2]string) int {
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]))
	}) {
		b.proof.Lists = append(b.proof.Lists, *b.lists[key])
	}
	return b.proof, nil
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

func (b *proving) add(p store.Listed) error {
	var intent Intent
	var held []Held
	if err := errors.Join(read(p.Intent.Intent, &intent), read(p.Held, &held)); err != nil {
		return err
	}
	switch {
	case p.Intent.PersonID == "":
		b.proof.Unread++
	case intent.Leave:
		b.proof.Blocked++
	case p.Intent.State == Braked:
		b.proof.Braked++
	}
	for _, m := range intent.Wanted {
		l := b.list(m.AgentKey, m.ListKey)
		l.Should++
		if !slices.ContainsFunc(held, func(h Held) bool { return h.ListID == m.ListID && !h.Unsure }) {
			l.Missing++
			l.differ(Difference{p.PersonID, p.ContactID, true, false, "rule " + m.Rule, p.Intent.State, p.Intent.Detail})
		}
	}
	for _, h := range held {
		l := b.list(h.AgentKey, h.ListKey)
		if p.HeldAt.After(l.LastWritten) {
			l.LastWritten = p.HeldAt
		}
		if h.Unsure {
			l.Unsure++
			continue
		}
		l.Does++
		if intent.Leave || slices.ContainsFunc(intent.Wanted, func(m Membership) bool { return m.ListID == h.ListID }) {
			continue
		}
		l.Extra++
		l.differ(Difference{p.PersonID, p.ContactID, false, true, why(intent, h.ListKey, h.AgentKey), p.Intent.State, p.Intent.Detail})
	}
	return nil
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
