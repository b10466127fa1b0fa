package ghlworld

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Contact is one contact of the location.
type Contact struct {
	ID          string             `json:"id"`
	LocationID  string             `json:"locationId"`
	Fields      map[string]string  `json:"fields"` // by the API's names; phone in E.164, dateOfBirth YYYY-MM-DD
	Tags        []string           `json:"tags"`
	Custom      map[string]any     `json:"custom"` // by custom field id
	DND         bool               `json:"dnd"`
	DNDSettings map[string]Setting `json:"dndSettings"` // by channel: Call, SMS, …
	InboundDND  string             `json:"inboundDnd,omitempty"`
	DateAdded   time.Time          `json:"dateAdded"`
	DateUpdated time.Time          `json:"dateUpdated"`
}

// Setting is the do-not-disturb state of one channel: active means that the
// channel is blocked, permanent that the account cannot unblock it.
type Setting struct {
	Status  string `json:"status"`
	Message string `json:"message"`
	Code    string `json:"code"`
}

// fieldNames are the flat properties of a contact that can be written.
var fieldNames = []string{"firstName", "lastName", "email", "phone", "address1", "city", "state", "postalCode",
	"website", "timezone", "source", "dateOfBirth", "country", "companyName", "assignedTo", "gender"}

func (c *Contact) clone() *Contact {
	d := *c
	d.Fields, d.Custom, d.DNDSettings = maps.Clone(c.Fields), maps.Clone(c.Custom), maps.Clone(c.DNDSettings)
	d.Tags = slices.Clone(c.Tags)
	return &d
}

func (c *Contact) name() string {
	return strings.TrimSpace(c.Fields["firstName"] + " " + c.Fields["lastName"])
}

// Blocked reports whether texts to the contact are blocked.
func (c Contact) Blocked(channel string) bool {
	status := c.DNDSettings[channel].Status
	return c.DND || status == "active" || status == "permanent"
}

// apply writes a validated body into the contact. Null clears.
func (w *World) apply(c *Contact, body stage.Object, v3 bool) *failure {
	if name := body.Text("name"); name != "" && !body.Has("firstName") && !body.Has("lastName") {
		first, last, _ := strings.Cut(name, " ")
		c.Fields["firstName"], c.Fields["lastName"] = w.rewrite("firstName", first), w.rewrite("lastName", last)
	}
	for _, field := range fieldNames {
		if !body.Has(field) {
			continue
		}
		value, f := w.stored(field, body.Text(field))
		if f != nil {
			return f
		}
		c.Fields[field] = value
	}
	if body.Has("tags") {
		c.Tags = nil
		w.addTags(c, body.Texts("tags"))
	}
	if value, ok := body["dnd"].(bool); ok {
		c.DND = value
	}
	if inbound, ok := body["inboundDndSettings"].(map[string]any); ok {
		all, _ := inbound["all"].(map[string]any)
		c.InboundDND = stage.Object(all).Text("status")
	}
	w.applyDND(c, body, v3)
	w.applyCustom(c, body)
	return nil
}

// stored returns the form in which a value is kept.
func (w *World) stored(field, value string) (string, *failure) {
	switch {
	case value == "":
		return "", nil
	case field == "phone":
		phone, err := df.ParsePhone(value, "US")
		if err != nil {
			return "", invalid("phone must be a valid phone number")
		}
		return string(phone), nil
	case field == "dateOfBirth":
		born, _ := birthday(value)
		return born, nil
	}
	return w.rewrite(field, value), nil
}

func (w *World) rewrite(field, value string) string {
	if w.Normalising() {
		return stage.Normalised(field, value)
	}
	return value
}

// applyDND never takes back what is permanent: only the contact can do that.
func (w *World) applyDND(c *Contact, body stage.Object, v3 bool) {
	settings, ok := body["dndSettings"].(map[string]any)
	if !ok {
		return
	}
	before := c.DNDSettings
	c.DNDSettings = map[string]Setting{}
	for channel, setting := range before {
		if w.config.MergeDND || setting.Status == "permanent" {
			c.DNDSettings[channel] = setting
		}
	}
	for name, value := range settings {
		channel, _ := channelName(name, v3)
		if before[channel].Status == "permanent" {
			continue
		}
		setting, _ := value.(map[string]any)
		o := stage.Object(setting)
		c.DNDSettings[channel] = Setting{o.Text("status"), o.Text("message"), o.Text("code")}
	}
}

