package ghlworld

import (
	"net/http"
	"strings"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

func (w *World) routePlaces() {
	w.route("get location", "GET", "/locations/{location}", crm, w.getLocation)
	w.route("list tags", "GET", "/locations/{location}/tags", crm, w.listTags)
	w.route("create tag", "POST", "/locations/{location}/tags", crm, w.postTag)
	w.route("list custom fields", "GET", "/locations/{location}/customFields", crm, w.listCustomFields)
	w.route("search users", "GET", "/users/search", crm, w.searchUsers)
	w.route("get user", "GET", "/users/{id}", crm, w.getUser)
	w.route("search opportunities", "GET", "/opportunities/search", crm, w.searchOpportunities)
	w.route("list pipelines", "GET", "/opportunities/pipelines", crm, w.listPipelines)
	w.route("get object", "GET", "/objects/{key}", crm, w.getObject)
	w.route("search records", "POST", "/objects/{key}/records/search", crm, w.searchRecords)
	w.route("create record", "POST", "/objects/{key}/records", crm, w.postRecord)
	w.route("get record", "GET", "/objects/{key}/records/{id}", crm, w.getRecord)
	w.route("update record", "PUT", "/objects/{key}/records/{id}", crm, w.putRecord)
	w.route("list calendars", "GET", "/calendars/", inboxAPI, w.listCalendars)
	w.route("list calendar events", "GET", "/calendars/events", inboxAPI, w.listEvents)
	w.route("create appointment", "POST", "/calendars/events/appointments", inboxAPI, w.postAppointment)
	w.route("get appointment", "GET", "/calendars/events/appointments/{id}", inboxAPI, w.getAppointment)
	w.route("update appointment", "PUT", "/calendars/events/appointments/{id}", inboxAPI, w.putAppointment)
	w.route("delete appointment", "DELETE", "/calendars/events/{id}", inboxAPI, w.removeAppointment)
}

func (w *World) getLocation(c *call) (int, any, *failure) {
	if f := w.reach(c, c.r.PathValue("location")); f != nil {
		return 0, nil, f
	}
	return http.StatusOK, map[string]any{"location": map[string]any{
		"id": w.config.LocationID, "companyId": w.config.CompanyID, "name": "Sandbox", "timezone": w.config.Timezone,
		"country": "US", "email": "office@example.test", "phone": "+15005550100",
		"settings": map[string]any{
			"allowDuplicateContact": w.config.AllowDuplicates, "allowDuplicateOpportunity": false,
			"allowFacebookNameMerge": false, "disableContactTimezone": false,
		},
	}}, nil
}

func (w *World) listTags(c *call) (int, any, *failure) {
	if f := w.reach(c, c.r.PathValue("location")); f != nil {
		return 0, nil, f
	}
	out := []map[string]any{}
	for _, name := range w.tagNames {
		out = append(out, w.tagView(name))
	}
	return http.StatusOK, map[string]any{"tags": out}, nil
}

func (w *World) tagView(name string) map[string]any {
	return map[string]any{"id": w.tags[strings.ToLower(name)], "name": name, "locationId": w.config.LocationID}
}

func (w *World) postTag(c *call) (int, any, *failure) {
	if f := w.reach(c, c.r.PathValue("location")); f != nil {
		return 0, nil, f
	}
	if complaints := (dto{"name": text}).check(c.body, "name"); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	name := strings.TrimSpace(c.body.Text("name"))
	if w.tags[strings.ToLower(name)] != "" {
		return 0, nil, fail(http.StatusBadRequest, "The tag name is already exist.")
	}
	w.tags[strings.ToLower(name)] = w.ID(20)
	w.tagNames = append(w.tagNames, name)
	return http.StatusOK, map[string]any{"tag": w.tagView(name)}, nil
}

func (w *World) listCustomFields(c *call) (int, any, *failure) {
	if f := w.reach(c, c.r.PathValue("location")); f != nil {
		return 0, nil, f
	}
	out := []map[string]any{}
	for i, f := range w.config.CustomFields {
		out = append(out, map[string]any{
			"id": f.ID, "name": f.Name, "fieldKey": f.FieldKey, "dataType": f.DataType, "placeholder": "",
			"position": i * 50, "picklistOptions": []any{}, "locationId": w.config.LocationID, "model": "contact",
		})
	}
	return http.StatusOK, map[string]any{"customFields": out}, nil
}

func (w *World) userView(u User) map[string]any {
	return map[string]any{
		"id": u.ID, "name": strings.TrimSpace(u.FirstName + " " + u.LastName), "firstName": u.FirstName,
		"lastName": u.LastName, "email": u.Email, "phone": u.Phone, "extension": "", "permissions": map[string]any{},
		"deleted": false, "roles": map[string]any{
			"type": "account", "role": "user", "locationIds": []string{w.config.LocationID}, "restrictSubAccount": false,
		},
	}
}

func (w *World) searchUsers(c *call) (int, any, *failure) {
	query := c.r.URL.Query()
	if query.Get("companyId") != w.config.CompanyID {
		return 0, nil, invalid("companyId should not be empty")
	}
	out := []map[string]any{}
	for _, u := range w.config.Users {
		needle := strings.ToLower(query.Get("query"))
		ids := query.Get("ids")
		if strings.Contains(strings.ToLower(u.FirstName+" "+u.LastName+" "+u.Email), needle) &&
			(ids == "" || strings.Contains(","+ids+",", ","+u.ID+",")) {
			out = append(out, w.userView(u))
		}
	}
	count := len(out)
	skip := min(count, max(0, number(query.Get("skip"), 0)))
	out = out[skip:]
	return http.StatusOK, map[string]any{"users": out[:min(len(out), number(query.Get("limit"), 25))], "count": count}, nil
}

func (w *World) getUser(c *call) (int, any, *failure) {
	for _, u := range w.config.Users {
		if u.ID == c.r.PathValue("id") {
			return http.StatusOK, w.userView(u), nil
		}
	}
	return 0, nil, fail(http.StatusBadRequest, "User not found")
}

// Record is one record of a custom object.
type Record struct {
	ID          string         `json:"id"`
	Key         string         `json:"key"` // "custom_objects.broadcasts"
	Properties  map[string]any `json:"properties"`
	DateAdded   time.Time      `json:"dateAdded"`
	DateUpdated time.Time      `json:"dateUpdated"`
}

func (r *Record) view() map[string]any {
	return map[string]any{
		"id": r.ID, "owner": []string{}, "followers": []string{}, "properties": r.Properties,
		"dateAdded": stage.ISO(r.DateAdded), "dateUpdated": stage.ISO(r.DateUpdated),
	}
}
