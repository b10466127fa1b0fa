package texting

// Status is a text's state, in our words.
type Status string

// The states of a text. Received is the only one of an inbound text, Receiving
// apart, which comes before it while Twilio still fetches its pictures. Accepted
// and scheduled texts are Queued; what a carrier calls undelivered, expired or
// rejected is Failed, and the error code says more. A text whose delivery the
// carrier never confirms stays Sent.
const (
	Receiving Status = "receiving"
	Received  Status = "received"
	Queued    Status = "queued"
	Sending   Status = "sending"
	Sent      Status = "sent"
	Delivered Status = "delivered"
	Failed    Status = "failed"
	Canceled  Status = "canceled"
	Read      Status = "read"
)

// ranks order the states. Those of equal rank exclude each other: the first that
// is known stays.
var ranks = map[Status]int{
	Queued: 1, Receiving: 1, Sending: 2, Sent: 3,
	Received: 9, Delivered: 9, Failed: 9, Canceled: 9, Read: 10,
}

// Later reports whether a text can have gone on from state b to state a. Reports
// come out of order, so a state is replaced only by a later one, and a final one
// only by Read. Any known state is later than none.
func Later(a, b Status) bool { return ranks[a] > ranks[b] }

// statusWords maps the senders' words, folded, to our states.
var statusWords = map[string]Status{
	"accepted": Queued, "scheduled": Queued, "queued": Queued, "pending": Queued, "sending": Sending,
	"sent": Sent, "partiallydelivered": Sent, "deliveryunconfirmed": Sent,
	"delivered": Delivered, "undelivered": Failed, "failed": Failed, "sendingfailed": Failed, "deliveryfailed": Failed,
	"rejected": Failed, "expired": Failed, "canceled": Canceled, "cancelled": Canceled, "read": Read,
	"receiving": Receiving, "received": Received, "webhookdelivered": Received,
}

// eventOf is the event that reports a state.
func eventOf(s Status) EventType {
	switch s {
	case Received, Receiving:
		return MessageReceived
	case Queued, Sending:
		return MessageQueued
	case Sent:
		return MessageSent
	case Delivered, Read:
		return MessageDelivered
	case Failed, Canceled:
		return MessageFailed
	}
	return EventUnknown
}

// RefusalMeansOptOut reports whether a provider's error code says that the person
// opted out of texts at the provider: Twilio's 21610, Telnyx's 40300. Verity and
// Standard Webhooks senders pass on the code of whichever carrier they use. Codes
// that only say that a text was blocked, filtered or not deliverable are none.
func RefusalMeansOptOut(provider Provider, code string) bool {
	const twilio, telnyx = "21610", "40300"
	switch provider {
	case ProviderTwilio:
		return code == twilio
	case ProviderTelnyx:
		return code == telnyx
	case ProviderDF, ProviderStandard:
		return code == twilio || code == telnyx
	}
	return false
}
