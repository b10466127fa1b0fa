package ghlworld

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

func (w *World) routeContacts() {
	w.route("create contact", "POST", "/contacts/", crm, w.postContact)
	w.route("upsert contact", "POST", "/contacts/upsert", crm, w.upsertContact)
	w.route("search contacts", "POST", "/contacts/search", crm, w.searchContacts)
	w.route("find duplicate", "GET", "/contacts/search/duplicate", crm, w.findDuplicate)
	w.route("get contact", "GET", "/contacts/{id}", crm, w.getContact)
	w.route("update contact", "PUT", "/contacts/{id}", crm, w.putContact)
	w.route("delete contact", "DELETE", "/contacts/{id}", crm, w.removeContact)
	w.route("add tags", "POST", "/contacts/{id}/tags", crm, w.changeTags)
	w.route("remove tags", "DELETE", "/contacts/{id}/tags", crm, w.changeTags)
	w.route("list notes", "GET", "/contacts/{id}/notes", crm, w.listNotes)
	w.route("create note", "POST", "/contacts/{id}/notes", crm, w.postNote)
	w.route("get note", "GET", "/contacts/{id}/notes/{note}", crm, w.getNote)
	w.route("update note", "PUT", "/contacts/{id}/notes/{note}", crm, w.putNote)
	w.route("delete note", "DELETE", "/contacts/{id}/notes/{note}", crm, w.removeNote)
	w.route("list contact appointments", "GET", "/contacts/{id}/appointments", crm, w.contactAppointments)
}

// contact finds the contact that the path names.
func (w *World) contact(c *call) (*Contact, *failure) {
	k := w.contacts[c.r.PathValue("id")]
	if k == nil {
		return nil, fail(w.config.MissingStatus, "Contact with id "+c.r.PathValue("id")+" not found")
	}
	if f := w.reach(c, k.LocationID); f != nil {
		return nil, f
	}
	return k, nil
}

func (w *World) getContact(c *call) (int, any, *failure) {
	k, f := w.contact(c)
	if f != nil {
		return 0, nil, f
	}
	return http.StatusOK, map[string]any{"contact": w.view(k, byID, c.v3)}, nil
}

func (w *World) postContact(c *call) (int, any, *failure) {
	if complaints := append(contactCreate.check(c.body, "locationId"), checkContact(c.body, c.v3)...); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	if f := w.reach(c, c.body.Text("locationId")); f != nil {
		return 0, nil, f
	}
	k := w.blank()
	if f := w.apply(k, c.body, c.v3); f != nil {
		return 0, nil, f
	}
	if other, field := w.duplicateOf(k); other != nil && !w.config.AllowDuplicates {
		return 0, nil, duplicate(other, field)
	}
	if !stage.Unwritten(c.r) {
		w.add(k)
	}
	return http.StatusCreated, map[string]any{"contact": w.view(k, created, c.v3)}, nil
}

func (w *World) putContact(c *call) (int, any, *failure) {
	k, f := w.contact(c)
	if f != nil {
		return 0, nil, f
	}
	if complaints := append(contactUpdate.check(c.body), checkContact(c.body, c.v3)...); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	changed := k.clone()
	if f := w.apply(changed, c.body, c.v3); f != nil {
		return 0, nil, f
	}
	if other, field := w.duplicateOf(changed); other != nil && !w.config.AllowDuplicates && changed.Fields[field] != k.Fields[field] {
		return 0, nil, duplicate(other, field)
	}
	if !stage.Unwritten(c.r) {
		w.replace(k, changed)
	}
	return http.StatusOK, map[string]any{succeeded(c.v3, false): true, "contact": w.view(changed, byID, c.v3)}, nil
}

func (w *World) removeContact(c *call) (int, any, *failure) {
	k, f := w.contact(c)
	if f != nil {
		return 0, nil, f
	}
	if !stage.Unwritten(c.r) {
		w.remove(k)
	}
	answer := map[string]any{succeeded(c.v3, true): true}
	if c.v3 {
		answer["succeeded"] = true
	}
	return http.StatusOK, answer, nil
}

// succeeded is spelt "succeded" in the dated versions; v3 mends that, and keeps
// the old spelling beside it when a contact is deleted.
func succeeded(v3, deleting bool) string {
	if v3 && !deleting {
		return "succeeded"
	}
	return "succeded"
}

func (w *World) changeTags(c *call) (int, any, *failure) {
	k, f := w.contact(c)
	if f != nil {
		return 0, nil, f
	}
	if complaints := (dto{"tags": texts}).check(c.body, "tags"); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	changed, status := k.clone(), http.StatusCreated
	if c.r.Method == http.MethodDelete {
		removeTags(changed, c.body.Texts("tags"))
		status = http.StatusOK
	} else {
		w.addTags(changed, c.body.Texts("tags"))
	}
	if !stage.Unwritten(c.r) {
		w.replace(k, changed)
	}
	return status, map[string]any{"tags": append([]string{}, changed.Tags...)}, nil
}

// blank returns a contact that is not in the location yet.
func (w *World) blank() *Contact {
	return &Contact{
		ID: w.ID(20), LocationID: w.config.LocationID, Fields: map[string]string{}, Custom: map[string]any{},
		DNDSettings: map[string]Setting{}, DateAdded: w.Now(), DateUpdated: w.Now(),
	}
}

func (w *World) add(k *Contact) {
	w.contacts[k.ID] = k
	w.order = append(w.order, k.ID)
	w.reindex(k.ID, k)
	w.contactEvent("ContactCreate", k)
}

// replace puts the changed contact in the place of the old one and tells the
// listeners what changed. Writing what is already there moves dateUpdated and
// causes no event.
func (w *World) replace(old, changed *Contact) {
	changed.DateUpdated = w.Now()
	w.contacts[old.ID] = changed
	w.reindex(old.ID, changed)
	tags := !sameTags(old.Tags, changed.Tags)
	dnd := old.DND != changed.DND || !maps.Equal(old.DNDSettings, changed.DNDSettings)
	fields := !sameFields(old, changed)
	if tags {
		w.contactEvent("ContactTagUpdate", changed)
	}
	if dnd {
		w.contactEvent("ContactDndUpdate", changed)
	}
	if fields || (tags || dnd) && !w.config.SingleEvents {
		w.contactEvent("ContactUpdate", changed)
	}
}

func sameFields(a, b *Contact) bool {
	for _, field := range fieldNames {
		if a.Fields[field] != b.Fields[field] {
			return false
		}
	}
	return maps.EqualFunc(a.Custom, b.Custom, func(x, y any) bool {
		return stage.Text(x) == stage.Text(y) && sameList(x, y)
	})
}

func sameList(x, y any) bool {
	left, _ := x.([]any)
	right, _ := y.([]any)
	return slices.EqualFunc(left, right, func(p, q any) bool { return stage.Text(p) == stage.Text(q) })
}

func sameTags(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for _, name := range a {
		if !slices.ContainsFunc(b, func(other string) bool { return strings.EqualFold(name, other) }) {
			return false
		}
	}
	return true
}

func (w *World) remove(k *Contact) {
	delete(w.contacts, k.ID)
	w.order = slices.DeleteFunc(w.order, func(id string) bool { return id == k.ID })
	w.reindex(k.ID, nil)
	w.contactEvent("ContactDelete", k)
}
