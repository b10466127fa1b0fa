package messages

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
)

// Direction says who wrote a text.
type Direction string

// The directions: Inbound from the customer, Outbound from us.
const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// Status is how far a text came, in the words of the texting room.
type Status string

// The states that this room itself sets or looks at.
const (
	Queued    Status = "queued"
	Sending   Status = "sending"
	Sent      Status = "sent"
	Delivered Status = "delivered"
	Unsent    Status = "failed"
	Canceled  Status = "canceled"
	Read      Status = "read"
)

// Text is a text, or a report about one, as a source announced it.
type Text struct {
	Event       df.Event // the delivery that brought it
	Source      df.Source
	ID          string   // at the source; empty when it gives none
	OtherIDs    []string // further ids of the same text
	Correlation string   // GHL's message id, when the sender echoes it
	Direction   Direction
	Customer    df.Phone
	Ours        df.Phone // empty for a short code
	Body        string
	Media       []string // URLs
	Status      Status
	ErrorCode   string // the carrier's own
	At          time.Time
}

// id is what identifies the text at its source. A text without an id of its own
// goes by the event that brought it.
func (t Text) id() string {
	if t.ID != "" {
		return t.ID
	}
	return t.Event.ID
}

// at is when the text was written, or when we heard of it.
func (t Text) at() time.Time {
	if t.At.IsZero() {
		return t.Event.ReceivedAt
	}
	return t.At
}

func (t Text) ends() (from, to df.Phone) {
	if t.Direction == Inbound {
		return t.Customer, t.Ours
	}
	return t.Ours, t.Customer
}

func (t Text) empty() bool { return strings.TrimSpace(t.Body) == "" && len(t.Media) == 0 }

// hash is of a text's words as carriers leave them: they trim, and some turn
// line ends around.
func hash(body string) string {
	sum := sha256.Sum256([]byte(strings.Join(strings.Fields(body), " ")))
	return hex.EncodeToString(sum[:16])
}

// Order is a text that an agent wrote in GHL and wants to be sent.
type Order struct {
	Event     df.Event
	MessageID string // GHL's
	ContactID string
	Channel   string // SMS, Email, …
	To        df.Phone
	Body      string
	Media     []string
}
