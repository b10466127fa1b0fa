package lists

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/df-middleware/dfm/internal/store"
)

// The kinds of runs: an operator asked for one, wrote other rules, changed the
// settings, the agents or the registry; or the brake held single changes.
const (
	RunRebuild  = "rebuild"
	RunRules    = "rules"
	RunSettings = "settings"
	RunBrake    = "brake"
)

// The states of a run. One that needs no approval is done at once.
const (
	RunWaiting  = "waiting"
	RunDone     = "done"
	RunDeclined = "declined"
)

// Move is what a run would change about one person.
type Move struct {
	PersonID  string   `json:"personId"`
	ContactID string   `json:"ghlContactId"`
	On        []string `json:"on"`   // lists the person would be put on, "DANA/HOT"
	Off       []string `json:"off"`  // lists the person would leave
	Why       string   `json:"why"`  // why it would leave
	Held      bool     `json:"held"` // the brake holds it already
}

// Totals is what a run would do to everybody.
type Totals struct {
	People    int `json:"people"`    // looked at
	Unread    int `json:"unread"`    // of whom nothing is known yet; they are read first
	Unchanged int `json:"unchanged"` // who are as they should be
	Blocked   int `json:"blocked"`   // about whom nobody can say, or who cannot be listed
	Added     int `json:"added"`     // who are only added to lists
	Moved     int `json:"moved"`     // who leave a list for another
	Removed   int `json:"removed"`   // who leave a list and get none
	OptedOut  int `json:"optedOut"`  // of these, because of consent; no brake holds them
	Listed    int `json:"listed"`    // who are on a list now
	Limit     int `json:"limit"`     // how many moves need no approval
	// Moves are examples, the first of them.
	Moves []Move `json:"moves"`
}

// Report is what became of a run.
type Report struct {
	RunID   string `json:"runId,omitempty"` // empty for a dry run
	State   string `json:"state"`           // dry_run, waiting, done
	Version int64  `json:"rulesVersion"`
	Totals
}

// DryRun is the state of a report that changed nothing.
const DryRun = "dry_run"

const (
	runPage     = 500
	runExamples = 200
)

// Rebuild asks for everybody's lists to be as they should.
type Rebuild struct {
	DryRun   bool
	AgentKey string // only people who are this agent's, or are on a list of theirs
	ListKey  string // only people whom this list is about
	// Force writes everything anew, whatever is believed: Aloware shows no
	// lists, so what was lost there is found no other way.
	Force bool
	By    string
}

// Run compares what everybody should be on with what they are on and, unless it
// is a dry run, makes those converge who differ, or waits for approval.
func (d *Desk) Run(ctx context.Context, r Rebuild) (Report, error) {
	setup, version, err := d.Setup(ctx)
	if err != nil {
		return Report{}, err
	}
	return d.run(ctx, run{kind: RunRebuild, setup: setup, version: version, options: r, by: r.By})
}

// run is one run under way.
type run struct {
	kind    string
	setup   Setup
	version int64
	options Rebuild
	by      string
}

func (d *Desk) run(ctx context.Context, r run) (Report, error) {
	report := Report{State: DryRun, Version: r.version}
	totals, err := d.survey(ctx, r, nil)
	report.Totals = totals
	if err != nil || r.options.DryRun || totals.People == 0 {
		return report, err
	}
	row := store.ListRun{ID: d.NewID(), Kind: r.kind, State: RunDone, RulesVersion: r.version, CreatedBy: r.by, CreatedAt: d.Clock(),
		Totals: written(totals)}
	if d.Apply && d.Brake.Holds(totals.Moved+totals.Removed-totals.OptedOut, totals.Listed) {
		row.State = RunWaiting
	}
	report.RunID, report.State = row.ID, row.State
	if err := store.InsertListRun(ctx, d.Store, row); err != nil || row.State == RunWaiting {
		return report, err
	}
	_, err = d.survey(ctx, r, d.start(r))
	return report, err
}

// start makes one person of a run converge.
func (d *Desk) start(r run) func(context.Context, store.Listed, Intent, bool) error {
	return func(ctx context.Context, p store.Listed, intent Intent, differs bool) error {
		force := r.options.Force && p.AlowareContactID != ""
		if !differs && !force && p.Intent.PersonID != "" && (r.kind != RunSettings || !intent.Leave) {
			return nil
		}
		if differs && p.Intent.PersonID != "" {
			if err := store.ApproveWanted(ctx, d.Store, p.PersonID, intent.Key()); err != nil {
				return err
			}
		}
		if force {
			if err := store.RedoHolding(ctx, d.Store, p, d.Clock()); err != nil {
				return err
			}
		}
		return d.Store.Nudge(ctx, store.PersonLane(p.PersonID), d.Clock())
	}
}

// survey looks at everybody, by what is kept about them, and hands each to do.
func (d *Desk) survey(ctx context.Context, r run, do func(context.Context, store.Listed, Intent, bool) error) (Totals, error) {
	t := Totals{Moves: []Move{}}
	listed, _, err := store.ListTraffic(ctx, d.Store, d.Clock())
	if err != nil {
		return t, err
	}
	t.Listed, t.Limit = listed, d.Brake.Limit(listed)
	state := ""
	if r.kind == RunBrake {
		state = Braked
	}
	for after := ""; ; {
		page, err := d.Store.ListedPeople(ctx, after, state, runPage)
		if err != nil {
			return t, err
		}
		for _, p := range page {
			after = p.PersonID
			intent, change, err := d.imagine(p, r.setup)
			if err != nil {
				return t, err
			}
			if !r.about(intent, change, p) {
				continue
			}
			t.count(p, intent, change)
			if do != nil {
				if err := do(ctx, p, intent, !change.Empty()); err != nil {
					return t, err
				}
			}
		}
		if len(page) < runPage {
			return t, nil
		}
	}
}

