package messages

import (
	"context"
	"log/slog"
	"time"

	"github.com/df-middleware/dfm/internal/consent"
	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/effects"
	"github.com/df-middleware/dfm/internal/people"
	"github.com/df-middleware/dfm/internal/store"
)

// GHL is what the room needs of GoHighLevel. Every error is, or wraps, a
// *df.CallError.
type GHL interface {
	// Conversation returns the contact's conversation, opening one if need be.
	Conversation(ctx context.Context, contactID string) (string, error)
	// Log puts a text into a conversation; nothing is sent by it. GHL does not
	// dedupe by altId, so what is Unclear must be looked up.
	Log(ctx context.Context, l Logging) (messageID string, err error)
	// Logged looks for a text that was put into the conversation under the
	// altId, and returns "" when it is not there.
	Logged(ctx context.Context, conversationID, altID string) (messageID string, err error)
	// SetStatus tells what became of a message: pending, delivered, failed or
	// read. df.CodeUnconfigured means that nobody may tell: only the app that
	// the conversation provider belongs to can, and it is not installed.
	SetStatus(ctx context.Context, messageID, status, reason string) error
}

// Logging is a text to be put into a conversation.
type Logging struct {
	ConversationID string
	ContactID      string
	Direction      Direction
	Body           string
	Media          []string
	AltID          string
	At             time.Time
}

// Sender sends texts. The key is the Idempotency-Key: the same key sends nothing
// twice. Every error is, or wraps, a *df.CallError.
type Sender interface {
	Send(ctx context.Context, key string, to, from df.Phone, body string, media []string) (Receipt, error)
}

// Receipt says that a text was taken.
type Receipt struct{ MessageID, Status string }

// Gate says whether somebody may be texted.
type Gate interface {
	May(ctx context.Context, q consent.Question) consent.Decision
}

// CodeOptedOut is the code of a text that the sender's own gate refused.
const CodeOptedOut = "opted_out"

// Desk works texts. Everything but the sender and GHL is required.
type Desk struct {
	Ledger Ledger
	GHL    GHL    // nil when GHL is not configured
	Sender Sender // nil when Verity is not configured
	Gate   Gate
	// Later reports whether a text can have gone on from the state before to
	// the state now.
	Later func(now, before Status) bool
	// ToAloware says that texts are wanted in Aloware as well.
	ToAloware bool
	Clock     df.Clock
	NewID     func() string
	Log       *slog.Logger
	// Settle is how long a call without an answer may still be under way, so
	// that looking for what it did would prove nothing. Zero means
	// DefaultSettle.
	Settle time.Duration
	// GiveUp is how long after an agent wrote it a text is still sent. Zero
	// means DefaultGiveUp: what could not be sent by then is told as failed,
	// since nobody expects yesterday's answer.
	GiveUp time.Duration
}

// What the zero values of Desk mean. Settle is longer than any one call lasts.
const (
	DefaultSettle = 30 * time.Second
	DefaultGiveUp = 15 * time.Minute
)

func (d *Desk) settle() time.Duration {
	if d.Settle == 0 {
		return DefaultSettle
	}
	return d.Settle
}

func (d *Desk) giveUp() time.Duration {
	if d.GiveUp == 0 {
		return DefaultGiveUp
	}
	return d.GiveUp
}

// Owner returns the person whose text the report is about, or "" when nobody
// knows. It is for reports that name no number.
func (d *Desk) Owner(ctx context.Context, t Text) (string, error) {
	m, _, err := d.known(ctx, t)
	return m.PersonID, err
}

// known finds the message that a text or report is about.
func (d *Desk) known(ctx context.Context, t Text) (store.Message, bool, error) {
	key := store.MessageKey{GHLID: t.Correlation}
	if t.Source == df.SourceAloware {
		key.AlowareID = t.ID
	} else {
		key.IDs = ids(t)
	}
	return d.Ledger.Message(ctx, key)
}

func ids(t Text) []string {
	var all []string
	for _, id := range append([]string{t.ID}, t.OtherIDs...) {
		if id != "" {
			all = append(all, id)
		}
	}
	return all
}

// claim begins an attempt: the effect is claimed in the ledger before anything
// is sent.
func (d *Desk) claim(ctx context.Context, lease people.Lease, e *store.Effect, step effects.Step, m *store.Message) error {
	e.Attempts++
	return d.move(ctx, lease, e, step, Entry{Message: m})
}

// move brings the effect forward and keeps what came with it.
func (d *Desk) move(ctx context.Context, lease people.Lease, e *store.Effect, step effects.Step, entry Entry) error {
	from := effects.State(e.State)
	to, err := effects.Next(from, step)
	if err != nil {
		return err
	}
	now := d.Clock()
	if from == effects.New {
		e.CreatedAt = now
	}
	e.State, e.UpdatedAt = string(to), now
	entry.Effect, entry.From = e, from
	return d.Ledger.Write(ctx, lease, entry)
}

// row is a line of the sync log about a message.
func (d *Desk) row(e df.Event, direction df.Direction, m store.Message, status, message string) store.SyncRow {
	now := d.Clock()
	target := m.GHLID
	if direction == df.GHLToTexting {
		target = m.VerityID
	}
	return store.SyncRow{ID: d.NewID(), Direction: direction, EntityType: "message", EntityID: m.ID, SourceID: e.Notice.EntityID,
		TargetID: target, Status: status, StartedAt: now, FinishedAt: now, Message: message, CorrelationID: e.ID, PersonID: m.PersonID}
}
