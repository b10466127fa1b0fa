package crowd

import (
	"fmt"
	"time"
)

// event is one webhook.
type event struct {
	i                                   int
	p                                   person
	id                                  string
	at, done                            time.Time
	source, kind, wire, route           string
	entityType, entityID, contact, body string
	status                              string
}

// when is the time of the i-th event: the last one came a moment ago.
func (c *Crowd) when(i int) time.Time { return c.ago(i, c.Events, span) }

// event makes the i-th, the oldest first.
func (c *Crowd) event(i int) event {
	e := event{i: i, p: c.about("event", i), at: c.when(i)}
	e.id = identifier("event", i, e.at)
	e.done = e.at.Add(time.Duration(50+mix("took", i)%900) * time.Millisecond)
	switch n := mix("source", i) % 100; {
	case n < 55:
		e.ghl()
	case n < 85:
		e.aloware()
	case n < 97:
		e.texting()
	default:
		e.broadcast()
	}
	e.status = c.statusOf(i)
	return e
}

// statusOf lets nearly all events be done. Failing ones are among the younger.
func (c *Crowd) statusOf(i int) string {
	switch n := mix("status", i) % 10_000; {
	case n < 550:
		return "skipped"
	case n < 565:
		return "quarantined"
	case n < 570 && i > c.Events*9/10, i == c.Events-3:
		return "error"
	case i >= c.Events-share(c.Events, 20_000, 2):
		return "pending"
	}
	return "done"
}

func (e *event) ghl() {
	e.source, e.route, e.contact = "ghl", "ghl", e.p.ghl
	e.entityType, e.entityID = "contact", e.p.ghl
	switch mix("ghl", e.i) % 10 {
	case 0, 1, 2, 3:
		e.wire, e.kind = "ContactUpdate", "contact.updated"
	case 4:
		e.wire, e.kind = "ContactCreate", "contact.created"
	case 5, 6:
		e.wire, e.kind = "ContactTagUpdate", "contact.tags"
	case 7, 8:
		e.wire, e.kind, e.entityType, e.entityID = "InboundMessage", "message", "message", token("message", e.i)
		e.body = ghlMessage(e)
		return
	default:
		e.wire, e.kind, e.entityType, e.entityID = "AppointmentUpdate", "appointment", "appointment", token("appointment", e.i)
		e.body = ghlAppointment(e)
		return
	}
	e.body = ghlContact(e)
}

func (e *event) aloware() {
	e.source, e.route, e.contact = "aloware", "aloware", e.p.aloware
	e.entityType, e.entityID = "communication", fmt.Sprint(300_000_000+e.i)
	switch mix("aloware", e.i) % 6 {
	case 0:
		e.wire, e.kind, e.entityType, e.entityID = "Contact-Updated", "contact.updated", "contact", e.p.aloware
	case 1, 2:
		e.wire, e.kind = "OutboundPhoneCall-DispositionStatusChanged", "call"
	case 3:
		e.wire, e.kind = "Recording-Saved", "call.recording"
	case 4:
		e.wire, e.kind = "Call-Disposed", "call.disposed"
	default:
		e.wire, e.kind = "Communication-Initiated", "communication"
	}
	e.body = alowareBody(e)
}

func (e *event) texting() {
	e.source, e.route, e.entityType = "texting", "texting", "message"
	e.entityID = "msg_" + hexes("text", e.i)
	e.wire, e.kind = one("texting", e.i, "message.received", "message.sent", "message.delivered"), "message"
	e.body = fmt.Sprintf(`{"type":%q,"messageId":%q,"conversationId":%q,"from":%q,"to":"+15005550199","body":%q,"direction":"inbound","status":"delivered","timestamp":%q,"media":[],"segments":1,"carrier":"example"}`,
		e.wire, e.entityID, "cv_"+hexes("conversation", e.p.i), e.p.phone, words(e.i, 12), e.at.Format(time.RFC3339Nano))
}