// imagine says what a person should be on by what was seen last.
func (d *Desk) imagine(p store.Listed, setup Setup) (Intent, Change, error) {
	var facts Facts
	if err := read(p.Intent.Facts, &facts); err != nil {
		return Intent{}, Change{}, err
	}
	var held []Held
	if err := read(p.Held, &held); err != nil {
		return Intent{}, Change{}, err
	}
	if p.Intent.PersonID == "" || p.Intent.Facts == "{}" {
		return Intent{Leave: true}, Change{}, nil
	}
	intent := Desired(facts, setup, d.Clock())
	if intent.Leave || p.AlowareContactID == "" {
		return intent, Change{}, nil
	}
	var before Intent
	if err := read(p.Intent.Intent, &before); err != nil {
		return intent, Change{}, err
	}
	for _, m := range intent.Wanted {
		if slices.Contains(before.Refused, m.ListID) {
			intent.Refused = append(intent.Refused, m.ListID)
		}
	}
	return intent, Diff(Holding{Lists: held}, intent.possible()), nil
}

// about reports whether the run's filter selects the person.
func (r run) about(intent Intent, c Change, p store.Listed) bool {
	agent, list := r.options.AgentKey, r.options.ListKey
	if agent == "" && list == "" {
		return true
	}
	fits := func(agentKey, listKey string) bool {
		return (agent == "" || agent == agentKey) && (list == "" || list == listKey)
	}
	if slices.ContainsFunc(intent.Wanted, func(m Membership) bool { return fits(m.AgentKey, m.ListKey) }) {
		return true
	}
	var held []Held
	if read(p.Held, &held) == nil && slices.ContainsFunc(held, func(h Held) bool { return fits(h.AgentKey, h.ListKey) }) {
		return true
	}
	return slices.ContainsFunc(c.Dropped, func(h Held) bool { return fits(h.AgentKey, h.ListKey) })
}

func (t *Totals) count(p store.Listed, intent Intent, c Change) {
	t.People++
	switch {
	case p.Intent.PersonID == "" || p.Intent.Facts == "{}":
		t.Unread++
		return
	case intent.Leave || p.AlowareContactID == "":
		t.Blocked++
		return
	case c.Empty():
		t.Unchanged++
		return
	case len(c.Dropped) == 0:
		t.Added++
	case len(intent.Wanted) == 0:
		t.Removed++
	default:
		t.Moved++
	}
	move := Move{PersonID: p.PersonID, ContactID: p.ContactID, On: []string{}, Off: []string{}, Held: p.Intent.State == Braked}
	var facts Facts
	_ = read(p.Intent.Facts, &facts) // imagine has read it already
	if facts.Barred != "" {
		t.OptedOut++
		move.Why = facts.Barred
	}
	if len(t.Moves) >= runExamples {
		return
	}
	stays := func(listID string) bool {
		return slices.ContainsFunc(c.Dropped, func(h Held) bool { return h.ListID == listID })
	}
	for _, m := range c.Add {
		if !stays(m.ListID) {
			move.On = append(move.On, m.AgentKey+"/"+m.ListKey)
		}
	}
	for _, h := range c.Dropped {
		move.Off = append(move.Off, h.AgentKey+"/"+h.ListKey)
		if move.Why == "" {
			move.Why = why(intent, h.ListKey, h.AgentKey)
		}
	}
	t.Moves = append(t.Moves, move)
}

// why says why a person is to leave a list.
func why(intent Intent, listKey, agentKey string) string {
	for _, n := range intent.NotOn {
		if n.ListKey == listKey {
			return n.Why
		}
	}
	if intent.Agent.Key != "" && intent.Agent.Key != agentKey {
		return "the person is " + intent.Agent.Key + "'s, by " + intent.Agent.By
	}
	return "no rule asks for it"
}

// convergedTo is the name under which is kept what everybody was converged to.
const convergedTo = "converged"

// Converge makes everybody converge once whenever something changed that is the
// same for everybody: a flag, the rules, the agents, the registry. It also wakes
// those whose lists depend on the time.
func (d *Desk) Converge(ctx context.Context) error {
	due, err := d.Store.DueRechecks(ctx, d.Clock(), 1000)
	if err != nil {
		return err
	}
	for _, id := range due {
		if err := d.Store.Nudge(ctx, store.PersonLane(id), d.Clock()); err != nil {
			return err
		}
	}
	setup, version, err := d.Setup(ctx)
	if err != nil {
		return err
	}
	known, err := d.Store.ListSetting(ctx, convergedTo)
	if err != nil || known == d.fingerprint(setup) {
		return err
	}
	report, err := d.run(ctx, run{kind: RunSettings, setup: setup, version: version, by: "settings"})
	if err != nil {
		return err
	}
	if report.State == RunWaiting {
		d.Log.WarnContext(ctx, "a change of the settings would move many people; it waits for approval under Lists", "moved", report.Moved,
			"removed", report.Removed, "listed", report.Listed)
	}
	return d.remember(ctx)
}

// remember notes what everybody was converged to.
func (d *Desk) remember(ctx context.Context) error {
	setup, _, err := d.Setup(ctx)
	if err != nil {
		return err
	}
	return d.Store.SaveListSetting(ctx, convergedTo, d.fingerprint(setup))
}

// fingerprint stands for everything that is the same for everybody.
func (d *Desk) fingerprint(s Setup) string {
	sum := sha256.Sum256([]byte(written([]any{s, d.Apply, d.Sequences != nil, d.AgentField})))
	return hex.EncodeToString(sum[:])
}
