package legacy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
	original "github.com/df-middleware/dfm/internal/store/legacy"
)

// Importer takes the original's rows over. All fields but Seal, Own, Linked and
// Progress are needed.
type Importer struct {
	Store    *store.Store
	Source   *original.Source
	Recorder *consent.Recorder
	// Decode reads an event's body by its route, as the inbox does.
	Decode func(df.Event) df.Notice
	// Said is what an event says in words about consent, as the inbox hears it.
	Said func(df.Event) (consent.Heard, bool)
	// Seal seals the tokens of a location; nil when there is no key.
	Seal func(location string, access, refresh df.Secret) (sealedAccess, sealedRefresh string, err error)
	// Own says whether a number is the company's.
	Own func(df.Phone) bool
	// Linked is called for people that get a contact, as people.Stored does.
	Linked func(ctx context.Context, tx store.Tx, p people.Person) error
	Region string // of numbers without a country code
	Keep   Keep
	Clock  df.Clock
	NewID  func() string
	// Progress is told after each batch how far a table is.
	Progress func(table string, read, total int64)
}

// Keep is how long rows are kept here, as retention has it: what is older is not
// taken over. Zero is for ever.
type Keep struct {
	Payloads         map[df.Source]time.Duration
	History, Records time.Duration
}

// Options say what an import does.
type Options struct {
	DryRun bool
	// Replay puts the events that the original never worked into their lanes.
	Replay bool
	Actor  string
}

// The errors of an import.
var (
	// ErrRunning is returned while another import is under way.
	ErrRunning = errors.New("another import is under way, or one was killed less than two minutes ago")
	// ErrNoKey is returned when there are tokens and no key to seal them with.
	ErrNoKey = errors.New("the original has OAuth tokens, and DF_ENCRYPTION_KEY, which seals them here, is not set")
)

const (
	batchSize = 200
	// peopleBatch is smaller, because each person keeps a phone locked.
	peopleBatch = 50

	job       = "import-legacy"
	deadAfter = 2 * time.Minute
	beatEvery = 5 * time.Second
)

// run is one import.
type run struct {
	*Importer
	Options
	id     string
	report *Report
	beat   time.Time
	totals map[string]int64
	// stopped are the numbers whose own words, or whose carrier's, say stop in
	// the texts of the original.
	stopped map[df.Phone]bool
	texts   bool // there are texts to compare with
}

// Run imports all tables, or with DryRun counts what it would import. What was
// imported before an error stays, and is in the report that comes with it.
func (i *Importer) Run(ctx context.Context, o Options) (Report, error) {
	r := &run{Importer: i, Options: o, id: i.NewID(), stopped: map[df.Phone]bool{}, totals: map[string]int64{},
		report: &Report{DryRun: o.DryRun, StartedAt: i.Clock(), Questions: map[string]int64{}}}
	err := r.begin(ctx)
	if err == nil {
		err = r.end(ctx, r.tables(ctx))
	}
	r.report.FinishedAt = i.Clock()
	return *r.report, err
}

func (r *run) begin(ctx context.Context) error {
	for _, name := range original.Tables() {
		n, err := r.Source.Count(ctx, name)
		if err != nil {
			return err
		}
		r.totals[name] = n
	}
	r.texts = r.totals[textTable] > 0
	if r.DryRun {
		return nil
	}
	if r.Seal == nil && r.totals["ghl_oauth_tokens"] > 0 {
		return ErrNoKey
	}
	r.beat = r.Clock()
	err := r.Store.StartRun(ctx, r.id, job, r.beat, r.beat.Add(-deadAfter))
	if errors.Is(err, store.ErrRunning) {
		return ErrRunning
	}
	return err
}

// end closes the run and writes the audit log, also after a failure or when the
// caller has left.
func (r *run) end(ctx context.Context, failure error) error {
	if r.DryRun {
		return failure
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	words := ""
	if failure != nil {
		words = "it broke off; run it again, and it adds what is missing"
	}
	now := r.Clock()
	counts := r.counts()
	err := r.Store.FinishRun(ctx, r.id, counts, words, now)
	audit := r.Store.Audit(ctx, store.AuditRow{At: now, Actor: r.Actor, Action: "legacy.import", Target: r.id, Details: map[string]any{
		"tables": counts, "stopsInTexts": r.report.StopsInTexts, "questions": r.report.Questions, "replay": r.Replay, "failed": failure != nil,
	}})
	return errors.Join(failure, err, audit)
}

// counts is the report as it is kept: numbers only.
func (r *run) counts() map[string]map[string]int64 {
	counts := make(map[string]map[string]int64, len(r.report.Tables))
	for _, t := range r.report.Tables {
		counts[t.Name] = map[string]int64{"read": t.Read, "imported": t.Imported, "alreadyThere": t.AlreadyThere, "refused": t.Refused}
	}
	return counts
}

func (r *run) tables(ctx context.Context) error {
	work := map[string]func(context.Context, *Table) error{
		textTable: r.events, "webhook_events": r.events, "broadcast_webhook_events": r.events,
		"optout_registry": r.optOuts, "contact_mappings": r.people, "message_mappings": r.messages,
		"agent_directory": r.agents, "call_list_registry": r.lists, "contact_list_memberships": r.memberships,
		"contact_agent_state": r.agentStates, "ghl_oauth_tokens": r.tokens,
		"sync_state":     r.leave("the original never used it"),
		"sync_log":       r.leave("it says success where nothing happened, and its messages hold tokens and numbers"),
		"reconcile_runs": r.leave("nothing in the original ever ran one"),
	}
	for _, name := range original.Tables() {
		t := &Table{Name: name, Missing: !r.Source.Has(name), MissingColumns: r.Source.Missing(name)}
		r.report.Tables = append(r.report.Tables, t)
		if t.Missing {
			continue
		}
		if err := work[name](ctx, t); err != nil {
			return fmt.Errorf("import %s: %w", name, err)
		}
	}
	return nil
}

// leave is for a table that stays where it is.
func (r *run) leave(why string) func(context.Context, *Table) error {
	return func(_ context.Context, t *Table) error {
		if n := r.totals[t.Name]; n > 0 {
			t.Read, t.Refused, t.Reasons = n, n, []Reason{{Reason: why, Count: n}}
		}
		return nil
	}
}

// errDry takes the transaction of a dry run back.
var errDry = errors.New("legacy: dry run")

// batch does one batch in one transaction and counts it. It takes the transaction
// back in a dry run.
func (r *run) batch(ctx context.Context, t *Table, rows int, do func(tx store.Tx, c *tally) error) error {
	var c tally
	err := r.Store.InTx(ctx, func(tx store.Tx) error {
		c = tally{read: int64(rows)} // the store may call this again
		if err := do(tx, &c); err != nil {
			return err
		}
		if r.DryRun {
			return errDry
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDry) {
		return err
	}
	return r.counted(ctx, t, c)
}

// counted adds what was done to the report, and shows that the run is alive.
func (r *run) counted(ctx context.Context, t *Table, c tally) error {
	r.report.take(t, c)
	if r.Progress != nil {
		r.Progress(t.Name, t.Read, r.totals[t.Name])
	}
	if now := r.Clock(); !r.DryRun && now.Sub(r.beat) >= beatEvery {
		r.beat = now
		return r.Store.BeatRun(ctx, r.id, r.counts(), now)
	}
	return ctx.Err()
}
