package explain

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/lists"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// Question is what is asked about a person.
type Question string

// The questions: would a text to the person go out, would the dialer call the
// person, is the person put on a call list.
const (
	Texted Question = "texted"
	Called Question = "called"
	Listed Question = "listed"
)

// Questions lists all questions.
func Questions() []Question { return []Question{Texted, Called, Listed} }

// channel is what the gate is asked for the question's sake.
func (q Question) channel() consent.Channel {
	return map[Question]consent.Channel{Texted: consent.ChannelSMS, Called: consent.ChannelCall, Listed: consent.ChannelList}[q]
}

// Verdict is an answer in one word.
type Verdict string

// The verdicts. Later is: not now, and without anybody changing anything that
// stands against it.
const (
	Yes   Verdict = "yes"
	Later Verdict = "later"
	No    Verdict = "no"
)

// Answer is the answer to one question about one person.
type Answer struct {
	PersonID string     `json:"personId"`
	Question Question   `json:"question"`
	Verdict  Verdict    `json:"verdict"`
	Summary  string     `json:"summary"` // one sentence
	Checks   []df.Check `json:"checks"`
	At       time.Time  `json:"at"`
}

// Gate tells all that decides whether somebody may be contacted.
type Gate interface {
	Explain(ctx context.Context, q consent.Question) []consent.Step
}

// Upstream is how one upstream stands.
type Upstream struct {
	Name       string // ghl, aloware, verity
	Configured bool
	// OpenUntil is when a tripped circuit breaker tries again, HeldUntil when an
	// account whose budget is used up is called again. Zero is for neither.
	OpenUntil, HeldUntil time.Time
}

// Desk answers. All fields are required, but Lists.
type Desk struct {
	Store *store.Store
	Gate  Gate
	Lists *lists.Desk // nil when there are no lists
	// ListSync says that lists are decided at all: ENABLE_AGENT_LIST_SYNC.
	ListSync  bool
	Upstreams func(ctx context.Context) ([]Upstream, error)
	Clock     df.Clock
}

// ErrQuestion is returned for a question that is none of ours.
var ErrQuestion = &df.Error{Code: "INVALID_REQUEST", Message: "question must be texted, called or listed", Status: http.StatusBadRequest}

// Why answers a question about a person, or returns store.ErrNotFound.
func (d *Desk) Why(ctx context.Context, personID string, q Question) (Answer, error) {
	if q.channel() == "" {
		return Answer{}, ErrQuestion
	}
	k, err := d.gather(ctx, personID, q)
	if err != nil {
		return Answer{}, err
	}
	answer := judge(q, k)
	answer.PersonID, answer.At = k.person.ID, k.now
	return answer, nil
}

// All answers every question about a person.
func (d *Desk) All(ctx context.Context, personID string) ([]Answer, error) {
	var answers []Answer
	for _, q := range Questions() {
		answer, err := d.Why(ctx, personID, q)
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// known is all that an answer is made of.
type known struct {
	now       time.Time
	person    people.Person
	consent   []consent.Step
	stops     map[string]string // the evidence: number and holder to the event, or act, that said no
	registry  map[string]string // number to the id of its row among the opt-outs
	upstreams []Upstream
	listSync  bool
	lists     *lists.Standing // nil when the question is not about lists, or there are none
	lane      store.LaneRow
	head      df.Event // what the lane does next; zero for none
	shut      []df.Event
	issues    []store.Issue
	conflicts []store.Conflict
	reviews   []store.Review
}

// recent bounds how many records of each kind an answer names.
const recent = 5

func (d *Desk) gather(ctx context.Context, personID string, q Question) (known, error) {
	k := known{now: d.Clock(), listSync: d.ListSync && d.Lists != nil}
	row, err := store.PersonByID(ctx, d.Store, personID)
	if err != nil {
		return k, err
	}
	k.person = people.FromRow(row)
	k.consent = d.Gate.Explain(ctx, consent.Question{Channel: q.channel(), Phone: string(row.Phone), PersonID: row.ID})
	if k.upstreams, err = d.Upstreams(ctx); err != nil {
		return k, err
	}
	if q != Texted && k.listSync {
		standing, err := d.Lists.StandingOf(ctx, k.person)
		if err != nil {
			return k, err
		}
		k.lists = &standing
	}
	return k, errors.Join(d.evidence(ctx, &k), d.waiting(ctx, &k), d.open(ctx, &k))
}

// evidence finds the acts behind each no of the gate.
func (d *Desk) evidence(ctx context.Context, k *known) error {
	k.stops, k.registry = map[string]string{}, map[string]string{}
	for _, step := range k.consent {
		if step.Allowed || step.Looked != consent.LookedOptOut {
			continue
		}
		acts, err := d.Store.ConsentEvents(ctx, store.ConsentFilter{Phones: []string{step.Phone}, Limit: 1000})
		if err != nil {
			return err
		}
		for _, act := range acts {
			if act.Kind == string(consent.Stop) && act.EventID != "" {
				k.stops[step.Phone+" "+act.Holder] = act.EventID // the latest stays
			}
		}
		rows, err := d.Store.ConsentRows(ctx, store.ConsentRowFilter{Phone: step.Phone, Limit: 1})
		if err != nil {
			return err
		}
		for _, row := range rows {
			k.registry[step.Phone] = row.ID
		}
	}
	return nil
}

// waiting reads what waits in the person's lane, and what stands still.
func (d *Desk) waiting(ctx context.Context, k *known) error {
	var err error
	if k.lane, k.head, err = d.Store.LaneOf(ctx, store.PersonLane(k.person.ID)); err != nil {
		return err
	}
	k.shut, err = d.Store.Events(ctx, store.EventFilter{Person: k.person.ID, Status: df.Quarantined, Limit: recent})
	return err
}

// open reads the questions and differences that are not settled.
func (d *Desk) open(ctx context.Context, k *known) error {
	var err error
	if k.issues, err = d.Store.Issues(ctx, store.IssueFilter{PersonID: k.person.ID}); err != nil {
		return err
	}
	if k.conflicts, err = d.Store.Conflicts(ctx, store.ConflictFilter{PersonID: k.person.ID, Limit: recent}); err != nil {
		return err
	}
	k.reviews, err = d.Store.ReviewsOf(ctx, k.person.ID, recent)
	return err
}
