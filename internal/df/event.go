package df

import "time"

// Status is where an event stands. The sum over all statuses equals what was
// received, always (design.md, invariant 2).
type Status string

// The statuses of an event. Pending waits for its lane; Processing is in the
// hands of a worker; Done had its effect; Skipped was understood and needs
// none, or cannot be read (Event.Reason says which); Failed ("error" on the
// wire) failed and will be tried again at NextAttemptAt; Quarantined waits for
// a person.
const (
	Pending     Status = "pending"
	Processing  Status = "processing"
	Done        Status = "done"
	Skipped     Status = "skipped"
	Failed      Status = "error"
	Quarantined Status = "quarantined"
)

// Statuses lists every status, in the order in which an event meets them.
func Statuses() []Status {
	return []Status{Pending, Processing, Done, Skipped, Failed, Quarantined}
}

// Open reports whether an event with this status still has work to do.
func (s Status) Open() bool { return s == Pending || s == Processing || s == Failed }

// Event is one delivery that was accepted from a source, with the bytes exactly
// as they came.
type Event struct {
	ID         string    // UUID, shown to senders and operators
	Seq        int64     // order of acceptance within a lane
	ReceivedAt time.Time // when the bytes were complete
	Source     Source
	Route      string // which webhook route took it, e.g. "ghl/workflow"
	Notice     Notice // what the bytes say, decoded by the source's room
	DedupeKey  string
	Status     Status
	Reason     string // why it is skipped or quarantined, safe text

	Attempts      int
	NextAttemptAt time.Time // zero when no retry is planned
	LastError     string    // safe text of the last failure
	ProcessedAt   time.Time // zero while open

	Lane     string
	PersonID string // empty until the person is known

	Raw      []byte            // the body, byte for byte
	Headers  map[string]string // the headers that matter, never secrets
	Verified string            // the proof that passed, e.g. "ed25519"
	Trace    string            // W3C traceparent of the request that brought it, or empty
}

// Kind is our own name for what happened, whatever a source's spelling is.
type Kind string

// The kinds of notices. A source's room maps every spelling it knows to one of
// them; what it does not know is KindUnknown and is kept as skipped.
const (
	KindUnknown          Kind = "unknown"
	KindPing             Kind = "ping"
	KindContactCreated   Kind = "contact.created"
	KindContactUpdated   Kind = "contact.updated"
	KindContactDeleted   Kind = "contact.deleted"
	KindContactTags      Kind = "contact.tags"
	KindContactDND       Kind = "contact.dnd"
	KindContactDisposed  Kind = "contact.disposed"
	KindCall             Kind = "call"
	KindCallDisposed     Kind = "call.disposed"
	KindRecording        Kind = "call.recording"
	KindVoicemail        Kind = "call.voicemail"
	KindTranscription    Kind = "call.transcription"
	KindCallSummary      Kind = "call.summary"
	KindCommunication    Kind = "communication"
	KindMessage          Kind = "message"
	KindMessageStatus    Kind = "message.status"
	KindProviderDelivery Kind = "provider.delivery"
	KindAppointment      Kind = "appointment"
	KindOpportunity      Kind = "opportunity"
	KindNote             Kind = "note"
	KindTask             Kind = "task"
	KindConversation     Kind = "conversation"
	KindUser             Kind = "user"
	KindLocation         Kind = "location"
	KindInstall          Kind = "app.install"
	KindUninstall        Kind = "app.uninstall"
	KindBroadcast        Kind = "broadcast"
	KindOther            Kind = "other" // a name we know and have no use for
)

// Notice is what a delivery says, read once when it is accepted. It is a hint:
// converge reads the entity itself before it acts.
type Notice struct {
	Type       string    // the source's own name for it, as spelled on the wire
	Kind       Kind      // our name for it
	EntityType string    // contact, call, message, appointment, …
	EntityID   string    // opaque, case-sensitive
	DeliveryID string    // the sender's id of this delivery (GHL webhookId), or empty
	OccurredAt time.Time // when it happened, zero when the sender does not say
	ContactID  string    // the contact's id at the source, or empty
	Phone      Phone     // the contact's phone, empty when absent or unreadable
	Email      string    // the contact's e-mail, trimmed and lower-cased
	Contact    *Contact  // the contact as carried by the payload, or nil
	Skip       string    // why nothing can be done with it (unreadable, unknown type), safe text
	Ping       string    // why it is only a test delivery that is not kept, safe text
}
