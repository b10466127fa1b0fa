package ghlworld

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Appointment is one booking in the location's calendar.
type Appointment struct {
	ID          string    `json:"id"`
	ContactID   string    `json:"contactId"`
	CalendarID  string    `json:"calendarId"`
	Title       string    `json:"title"`
	Status      string    `json:"appointmentStatus"`
	UserID      string    `json:"assignedUserId"`
	Start       time.Time `json:"startTime"`
	End         time.Time `json:"endTime"`
	DateAdded   time.Time `json:"dateAdded"`
	DateUpdated time.Time `json:"dateUpdated"`
}

var appointmentBody = dto{
	"title": text, "meetingLocationType": text, "meetingLocationId": text, "overrideLocationConfig": boolean,
	"appointmentStatus": text, "assignedUserId": text, "description": text, "address": text, "ignoreDateRange": boolean,
	"toNotify": boolean, "ignoreFreeSlotValidation": boolean, "rrule": text, "calendarId": text, "startTime": text, "endTime": text,
}

// view shows times with an offset, as the calendar API does.
func (a *Appointment) view() map[string]any {
	zone := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05-07:00") }
	return map[string]any{
		"id": a.ID, "contactId": a.ContactID, "calendarId": a.CalendarID, "title": a.Title, "address": "",
		"appointmentStatus": a.Status, "assignedUserId": a.UserID, "users": []string{}, "groupId": "", "notes": "",
		"source": "", "startTime": zone(a.Start), "endTime": zone(a.End),
		"dateAdded": zone(a.DateAdded), "dateUpdated": zone(a.DateUpdated),
	}
}

func (w *World) appointmentEvent(event string, a *Appointment) {
	w.emit(event, map[string]any{"appointment": a.view()}) // nested, unlike all other events
}

func (w *World) appointment(c *call) (*Appointment, *failure) {
	for _, a := range w.appointments {
		if a.ID == c.r.PathValue("id") {
			return a, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Appointment not found")
}

func (w *World) listCalendars(c *call) (int, any, *failure) {
	if f := w.reach(c, c.r.URL.Query().Get("locationId")); f != nil {
		return 0, nil, f
	}
	return http.StatusOK, map[string]any{"calendars": []map[string]any{
		{"id": w.config.CalendarID, "name": "Sandbox calendar", "locationId": w.config.LocationID, "isActive": true},
	}}, nil
}

func (w *World) listEvents(c *call) (int, any, *failure) {
	query := c.r.URL.Query()
	if f := w.reach(c, query.Get("locationId")); f != nil {
		return 0, nil, f
	}
	if query.Get("userId") == "" && query.Get("calendarId") == "" && query.Get("groupId") == "" {
		return 0, nil, invalid("Either of userId, calendarId or groupId is required")
	}
	from, err1 := strconv.ParseInt(query.Get("startTime"), 10, 64)
	until, err2 := strconv.ParseInt(query.Get("endTime"), 10, 64)
	if err1 != nil || err2 != nil {
		return 0, nil, invalid("startTime must be epoch milliseconds", "endTime must be epoch milliseconds")
	}
	out := []map[string]any{}
	for _, a := range w.appointments {
		ms := a.Start.UnixMilli()
		if ms >= from && ms <= until && wanted(query.Get("calendarId"), a.CalendarID) && wanted(query.Get("userId"), a.UserID) {
			out = append(out, a.view())
		}
	}
	return http.StatusOK, map[string]any{"events": out}, nil
}

func (w *World) contactAppointments(c *call) (int, any, *failure) {
	k, f := w.contact(c)
	if f != nil {
		return 0, nil, f
	}
	out := []map[string]any{}
	for _, a := range w.appointments {
		if a.ContactID == k.ID {
			row := a.view()
			row["startTime"], row["endTime"] = a.Start.UTC().Format(time.DateTime), a.End.UTC().Format(time.DateTime)
			out = append(out, row)
		}
	}
	return http.StatusOK, map[string]any{"events": out}, nil
}

func (w *World) postAppointment(c *call) (int, any, *failure) {
	body := appointmentBody.with(dto{"locationId": text, "contactId": text})
	if complaints := body.check(c.body, "calendarId", "locationId", "contactId", "startTime"); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	if f := w.reach(c, c.body.Text("locationId")); f != nil {
		return 0, nil, f
	}
	if w.contacts[c.body.Text("contactId")] == nil {
		return 0, nil, fail(http.StatusBadRequest, "Contact not found")
	}
	a := &Appointment{ID: w.ID(20), ContactID: c.body.Text("contactId"), Status: "new", DateAdded: w.Now()}
	if f := a.apply(c.body, w.Now()); f != nil {
		return 0, nil, f
	}
	if !stage.Unwritten(c.r) {
		w.appointments = append(w.appointments, a)
		w.appointmentEvent("AppointmentCreate", a)
	}
	return http.StatusOK, a.view(), nil
}

func (a *Appointment) apply(body stage.Object, now time.Time) *failure {
	for _, t := range []struct {
		name string
		to   *time.Time
	}{{"startTime", &a.Start}, {"endTime", &a.End}} {
		if !body.Has(t.name) {
			continue
		}
		at, err := time.Parse(time.RFC3339, body.Text(t.name))
		if err != nil {
			return invalid(t.name + " must be a valid ISO 8601 date string")
		}
		*t.to = at
	}
	if a.End.IsZero() {
		a.End = a.Start.Add(30 * time.Minute)
	}
	for _, t := range []struct {
		name string
		to   *string
	}{{"title", &a.Title}, {"calendarId", &a.CalendarID}, {"assignedUserId", &a.UserID}, {"appointmentStatus", &a.Status}} {
		if body.Has(t.name) {
			*t.to = body.Text(t.name)
		}
	}
	statuses := []string{"new", "confirmed", "cancelled", "showed", "noshow", "invalid"}
	if !slices.Contains(statuses, a.Status) {
		return invalid("appointmentStatus must be a valid enum value")
	}
	a.DateUpdated = now
	return nil
}

func (w *World) getAppointment(c *call) (int, any, *failure) {
	a, f := w.appointment(c)
	if f != nil {
		return 0, nil, f
	}
	return http.StatusOK, map[string]any{"appointment": a.view()}, nil
}

func (w *World) putAppointment(c *call) (int, any, *failure) {
	a, f := w.appointment(c)
	if f != nil {
		return 0, nil, f
	}
	if complaints := appointmentBody.check(c.body); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	changed := *a
	if f := changed.apply(c.body, w.Now()); f != nil {
		return 0, nil, f
	}
	if !stage.Unwritten(c.r) {
		*a = changed
		w.appointmentEvent("AppointmentUpdate", a)
	}
	return http.StatusOK, changed.view(), nil
}

// removeAppointment answers 201, as the specification says.
func (w *World) removeAppointment(c *call) (int, any, *failure) {
	a, f := w.appointment(c)
	if f != nil {
		return 0, nil, f
	}
	if !stage.Unwritten(c.r) {
		w.appointments = slices.DeleteFunc(w.appointments, func(b *Appointment) bool { return a == b })
		w.appointmentEvent("AppointmentDelete", a)
	}
	return http.StatusCreated, map[string]any{"succeeded": true}, nil
}
