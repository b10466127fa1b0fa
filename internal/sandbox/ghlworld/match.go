package ghlworld

import (
	"net/http"
	"strings"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// matchOrder is what the location compares first.
func (w *World) matchOrder() []string {
	if w.config.MatchFirst == "phone" {
		return []string{"phone", "email"}
	}
	return []string{"email", "phone"}
}

// byField returns the oldest contact with this value, other than the given one.
func (w *World) byField(field, value, except string) *Contact {
	if value == "" {
		return nil
	}
	for _, id := range w.order {
		if k := w.contacts[id]; id != except && strings.EqualFold(k.Fields[field], value) {
			return k
		}
	}
	return nil
}

func (w *World) duplicateOf(k *Contact) (*Contact, string) {
	for _, field := range w.matchOrder() {
		if other := w.byField(field, k.Fields[field], k.ID); other != nil {
			return other, field
		}
	}
	return nil, ""
}

// duplicate is the 400 (not 409) for a contact that is already there.
func duplicate(other *Contact, field string) *failure {
	f := fail(http.StatusBadRequest, "This location does not allow duplicated contacts.")
	delete(f.body, "error")
	f.body["meta"] = map[string]any{"contactId": other.ID, "matchingField": field, "contactName": other.name()}
	return f
}

func (w *World) findDuplicate(c *call) (int, any, *failure) {
	query := c.r.URL.Query()
	if f := w.reach(c, query.Get("locationId")); f != nil {
		return 0, nil, f
	}
	values := map[string]string{"email": query.Get("email")}
	if phone, err := df.ParsePhone(query.Get("number"), "US"); err == nil {
		values["phone"] = string(phone)
	}
	for _, field := range w.matchOrder() {
		if k := w.byField(field, values[field], ""); k != nil {
			return http.StatusOK, map[string]any{"contact": w.view(k, byID, c.v3)}, nil
		}
	}
	return http.StatusOK, map[string]any{"contact": nil}, nil
}

// upsertContact updates the contact that matches the first field of the
// location's order. When e-mail and phone belong to two contacts, the other
// field is dropped in silence.
func (w *World) upsertContact(c *call) (int, any, *failure) {
	if complaints := append(contactUpsert.check(c.body, "locationId"), checkContact(c.body, c.v3)...); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	if f := w.reach(c, c.body.Text("locationId")); f != nil {
		return 0, nil, f
	}
	probe := w.blank()
	if f := w.apply(probe, c.body, c.v3); f != nil {
		return 0, nil, f
	}
	forced := w.config.AllowDuplicates && c.body.True("createNewIfDuplicateAllowed")
	existing, field := w.duplicateOf(probe)
	if existing == nil || forced {
		if !stage.Unwritten(c.r) {
			w.add(probe)
		}
		return http.StatusOK, map[string]any{"new": true, "contact": w.view(probe, byID, c.v3)}, nil
	}
	other := "email"
	if field == "email" {
		other = "phone"
	}
	if w.byField(other, probe.Fields[other], existing.ID) != nil {
		delete(c.body, other)
	}
	changed := existing.clone()
	if f := w.apply(changed, c.body, c.v3); f != nil {
		return 0, nil, f
	}
	if !stage.Unwritten(c.r) {
		w.replace(existing, changed)
	}
	return http.StatusOK, map[string]any{"new": false, "contact": w.view(changed, byID, c.v3)}, nil
}
