package aloware

import (
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/payload"
)

// Decoder reads Aloware's webhooks. The zero Decoder reads national phone
// numbers as American ones and wants every event.
type Decoder struct {
	Region  string // ISO 3166 alpha-2, for numbers without a country code
	Custom  Custom
	Allowed AllowedEvents
}

// Decode says what a delivery's bytes mean. It never fails: what cannot be read
// or is not known comes back with Skip set, a test delivery with Ping set.
func (d Decoder) Decode(raw []byte) df.Notice {
	root, err := parseRecord(raw)
	if err != nil {
		return df.Notice{Kind: df.KindUnknown, Skip: "the body is not one JSON object"}
	}
	if len(root) == 0 {
		return df.Notice{Kind: df.KindPing, Ping: "an empty object"}
	}
	event := eventName(root)
	if test := root.flag("testpayload"); test != nil && *test && event == "" {
		return df.Notice{Kind: df.KindPing, Ping: "Aloware's test payload"}
	}
	parts := split(root)
	notice := d.notice(event, parts)
	switch {
	case notice.Kind == df.KindUnknown:
		notice.Skip = "unknown event " + printable(event)
	case !d.Allowed.Allows(event):
		notice.Skip = "not among ALOWARE_WEBHOOK_ALLOWED_EVENTS"
	case notice.EntityID == "" && notice.ContactID == "" && notice.Phone == "":
		notice.Skip = "carries neither an id nor a phone number"
	}
	return notice
}

// eventName finds the event's name: Aloware says event, older relays say type,
// eventType or put it into data.
func eventName(root record) string {
	for _, holder := range [...]record{root, root.object("data")} {
		for _, key := range [...]string{"event", "eventtype", "type"} {
			name, _ := holder[key].(string)
			if name = strings.TrimSpace(name); name != "" {
				return name
			}
		}
	}
	return ""
}

// parts are the records that a delivery is made of. In transcription.* events
// the communication is nested in the body, in all others the body is it; through
// Zapier there is no envelope and the root is everything.
type parts struct {
	body          record
	communication record
	contact       record // nil when none is carried
}

func split(root record) parts {
	body := root.object("body", "data")
	if body == nil {
		body = root
	}
	p := parts{body: body, communication: body.object("communication")}
	if p.communication == nil {
		p.communication = body
	}
	p.contact = body.object("contact")
	if p.contact == nil {
		p.contact = p.communication.object("contact")
	}
	return p
}

func (d Decoder) notice(event string, p parts) df.Notice {
	kind := classify(event, p.communication.text("type"))
	notice := df.Notice{
		Type:       event,
		Kind:       kind,
		EntityType: entityType(kind),
		OccurredAt: p.communication.at("updatedat", "createdat"),
	}
	aboutContact := notice.EntityType == "contact"
	if aboutContact && p.contact == nil {
		p.contact = p.body
	}
	d.addContact(&notice, p)
	if aboutContact {
		notice.EntityID = notice.ContactID
	} else {
		notice.EntityID = p.communication.text("id", "communicationid", "callid")
	}
	if at := p.contact.at("updatedat", "createdat"); notice.OccurredAt.IsZero() {
		notice.OccurredAt = at
	}
	return notice
}

// addContact fills in whom the notice is about.
func (d Decoder) addContact(notice *df.Notice, p parts) {
	number := p.communication.text("leadnumber", "contactphonenumber")
	notice.ContactID = p.communication.text("contactid")
	if p.contact != nil {
		contact := d.Custom.contact(p.contact, d.Region)
		if contact.ID != "" || contact.Get(df.PhoneNumber) != "" {
			notice.Contact = &contact
		}
		if contact.ID != "" {
			notice.ContactID = contact.ID
		}
		if text := contact.Get(df.PhoneNumber); text != "" {
			number = text
		}
		notice.Email = contact.Get(df.Email)
	}
	if notice.Email == "" {
		notice.Email = strings.ToLower(p.communication.text("contactemail"))
	}
	if phone, err := df.ParsePhone(number, d.Region); err == nil {
		notice.Phone = phone
	}
}

// printable returns an event's name as it may be shown: short, and without
// anything but letters, digits and the punctuation of names.
func printable(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r < 0x80 && payload.Fold(string(r)) != "" || strings.ContainsRune("-._ ", r) {
			return r
		}
		return -1
	}, name)
	if clean == "" {
		return "without a name"
	}
	return clean[:min(len(clean), 48)]
}
