package ghl

import (
	"strings"
	"time"
)

// Booking is an appointment or an opportunity as a webhook shows it. What it does
// not show is empty.
type Booking struct {
	ID        string
	ContactID string
	Status    string
	Title     string
	Owner     string // GHL's user id
	Source    string
	// Of an appointment.
	CalendarID string
	Start, End time.Time
	// Of an opportunity.
	PipelineID, StageID string
	Value               string
	ChangedAt           time.Time // zero when not said: opportunities do not
	Deleted             bool
}

// Booking reads what a webhook tells of an appointment or an opportunity.
// Appointments stand under "appointment" in GHL's own events, and flat in those
// of workflows; opportunities are always flat. It reports false for anything else.
func (d Decoder) Booking(raw []byte) (Booking, bool) {
	root, err := parseObject(raw)
	if err != nil {
		return Booking{}, false
	}
	root = flatten(root)
	o := root.inside("appointment", "calendar", "opportunity")
	event := root.text("type", "event", "eventType")
	b := Booking{
		ID:        firstText(o.id("id", "appointmentId", "opportunityId"), root.id("id")),
		ContactID: firstText(o.id("contactId"), root.id("contactId", "contact_id"), root.child("contact").id("id")),
		Status:    strings.ToLower(o.text("appointmentStatus", "appoinmentStatus", "status")),
		Title:     o.text("title", "name"), Owner: o.id("assignedUserId", "assignedTo"), Source: o.text("source"),
		CalendarID: o.id("calendarId"), Start: o.time("startTime"), End: o.time("endTime"),
		PipelineID: o.id("pipelineId"), StageID: o.id("pipelineStageId"), Value: o.text("monetaryValue"),
		ChangedAt: o.time("dateUpdated", "updatedAt"),
		Deleted:   strings.HasSuffix(strings.ToLower(event), "delete"),
	}
	return b, b.ID != ""
}
