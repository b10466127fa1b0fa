package ghlworld

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// ErrNoContact is returned for contacts that the location does not have.
var ErrNoContact = errors.New("no such contact")

// ErrRefused is returned when GHL would not let a person do that.
var ErrRefused = errors.New("refused")

// The methods below are what people do in GHL's user interface. They cause the
// same events as writes through the API, and no mischief but that of webhooks.

// CreateContact adds a contact with the given fields (by the API's names) and tags.
func (w *World) CreateContact(fields map[string]string, tags ...string) (Contact, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.blank()
	if f := w.apply(k, asBody(fields), false); f != nil {
		return Contact{}, fmt.Errorf("create contact: %w: %v", ErrRefused, f.body["message"])
	}
	if other, field := w.duplicateOf(k); other != nil && !w.config.AllowDuplicates {
		return Contact{}, fmt.Errorf("create contact: %w: the %s belongs to %s", ErrRefused, field, other.ID)
	}
	w.addTags(k, tags)
	w.add(k)
	return *k.clone(), nil
}

func asBody(fields map[string]string) stage.Object {
	body := stage.Object{}
	for name, value := range fields {
		body[name] = value
	}
	return body
}

// change edits a copy of the contact and puts it in its place.
func (w *World) change(id string, edit func(*Contact) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.contacts[id]
	if k == nil {
		return fmt.Errorf("edit contact %s: %w", id, ErrNoContact)
	}
	changed := k.clone()
	if err := edit(changed); err != nil {
		return fmt.Errorf("edit contact %s: %w", id, err)
	}
	w.replace(k, changed)
	return nil
}

// EditContact writes the given fields; an empty value clears one.
func (w *World) EditContact(id string, fields map[string]string) error {
	return w.change(id, func(k *Contact) error {
		if f := w.apply(k, asBody(fields), false); f != nil {
			return fmt.Errorf("%w: %v", ErrRefused, f.body["message"])
		}
		return nil
	})
}

// EditCustom writes custom fields by id; nil clears one.
func (w *World) EditCustom(id string, values map[string]any) error {
	return w.change(id, func(k *Contact) error {
		for field, value := range values {
			if value == nil {
				delete(k.Custom, field)
				continue
			}
			k.Custom[field] = value
		}
		return nil
	})
}

// DeleteContact removes the contact.
func (w *World) DeleteContact(id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.contacts[id]
	if k == nil {
		return fmt.Errorf("delete contact %s: %w", id, ErrNoContact)
	}
	w.remove(k)
	return nil
}

// AddTags adds tags to the contact.
func (w *World) AddTags(id string, tags ...string) error {
	return w.change(id, func(k *Contact) error { w.addTags(k, tags); return nil })
}

// RemoveTags takes tags off the contact.
func (w *World) RemoveTags(id string, tags ...string) error {
	return w.change(id, func(k *Contact) error { removeTags(k, tags); return nil })
}

// SetDND sets one channel's do-not-disturb status: "active" blocks it,
// "inactive" opens it, "permanent" is what a carrier sets.
func (w *World) SetDND(id, channel, status string) error {
	return w.change(id, func(k *Contact) error {
		k.DNDSettings[channel] = Setting{Status: status, Code: "103", Message: "Updated by 'Sandbox user' at " + stage.ISO(w.Now())}
		return nil
	})
}

// SetDNDAll sets the switch for all channels.
func (w *World) SetDNDAll(id string, on bool) error {
	return w.change(id, func(k *Contact) error { k.DND = on; return nil })
}

// AgentText is an agent who types a text to the contact. The text goes through
// the location's SMS provider: a signed post to the delivery URL. It returns
// ErrRefused when the contact must not be texted.
func (w *World) AgentText(contactID, userID, text string, attachments ...string) (Message, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.contacts[contactID]
	if k == nil {
		return Message{}, fmt.Errorf("text contact %s: %w", contactID, ErrNoContact)
	}
	m := w.text(k, text, "app", userID)
	m.Attachments = attachments
	if f := w.sendable(k, m); f != nil {
		return Message{}, fmt.Errorf("text contact %s: %w: %v", contactID, ErrRefused, f.body["message"])
	}
	w.deliver(k, m)
	return *m, nil
}

// ReceiveText is a text from the contact that reaches GHL's own number. STOP
// words block the contact's SMS for good, as GHL's carrier does.
func (w *World) ReceiveText(contactID, text string) (Message, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.contacts[contactID]
	if k == nil {
		return Message{}, fmt.Errorf("receive text of %s: %w", contactID, ErrNoContact)
	}
	m := &Message{
		ID: w.ID(20), ContactID: k.ID, Type: "SMS", Direction: "inbound", Status: "delivered", Body: text,
		DateAdded: w.Now(), DateUpdated: w.Now(),
	}
	w.store(m)
	word := strings.ToUpper(strings.TrimSpace(text))
	if slices.Contains([]string{"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"}, word) {
		changed := k.clone()
		changed.DNDSettings["SMS"] = Setting{Status: "permanent", Message: "Contact replied " + word, Code: "104"}
		w.replace(k, changed)
	}
	return *m, nil
}

// WriteNote is a note that a person writes.
func (w *World) WriteNote(contactID, body string) (Note, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.contacts[contactID] == nil {
		return Note{}, fmt.Errorf("write note on %s: %w", contactID, ErrNoContact)
	}
	n := &Note{ID: w.ID(20), ContactID: contactID, Body: body, DateAdded: w.Now()}
	w.notes = append(w.notes, n)
	w.noteEvent("NoteCreate", n)
	return *n, nil
}

// Book is an appointment that somebody books in the location's calendar.
func (w *World) Book(contactID, title string, start time.Time) (Appointment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.contacts[contactID] == nil {
		return Appointment{}, fmt.Errorf("book for %s: %w", contactID, ErrNoContact)
	}
	a := &Appointment{
		ID: w.ID(20), ContactID: contactID, CalendarID: w.config.CalendarID, Title: title, Status: "confirmed",
		Start: start, End: start.Add(30 * time.Minute), DateAdded: w.Now(), DateUpdated: w.Now(),
	}
	w.appointments = append(w.appointments, a)
	w.appointmentEvent("AppointmentCreate", a)
	return *a, nil
}

// Reschedule moves a booking to another time.
func (w *World) Reschedule(appointmentID string, start time.Time) error {
	return w.changeBooking(appointmentID, func(a *Appointment) { a.Start, a.End = start, start.Add(30*time.Minute) })
}

// SetAppointmentStatus says what became of a booking: confirmed, showed, noshow,
// cancelled.
func (w *World) SetAppointmentStatus(appointmentID, status string) error {
	return w.changeBooking(appointmentID, func(a *Appointment) { a.Status = status })
}

func (w *World) changeBooking(id string, change func(*Appointment)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.appointments {
		if a.ID == id {
			change(a)
			a.DateUpdated = w.Now()
			w.appointmentEvent("AppointmentUpdate", a)
			return nil
		}
	}
	return fmt.Errorf("change appointment %s: there is none", id)
}

// CancelBooking deletes a booking.
func (w *World) CancelBooking(appointmentID string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, a := range w.appointments {
		if a.ID == appointmentID {
			w.appointments = slices.Delete(w.appointments, i, i+1)
			w.appointmentEvent("AppointmentDelete", a)
			return nil
		}
	}
	return fmt.Errorf("delete appointment %s: there is none", appointmentID)
}