// applyCustom ignores fields that the location does not have, in silence.
func (w *World) applyCustom(c *Contact, body stage.Object) {
	items, _ := body["customFields"].([]any)
	for _, item := range items {
		field, _ := item.(map[string]any)
		o := stage.Object(field)
		value, has := field["field_value"]
		if v3 := field["fieldValue"]; v3 != nil {
			value, has = v3, true
		}
		i := slices.IndexFunc(w.config.CustomFields, func(f CustomField) bool {
			key := strings.TrimPrefix(o.Text("key"), "contact.")
			return f.ID == o.Text("id") || key != "" && strings.TrimPrefix(f.FieldKey, "contact.") == key
		})
		if i < 0 || !has {
			continue
		}
		if value == nil || value == "" {
			delete(c.Custom, w.config.CustomFields[i].ID)
			continue
		}
		c.Custom[w.config.CustomFields[i].ID] = value
	}
}

// addTags adds tags that the contact does not have yet, whatever their case,
// and makes them known to the location.
func (w *World) addTags(c *Contact, names []string) {
	for _, name := range names {
		name = strings.TrimSpace(name)
		if w.Normalising() {
			name = strings.ToLower(name)
		}
		if name == "" || slices.ContainsFunc(c.Tags, func(have string) bool { return strings.EqualFold(have, name) }) {
			continue
		}
		c.Tags = append(c.Tags, name)
		if key := strings.ToLower(name); w.tags[key] == "" {
			w.tags[key] = w.ID(20)
			w.tagNames = append(w.tagNames, name)
		}
	}
}

func removeTags(c *Contact, names []string) {
	c.Tags = slices.DeleteFunc(c.Tags, func(have string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(have, strings.TrimSpace(name)) })
	})
}

// form is the place where a contact is shown; each shows it a little differently.
type form int

const (
	byID form = iota
	created
	found
	posted
)

// view returns the contact as the API or a webhook shows it.
func (w *World) view(c *Contact, as form, v3 bool) map[string]any {
	out := map[string]any{
		"id": c.ID, "locationId": c.LocationID, "tags": append([]string{}, c.Tags...), "dnd": c.DND,
		"dateAdded": stage.ISO(c.DateAdded), "customFields": customView(c), "attachments": []any{},
	}
	for _, field := range fieldNames {
		w.viewField(out, c, field, as)
	}
	if as == posted {
		out["name"] = c.name()
		return out
	}
	out["type"] = "lead"
	out["dateUpdated"] = stage.ISO(c.DateUpdated)
	out["dndSettings"] = dndView(c, v3)
	out["firstNameLowerCase"] = strings.ToLower(c.Fields["firstName"])
	out["lastNameLowerCase"] = strings.ToLower(c.Fields["lastName"])
	out["fullNameLowerCase"] = strings.ToLower(c.name())
	out["emailLowerCase"] = strings.ToLower(c.Fields["email"])
	if c.InboundDND != "" {
		out["inboundDndSettings"] = map[string]any{"all": map[string]any{"status": c.InboundDND}}
	}
	return out
}

// viewField shows empty fields as null in answers where the real API does, and
// leaves the others out: both forms of "nothing" occur.
func (w *World) viewField(out map[string]any, c *Contact, field string, as form) {
	value := c.Fields[field]
	name := field
	if as == found && field == "address1" {
		name = "address"
	}
	if field == "dateOfBirth" && value != "" && (as == created || as == posted) {
		value += "T00:00:00.000Z"
	}
	switch {
	case value != "":
		out[name] = value
	case slices.Contains([]string{"address1", "city", "state", "postalCode", "gender"}, field):
	case as != posted:
		out[name] = nil
	}
}

func customView(c *Contact) []map[string]any {
	out := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(c.Custom)) {
		out = append(out, map[string]any{"id": id, "value": c.Custom[id]})
	}
	return out
}

func dndView(c *Contact, v3 bool) map[string]any {
	out := map[string]any{}
	for channel, setting := range c.DNDSettings {
		if v3 {
			channel = channels[channel]
		}
		out[channel] = setting
	}
	return out
}
