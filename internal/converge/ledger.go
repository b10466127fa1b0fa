package converge

import (
	"context"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/people"
)

// Lease is the right to work on one lane; see people.Lease.
type Lease = people.Lease

// Ledger keeps what was agreed, done and left open about people.
type Ledger interface {
	// Load returns everything a run needs to know about the person. It fails
	// with people.ErrNotFound.
	Load(ctx context.Context, personID string) (State, error)
	// Save keeps the record of one run in one transaction, all or nothing. It
	// fails with people.ErrLeaseLost when the lane has another owner by now,
	// and with people.ErrStale or people.ErrTaken when the person's row was
	// changed since it was loaded.
	Save(ctx context.Context, lease Lease, record Record) error
}

// State is what the ledger knows about a person before a run.
type State struct {
	Person people.Person
	Agreed Agreed
	Issues []Issue   // the person's unresolved issues, one per topic
	Recent []Written // writes within Breaker.Window + Breaker.Hold
	// Rulings are what people said about the person's conflicts, as far as it
	// has not been carried out.
	Rulings []Ruling
}

// Record is what one run decided and did.
type Record struct {
	// Person is the row as it is to be; Person.Version is the one that was
	// loaded. The store raises it.
	Person    people.Person
	Agreed    Agreed // replaces the person's snapshots
	Log       []LogEntry
	Conflicts []Conflict
	Ruled     []RulingEnd // of the rulings that have come to an end
	Learned   []Normalisation
	Writes    []Written
	Issues    []Issue  // replace the person's issues with the same topics
	Resolved  []string // topics whose issues are over; no topic is in both
	At        time.Time
}

// LogEntry is one row of sync_log: an attempt to write, or a reason not to.
type LogEntry struct {
	Direction     df.Direction
	EntityID      string // our person
	SourceID      string // the contact whose state caused it
	TargetID      string // the contact that was written; empty when none came to be
	Status        string // success, error, skipped
	StartedAt     time.Time
	FinishedAt    time.Time
	Message       string   // safe text: the error, or what was done
	Fields        []string // names of what was written
	CorrelationID string   // the event that caused the run, empty for sweeps
	// Decisions is what the run decided and why. It stands on the last entry of
	// the run's log.
	Decisions []Decision
}

// Normalisation is a side's way of keeping a value, learned by reading back.
// Counting them by side, field and change shows what an upstream does to our
// data.
type Normalisation struct {
	Side   df.Side
	Field  df.Field
	Given  string
	Held   string
	Change Change
	At     time.Time
}

// IssueKind names what keeps a person from converging.
type IssueKind string

// The kinds of issues.
const (
	IssueNotWritten IssueKind = "not_written" // accepted and not kept
	IssueRefused    IssueKind = "refused"     // the side refuses the value
	IssueDuplicate  IssueKind = "duplicate"   // another contact of the side has the phone or e-mail
	IssueAmbiguous  IssueKind = "ambiguous"   // several contacts of the side fit
	IssueHeld       IssueKind = "held"        // the contact that fits is another person's
	IssueNoPhone    IssueKind = "no_phone"    // Aloware knows contacts by phone, and there is none
	IssueNoKey      IssueKind = "no_key"      // neither phone nor e-mail; it could never be found again
	IssueMissing    IssueKind = "missing"     // the contact is not there, unannounced
	IssueNotRetired IssueKind = "not_retired" // the other side's contact could not be retired
	IssueCreating   IssueKind = "creating"    // a contact is being made; Want is the phone or e-mail it gets
	IssuePingPong   IssueKind = "ping_pong"   // written too often in a short time; held back
)

// Issue is something about a person that a later run must know or an operator
// should see. A person has at most one issue per topic.
type Issue struct {
	Topic     string // "<side>/<field>", "<side>/link", "<side>/contact"
	Kind      IssueKind
	Side      df.Side
	Field     df.Field
	Want      string // the value that was to be there
	Got       string // the value that is there
	ContactID string // the other contact, for duplicate and held
	Tries     int
	Open      bool // an operator should look; false while we still try by ourselves
	Detail    string
	Since     time.Time
	At        time.Time
}
