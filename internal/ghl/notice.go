package ghl

import (
	"strings"

	"github.com/df-middleware/dfm/internal/df"
)

// notice reads what a payload says about the entity that its event is about.
func (d Decoder) notice(payload object, what meaning) df.Notice {
	notice := df.Notice{
		Kind: what.kind, EntityType: what.entity, DeliveryID: payload.id("webhookId"),
		OccurredAt: payload.time("timestamp"), ContactID: contactID(payload, what.entity),
	}
	contact := payload.child("contact")
	notice.Phone = d.phone(firstText(payload.text("phone", "phone_number"), contact.text("phone", "phoneNumber")))
	notice.Email = strings.ToLower(firstText(payload.text("email"), contact.text("email")))
	switch what.entity {
	case "contact":
		d.aboutContact(&notice, payload)
	case "appointment":
		aboutAppointment(&notice, payload)
	case "message":
		d.aboutMessage(&notice, payload)
	case "app":
		notice.EntityID = payload.id("locationId", "companyId", "appId")
	case "opportunity":
		notice.EntityID = payload.id("opportunityId", "opportunity_id", "id")
	case "user", "location":
		notice.Phone, notice.Email = "", "" // not a contact's
		notice.EntityID = payload.id("id")
	default:
		notice.EntityID = payload.id("id")
	}
	if notice.EntityID == "" && missesID(notice) {
		notice.Skip = "the event names no " + what.entity
	}
	return notice
}

// missesID reports whether nothing can be done with a notice that lacks its
// entity's id. A contact may also be known by its phone or e-mail, and what
// belongs to a contact is known by the contact.
func missesID(notice df.Notice) bool {
	switch notice.EntityType {
	case "contact":
		return notice.Phone == "" && notice.Email == ""
	case "appointment", "opportunity", "note", "task":
		return notice.ContactID == ""
	case "message", "app":
		return true
	}
	return false
}

// contactID finds the contact that an event is about. "id" is the contact's only
// in contact events, and there only when nothing says so plainly.
func contactID(payload object, entity string) string {
	plain := firstText(payload.id("contactId", "contact_id"), payload.child("contact").id("id", "contactId"),
		payload.child("appointment").id("contactId"), payload.child("customData").id("contactId", "contact_id"))
	if plain == "" && entity == "contact" {
		return payload.id("id")
	}
	return plain
}

func (d Decoder) aboutContact(notice *df.Notice, payload object) {
	notice.EntityID = notice.ContactID
	if when := payload.time("dateUpdated"); !when.IsZero() {
		notice.OccurredAt = when
	}
	if notice.Kind == df.KindContactDeleted {
		return // what is gone carries nothing to write
	}
	carried := payload
	if nested := payload.child("contact"); nested.text("email", "phone", "firstName", "first_name") != "" {
		carried = nested
	}
	contact := readContact(carried, d.Region).contact(false)
	if len(contact.Fields) == 0 && contact.Tags == nil && contact.DoNotText == nil {
		return
	}
	contact.ID, contact.UpdatedAt = notice.ContactID, payload.time("dateUpdated")
	notice.Contact = &contact
}

func aboutAppointment(notice *df.Notice, payload object) {
	nested := payload.child("appointment", "calendar")
	notice.EntityID = firstText(nested.id("appointmentId", "id"), payload.id("appointmentId", "appointment_id", "eventId"))
	if notice.EntityID == "" && payload.id("id") != notice.ContactID {
		notice.EntityID = payload.id("id")
	}
	for _, o := range []object{nested, payload} {
		if when := o.time("dateUpdated"); !when.IsZero() {
			notice.OccurredAt = when
			return
		}
	}
}

// aboutMessage reads a message. The contact's number is the other end's: who it
// is from when inbound, who it is to when outbound. Providers send {} for either.
func (d Decoder) aboutMessage(notice *df.Notice, payload object) {
	notice.EntityID = payload.id("messageId", "emailMessageId", "id")
	if when := payload.time("dateAdded"); !when.IsZero() {
		notice.OccurredAt = when
	}
	if notice.Phone != "" {
		return
	}
	other := "from"
	if strings.EqualFold(payload.text("direction"), "outbound") {
		other = "to"
	}
	notice.Phone = d.phone(payload.text(other))
}
