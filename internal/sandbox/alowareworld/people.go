package alowareworld

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// ErrNoContact is returned for contacts that the account does not have.
var ErrNoContact = errors.New("no such contact")

// ErrExists is returned when the number belongs to a contact already.
var ErrExists = errors.New("the number belongs to a contact already")

// CreateContact is an agent who adds a contact. Fields are named as in /forms.
func (w *World) CreateContact(phone string, fields map[string]string, tags ...string) (Contact, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	parsed, err := df.ParsePhone(phone, "US")
	if err != nil {
		return Contact{}, fmt.Errorf("create contact: %w", err)
	}
	if w.byPhone(string(parsed)) != nil {
		return Contact{}, fmt.Errorf("create contact: %w", ErrExists)
	}
	k := w.blank(string(parsed))
	w.apply(k, asValues(fields))
	w.addTags(k, tags)
	w.contacts = append(w.contacts, k)
	w.contactEvent("Contact-Created", k, false)
	return *k.clone(), nil
}

func asValues(fields map[string]string) stage.Object {
	values := stage.Object{}
	for name, value := range fields {
		values[name] = value
	}
	return values
}

// change edits a copy of the contact and puts it in its place.
func (w *World) change(phone string, edit func(*Contact)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.byPhone(phone)
	if k == nil {
		return fmt.Errorf("edit contact: %w", ErrNoContact)
	}
	changed := k.clone()
	edit(changed)
	w.replace(k, changed, false)
	return nil
}

// EditContact is an agent who edits a contact; an empty value clears a field.
func (w *World) EditContact(phone string, fields map[string]string) error {
	return w.change(phone, func(k *Contact) { w.apply(k, asValues(fields)) })
}

// SetTags replaces the contact's tags; only people can take one away.
func (w *World) SetTags(phone string, tags ...string) error {
	return w.change(phone, func(k *Contact) { k.Tags = nil; w.addTags(k, tags) })
}

// SetDNC marks the contact do-not-contact, or takes the mark away.
func (w *World) SetDNC(phone string, on bool) error {
	return w.change(phone, func(k *Contact) { k.DNC = on })
}

// AddToList is an agent who puts the contact on a power-dialer list. Aloware
// has no webhook for that.
func (w *World) AddToList(phone string, list int64) error {
	return w.change(phone, func(k *Contact) { k.Lists = with(k.Lists, list) })
}

// ReceiveText is a text from the contact. The keywords that Aloware acts on opt
// the contact out of texts; others, REVOKE and OPTOUT among them, do not.
func (w *World) ReceiveText(phone, text string) error {
	err := w.change(phone, func(k *Contact) {
		w.lastComm++
		body := w.communication(w.lastComm, typeSMS, Inbound, k, 0)
		body["body"] = text
		body["disposition_status"], body["disposition_status2"] = "completed", dispositions["completed"]
		body["current_status"], body["current_status2"] = "received", 11
		w.event("InboundSMS-DispositionCompleted", body, 0)
		word := strings.ToUpper(strings.TrimSpace(text))
		if slices.Contains([]string{"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"}, word) {
			k.OptedOut = true
		}
	})
	if err != nil {
		return fmt.Errorf("receive text: %w", err)
	}
	return nil
}

// Contacts returns copies of all contacts, oldest first.
func (w *World) Contacts() []Contact {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Contact, 0, len(w.contacts))
	for _, k := range w.contacts {
		out = append(out, *k.clone())
	}
	return out
}

// Contact returns a copy of the contact with this number, in any usual notation.
func (w *World) Contact(phone string) (Contact, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.byPhone(phone)
	if k == nil {
		return Contact{}, false
	}
	return *k.clone(), true
}

// Texts returns the texts that were handed to the gateway.
func (w *World) Texts() []Text {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.texts)
}

func (w *World) routeControl() {
	w.Control("GET /_sandbox/contacts", func(rw http.ResponseWriter, _ *http.Request) { stage.JSON(rw, 200, w.Contacts()) })
	w.Control("GET /_sandbox/texts", func(rw http.ResponseWriter, _ *http.Request) { stage.JSON(rw, 200, w.Texts()) })
	w.Control("POST /_sandbox/contacts", w.controlCreate)
	w.Control("POST /_sandbox/contacts/{phone}", w.controlEdit)
	w.Control("POST /_sandbox/contacts/{phone}/call", w.controlCall)
	w.Control("POST /_sandbox/listener", w.controlListener)
	w.Control("POST /_sandbox/ping", func(rw http.ResponseWriter, _ *http.Request) { w.Ping(); done(rw, nil) })
}

func done(rw http.ResponseWriter, err error) {
	if err != nil {
		stage.JSON(rw, http.StatusConflict, map[string]string{"error": err.Error()})
		return
	}
	stage.JSON(rw, http.StatusOK, map[string]bool{"done": true})
}

func (w *World) controlCreate(rw http.ResponseWriter, r *http.Request) {
	var order struct {
		Phone  string            `json:"phone"`
		Fields map[string]string `json:"fields"`
		Tags   []string          `json:"tags"`
	}
	if !stage.Order(rw, r, &order) {
		return
	}
	k, err := w.CreateContact(order.Phone, order.Fields, order.Tags...)
	if err != nil {
		done(rw, err)
		return
	}
	stage.JSON(rw, http.StatusCreated, k)
}

func (w *World) controlEdit(rw http.ResponseWriter, r *http.Request) {
	var order struct {
		Fields map[string]string `json:"fields"`
		Tags   []string          `json:"tags"` // replaces
		DNC    *bool             `json:"dnc"`
		Text   string            `json:"text"` // a text from the contact
	}
	if !stage.Order(rw, r, &order) {
		return
	}
	phone := r.PathValue("phone")
	err := w.change(phone, func(k *Contact) {
		w.apply(k, asValues(order.Fields))
		if order.Tags != nil {
			k.Tags = nil
			w.addTags(k, order.Tags)
		}
		if order.DNC != nil {
			k.DNC = *order.DNC
		}
	})
	if err == nil && order.Text != "" {
		err = w.ReceiveText(phone, order.Text)
	}
	done(rw, err)
}

func (w *World) controlCall(rw http.ResponseWriter, r *http.Request) {
	order := Call{Direction: Outbound, Disposition: "completed", TalkTime: 63, Recording: true, Summary: "They agreed to talk again."}
	if !stage.Order(rw, r, &order) {
		return
	}
	if _, known := dispositions[order.Disposition]; !known {
		stage.JSON(rw, http.StatusBadRequest, map[string]string{"error": "unknown disposition"})
		return
	}
	stage.JSON(rw, http.StatusOK, map[string]int64{"id": w.PlayCall(r.PathValue("phone"), order)})
}

func (w *World) controlListener(rw http.ResponseWriter, r *http.Request) {
	var order struct {
		URL string `json:"url"`
	}
	if stage.Order(rw, r, &order) {
		w.SetWebhook(order.URL)
		done(rw, nil)
	}
}
