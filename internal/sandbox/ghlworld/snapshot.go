package ghlworld

import (
	"net/http"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Contacts returns copies of all contacts, oldest first.
func (w *World) Contacts() []Contact {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Contact, 0, len(w.order))
	for _, id := range w.order {
		out = append(out, *w.contacts[id].clone())
	}
	return out
}

// Contact returns a copy of one contact.
func (w *World) Contact(id string) (Contact, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.contacts[id]
	if k == nil {
		return Contact{}, false
	}
	return *k.clone(), true
}

// ByPhone returns copies of the contacts with this E.164 number; more than one
// is a duplicate.
func (w *World) ByPhone(phone string) []Contact {
	return slices.DeleteFunc(w.Contacts(), func(k Contact) bool { return k.Fields["phone"] != phone })
}

// Messages returns copies of a contact's messages in the order of their writing.
func (w *World) Messages(contactID string) []Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Message
	for _, m := range w.messages {
		if m.ContactID == contactID {
			out = append(out, *m)
		}
	}
	return out
}

// Notes returns copies of a contact's notes, oldest first.
func (w *World) Notes(contactID string) []Note {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Note
	for _, n := range w.notes {
		if n.ContactID == contactID {
			out = append(out, *n)
		}
	}
	return out
}

// Records returns copies of the records of a custom object.
func (w *World) Records(key string) []Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Record
	for _, r := range w.records {
		if r.Key == key {
			out = append(out, *r)
		}
	}
	return out
}

func (w *World) routeControl() {
	w.Control("GET /_sandbox/contacts", func(rw http.ResponseWriter, _ *http.Request) { stage.JSON(rw, 200, w.Contacts()) })
	w.Control("POST /_sandbox/contacts", w.controlCreate)
	w.Control("GET /_sandbox/contacts/{id}", w.controlGet)
	w.Control("POST /_sandbox/contacts/{id}", w.controlEdit)
	w.Control("DELETE /_sandbox/contacts/{id}", func(rw http.ResponseWriter, r *http.Request) {
		done(rw, w.DeleteContact(r.PathValue("id")))
	})
	w.Control("POST /_sandbox/contacts/{id}/text", w.controlText)
	w.Control("POST /_sandbox/listeners", w.controlListeners)
	w.Control("POST /_sandbox/emit", w.controlEmit)
	w.Control("GET /_sandbox/key", w.controlKey)
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
		Fields map[string]string `json:"fields"`
		Tags   []string          `json:"tags"`
	}
	if !stage.Order(rw, r, &order) {
		return
	}
	k, err := w.CreateContact(order.Fields, order.Tags...)
	if err != nil {
		done(rw, err)
		return
	}
	stage.JSON(rw, http.StatusCreated, k)
}

func (w *World) controlGet(rw http.ResponseWriter, r *http.Request) {
	k, ok := w.Contact(r.PathValue("id"))
	if !ok {
		stage.JSON(rw, http.StatusNotFound, map[string]string{"error": ErrNoContact.Error()})
		return
	}
	stage.JSON(rw, http.StatusOK, map[string]any{
		"contact": k, "messages": w.Messages(k.ID), "notes": w.Notes(k.ID),
	})
}

// controlEdit does everything a person can change on a contact, in one event
// per kind of change.
func (w *World) controlEdit(rw http.ResponseWriter, r *http.Request) {
	var order struct {
		Fields     map[string]string `json:"fields"`
		AddTags    []string          `json:"addTags"`
		RemoveTags []string          `json:"removeTags"`
		DND        map[string]string `json:"dnd"` // status by channel
	}
	if !stage.Order(rw, r, &order) {
		return
	}
	done(rw, w.change(r.PathValue("id"), func(k *Contact) error {
		if f := w.apply(k, asBody(order.Fields), false); f != nil {
			return ErrRefused
		}
		w.addTags(k, order.AddTags)
		removeTags(k, order.RemoveTags)
		for channel, status := range order.DND {
			k.DNDSettings[channel] = Setting{Status: status, Code: "103", Message: "Updated by 'Sandbox user'"}
		}
		return nil
	}))
}

func (w *World) controlText(rw http.ResponseWriter, r *http.Request) {
	var order struct {
		Text      string `json:"text"`
		Direction string `json:"direction"` // outbound: an agent texts (default); inbound: the contact texts
		UserID    string `json:"userId"`
	}
	if !stage.Order(rw, r, &order) {
		return
	}
	var err error
	if strings.EqualFold(order.Direction, "inbound") {
		_, err = w.ReceiveText(r.PathValue("id"), order.Text)
	} else {
		_, err = w.AgentText(r.PathValue("id"), order.UserID, order.Text)
	}
	done(rw, err)
}

func (w *World) controlListeners(rw http.ResponseWriter, r *http.Request) {
	var l Listeners
	if stage.Order(rw, r, &l) {
		w.SetListeners(l)
		done(rw, nil)
	}
}

func (w *World) controlEmit(rw http.ResponseWriter, r *http.Request) {
	var order struct {
		Type   string         `json:"type"`
		Fields map[string]any `json:"fields"`
	}
	if stage.Order(rw, r, &order) {
		w.Emit(order.Type, order.Fields)
		done(rw, nil)
	}
}

func (w *World) controlKey(rw http.ResponseWriter, _ *http.Request) {
	key, err := w.PublicKeyPEM()
	if err != nil {
		done(rw, err)
		return
	}
	rw.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = rw.Write([]byte(key)) // the client may be gone
}
