package ghl

import (
	"maps"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// Decoder reads webhooks. It never fails: what cannot be read, is of a type we
// do not know, or is not for us, comes back with a reason in Notice.Skip.
type Decoder struct {
	// Region is the ISO 3166 alpha-2 country of phone numbers without a
	// country code, "US" when empty.
	Region string
	// LocationID is ours. Every app of every customer of GHL gets webhooks
	// under the same key, so those of other locations are skipped. Empty
	// means that any location is ours.
	LocationID string
	// AppID is the id of our Marketplace app (the part of the client id before
	// the dash). Only installs of that app are ours. Empty means any app.
	AppID string
}

// Reasons for which a notice is skipped.
const (
	skipUnreadable = "the body is not one JSON object"
	skipNameless   = "the body names no event"
	skipUnknown    = "the event's type is not one we know"
	skipLocation   = "the event is about another location"
	skipNoLocation = "the event does not say which location it is about"
	skipApp        = "the event is about another app"
)

// Decode reads a delivery of the app's webhook subscription. Event names are
// known in GHL's own spelling, dotted and in snake case, in any letter case; a
// body without a name is read by its shape, as the original middleware did. An
// empty object is a ping.
func (d Decoder) Decode(raw []byte) df.Notice {
	return d.decode(raw, false, "type", "event", "eventType", "event_type")
}

// DecodeWorkflow reads what a workflow's webhook action sends. The free action
// sends a snake_case body without a name, in which the user may have put one
// (customData.event, event or type); the premium one sends whatever the user
// wrote. A name of the user's own invention says nothing to us, so such a body
// is read by its shape; if it names a contact, it says that the contact changed.
func (d Decoder) DecodeWorkflow(raw []byte) df.Notice {
	return d.decode(raw, true, "event", "event_type", "eventType", "type")
}

// DecodeDelivery reads what GHL posts to a conversation provider's delivery URL:
// a message that an agent wants to be sent. It has no event name, its "type" is
// the channel. Since it makes us send a text, it must name our location.
func (d Decoder) DecodeDelivery(raw []byte) df.Notice {
	payload, err := parseObject(raw)
	if err != nil {
		return unreadable()
	}
	if len(payload) == 0 {
		return ping()
	}
	payload = flatten(payload)
	message := payload.child("message")
	notice := df.Notice{
		Type: "ProviderOutboundMessage", Kind: df.KindProviderDelivery, EntityType: "message",
		EntityID:   firstText(payload.id("messageId", "id"), message.id("id", "messageId")),
		ContactID:  firstText(payload.id("contactId"), payload.child("contact").id("id")),
		DeliveryID: payload.id("webhookId"), OccurredAt: payload.time("timestamp"),
		Phone: d.phone(payload.text("phone", "phoneNumber", "to")),
	}
	location := payload.id("locationId")
	switch {
	case notice.EntityID == "":
		notice.Skip = "the delivery names no message"
	case d.LocationID != "" && location == "":
		notice.Skip = skipNoLocation
	case d.LocationID != "" && location != d.LocationID:
		notice.Skip = skipLocation
	}
	return notice
}

func unreadable() df.Notice { return df.Notice{Kind: df.KindUnknown, Skip: skipUnreadable} }

func ping() df.Notice { return df.Notice{Kind: df.KindPing, Ping: "the body is an empty object"} }

func (d Decoder) decode(raw []byte, workflow bool, nameKeys ...string) df.Notice {
	payload, err := parseObject(raw)
	if err != nil {
		return unreadable()
	}
	if len(payload) == 0 {
		return ping()
	}
	payload = flatten(payload)
	name, what, known := eventName(payload, nameKeys)
	if !known && (workflow || name == "" || contactType(name)) {
		what, known = infer(payload)
	}
	notice := d.notice(payload, what)
	notice.Type = firstText(name, string(what.kind))
	if !known {
		notice.Kind, notice.Skip = df.KindUnknown, skipUnknown
		if name == "" {
			notice.Skip = skipNameless
		}
	}
	if reason := d.foreign(payload, notice.Kind); reason != "" {
		notice.Skip = reason
	}
	return notice
}

// flatten lays a nested "data" or "body" object under the fields beside it. Real
// deliveries are flat; samples and relays nest.
func flatten(payload object) object {
	for _, key := range []string{"data", "body"} {
		inner := payload.child(key)
		if inner == nil {
			continue
		}
		flat := maps.Clone(inner)
		maps.Copy(flat, payload)
		delete(flat, key)
		payload = flat
	}
	return payload
}

// eventName returns the event's name: the first candidate that we know, else the
// first there is. The user's own name in a workflow stands in customData.
func eventName(payload object, keys []string) (string, meaning, bool) {
	first := ""
	for _, o := range []object{payload.child("customData"), payload} {
		for _, key := range keys {
			candidate, _ := o[key].(string)
			candidate = strings.TrimSpace(candidate)
			if what, known := lookUp(candidate); known {
				return candidate, what, true
			}
			if first == "" && len(candidate) <= longestName {
				first = candidate
			}
		}
	}
	return first, meaning{}, false
}

// contactType reports whether a "type" is that of a contact, not of an event.
func contactType(name string) bool {
	return strings.EqualFold(name, "lead") || strings.EqualFold(name, "customer")
}

// infer guesses from its shape what a nameless body is about.
func infer(payload object) (meaning, bool) {
	calendar := payload.child("calendar", "appointment")
	switch {
	case calendar.id("id", "appointmentId") != "",
		payload.text("startTime", "start_time", "endTime", "end_time", "calendarId", "calendar_id") != "":
		return meaning{df.KindAppointment, "appointment"}, true
	case payload.text("pipeline_id", "pipelineId", "pipeline_stage", "pipleline_stage", "pipelineStageId") != "":
		return meaning{df.KindOpportunity, "opportunity"}, true
	case payload.id("contactId", "contact_id") != "",
		payload.child("contact").id("id") != "",
		payload.id("id") != "" && payload.text("firstName", "first_name", "email", "phone") != "":
		return meaning{df.KindContactUpdated, "contact"}, true
	}
	return meaning{}, false
}

// foreign says why an event is none of ours, or nothing.
func (d Decoder) foreign(payload object, kind df.Kind) string {
	app := kind == df.KindInstall || kind == df.KindUninstall
	if app && d.AppID != "" && payload.id("appId") != d.AppID {
		return skipApp
	}
	location := firstText(payload.id("locationId", "location_id"), payload.child("location").id("id"))
	if kind == df.KindLocation {
		location = firstText(payload.id("id"), location)
	}
	if d.LocationID != "" && location != "" && location != d.LocationID {
		return skipLocation
	}
	return ""
}

func (d Decoder) phone(text string) df.Phone {
	phone, err := df.ParsePhone(text, d.Region)
	if err != nil {
		return ""
	}
	return phone
}

func firstText(candidates ...string) string {
	for _, text := range candidates {
		if text != "" {
			return text
		}
	}
	return ""
}