func (e *event) broadcast() {
	e.source, e.route, e.entityType = "broadcast", "broadcast", "broadcast"
	e.entityID, e.wire, e.kind = fmt.Sprintf("bc_%d", e.i/3000), "broadcast.analytics_updated", "broadcast"
	e.body = fmt.Sprintf(`{"type":%q,"broadcastId":%q,"timestamp":%q,"analytics":{"name":"Spring offer %d","channel":"sms","recipients":4200,"sent":4100,"delivered":%d,"pending":12,"failed":88,"responses":%d,"appointments":21,"optedOut":14}}`,
		e.wire, e.entityID, e.at.Format(time.RFC3339Nano), e.i/3000, 3900+e.i%100, 300+e.i%50)
}

func (c *Crowd) eventTables() []Table {
	return []Table{
		{"webhook_events", []string{"id", "received_at", "source", "route", "event_type", "kind", "entity_type", "entity_id", "contact_id", "phone",
			"delivery_id", "occurred_at", "dedupe_key", "status", "reason", "attempts", "next_attempt_at", "error_message", "processed_at",
			"lane", "person_id", "verified", "headers", "payload_json"}, c.Events, func(i int) []any { return c.event(i).row(c.now) }},
		{"webhook_dedupe", []string{"key", "event_id", "expires_at", "repeats", "repeated_at"}, c.Events * 2 / 3, func(k int) []any {
			i := c.Events - 1 - k
			at := c.when(i)
			if i%100 == 0 {
				return []any{hexes("dedupe", i), identifier("event", i, at), c.now.Add(24 * time.Hour), 2, at.Add(time.Second)}
			}
			return []any{hexes("dedupe", i), identifier("event", i, at), c.now.Add(24 * time.Hour), 0, nil}
		}},
		{"webhook_attempts", []string{"event_id", "attempt", "at", "outcome", "error"}, share(c.Events, 50, 2), func(k int) []any {
			at := c.when(k * 50)
			return []any{identifier("event", k*50, at), 1, at.Add(time.Second), "retry", "GHL does not answer"}
		}},
		{"forwards", []string{"event_id", "status", "attempts", "created_at", "updated_at"}, c.Events / 2, func(k int) []any {
			at, status := c.when(k*2), "done"
			if mix("forward", k)%2000 == 0 {
				status = one("forward", k, "failed", "given_up")
			}
			return []any{identifier("event", k*2, at), status, 1, at, at}
		}},
	}
}

// row is the event as the inbox and the workers leave it.
func (e event) row(now time.Time) []any {
	var reason, next, failed, delivery, phone, contact, personID, done any
	lane, attempts := e.p.lane(), 1
	if e.contact != "" {
		contact = e.contact
	}
	personID = e.p.id
	if e.source == "ghl" {
		delivery = hexes("delivery", e.i)
	}
	if e.source == "texting" {
		phone = e.p.phone
	}
	if e.source == "broadcast" {
		personID, lane = nil, "broadcast:broadcast:"+e.entityID
	}
	switch e.status {
	case "done":
		done = e.done
	case "skipped":
		reason, done, attempts = "nothing to do: this event changes no contact", e.at, 0
		if e.i%2 == 0 {
			lane, personID = "", nil
		}
	case "quarantined":
		reason, done, attempts, failed = "every try failed", e.done, 11, "GHL refused the change"
	case "error":
		next, attempts, failed = now.Add(48*time.Hour), 3, "Aloware does not answer"
	case "pending":
		attempts = 0
	}
	return []any{e.id, e.at, e.source, e.route, e.wire, e.kind, e.entityType, e.entityID, contact, phone, delivery, e.at.Add(-time.Second),
		e.source + ":" + e.wire + ":" + e.entityID, e.status, reason, attempts, next, failed, done, lane, personID, "ed25519",
		`{"Content-Type":"application/json","User-Agent":"axios/1.7","X-Request-Id":"` + hexes("request", e.i)[:16] + `"}`, e.body}
}
