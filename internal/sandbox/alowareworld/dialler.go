package alowareworld

import (
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

func (w *World) routeDialler() {
	w.route("send text", "POST", "/sms-gateway/send", w.send)
	w.route("enroll in sequence", "POST", "/sequence-enroll", w.enroll)
	w.route("disenroll from sequences", "POST", "/sequence-disenroll", w.disenroll)
	w.route("remove from lists", "POST", "/powerdialer-remove-contact-from-lists", w.removeFromLists)
	w.route("clear list", "POST", "/powerdialer-clear-list", w.clearList)
	w.route("clear user lists", "POST", "/powerdialer-clear-user-lists", w.clearUserLists)
	w.route("ring group availability", "GET", "/ring-group/availability", w.availability)
}

// number reads an id, which may come as a number or as text.
func (c *call) number(name string) (int64, bool) {
	n, err := strconv.ParseInt(c.values.Text(name), 10, 64)
	return n, err == nil
}

const segment = 160 // characters that the gateway takes at once

// send takes a text. 202 means that it was taken, not that it was sent: what
// becomes of it comes by webhook, and carries nothing that the caller gave but
// the numbers and the text.
func (w *World) send(c *call) (int, any) {
	to, err := df.ParsePhone(c.values.Text("to"), "US")
	switch {
	case err != nil:
		return http.StatusUnprocessableEntity, bothShape("to", "The to format is invalid.")
	case c.values.Text("from") == "" && c.values.Text("line_id") == "":
		return http.StatusUnprocessableEntity, bothShape("from", "The from field is required when line id is not present.")
	case c.values.Text("message") == "" && c.values.Text("image_url") == "":
		return http.StatusUnprocessableEntity, bothShape("message", "The message field is required.")
	case utf8.RuneCountInString(c.values.Text("message")) > segment && !w.config.LongTexts:
		return http.StatusUnprocessableEntity, bothShape("message", "The message may not be greater than 160 characters.")
	}
	k := w.byPhone(string(to))
	barred := k != nil && (k.OptedOut || k.DNC || k.Blocked)
	if barred && w.config.RefuseOptedOut {
		return http.StatusUnprocessableEntity, messageShape("The contact has opted out.")
	}
	if !stage.Unwritten(c.r) {
		userID, _ := c.number("user_id")
		w.sent(Text{From: w.config.LineNumber, To: string(to), Message: c.values.Text("message"), UserID: userID, Failed: barred})
	}
	return http.StatusAccepted, messageShape("Message sent.")
}

// who finds the contact of a sequence call, by phone number or id.
func (w *World) who(c *call) *Contact {
	if id, ok := c.number("id"); ok {
		return w.byID(id)
	}
	return w.byPhone(c.values.Text("phone_number"))
}

var sequenceSources = []string{"phone_number", "aloware", "hubspot", "zoho", "guesty", "pipedrive"}

func (w *World) enroll(c *call) (int, any) {
	k := w.who(c)
	id, ok := c.number("sequence_id")
	switch {
	case !slices.Contains(sequenceSources, c.values.Text("source")):
		return http.StatusBadRequest, errorsShape("source", "The selected source is invalid.")
	case !ok || len(w.config.Sequences) > 0 && !slices.Contains(w.config.Sequences, id):
		return http.StatusBadRequest, errorsShape("sequence_id", "The selected sequence id is invalid.")
	case k == nil:
		return http.StatusBadRequest, messageShape("Contact not found.")
	case k.DNC || k.OptedOut:
		return http.StatusBadRequest, messageShape("The contact has opted out.")
	case slices.Contains(k.Sequences, id) && !c.values.True("force_enroll"):
		return http.StatusBadRequest, messageShape("The contact is already enrolled.")
	}
	if !stage.Unwritten(c.r) {
		k.Sequences = with(k.Sequences, id)
	}
	return http.StatusOK, messageShape("Contact enrolled.")
}

func (w *World) disenroll(c *call) (int, any) {
	k := w.who(c)
	if !slices.Contains(sequenceSources, c.values.Text("source")) {
		return http.StatusBadRequest, errorsShape("source", "The selected source is invalid.")
	}
	if k == nil {
		return http.StatusBadRequest, messageShape("Contact not found.")
	}
	if !stage.Unwritten(c.r) {
		k.Sequences = nil
	}
	return http.StatusOK, messageShape("Contact disenrolled.")
}

// removeFromLists takes the contact off every list; there is no call for one.
func (w *World) removeFromLists(c *call) (int, any) {
	id, _ := c.number("contact_id")
	k := w.byID(id)
	if k == nil {
		return http.StatusNotFound, messageShape("The requested contact id does not exist.")
	}
	if !stage.Unwritten(c.r) {
		k.Lists = nil
	}
	return http.StatusOK, messageShape("Contact removed from all lists.")
}

func (w *World) clearList(c *call) (int, any) {
	id, ok := c.number("list_id")
	if !ok || !w.hasList(id) {
		return http.StatusNotFound, messageShape("The requested list id does not exist.")
	}
	if !stage.Unwritten(c.r) {
		for _, k := range w.contacts {
			k.Lists = slices.DeleteFunc(k.Lists, func(n int64) bool { return n == id })
		}
	}
	return http.StatusOK, messageShape("List cleared.")
}

func (w *World) clearUserLists(c *call) (int, any) {
	id, ok := c.number("user_id")
	if !ok || len(w.config.Users) > 0 && !slices.ContainsFunc(w.config.Users, func(u User) bool { return u.ID == id }) {
		return http.StatusNotFound, messageShape("The requested user id does not exist.")
	}
	if !stage.Unwritten(c.r) {
		for _, k := range w.contacts {
			if k.UserID == id {
				k.Lists = nil
			}
		}
	}
	return http.StatusOK, messageShape("User lists cleared.")
}

func (w *World) availability(c *call) (int, any) {
	id, ok := c.number("ring_group_id")
	if !ok || len(w.config.RingGroups) > 0 && !slices.Contains(w.config.RingGroups, id) {
		return http.StatusNotFound, errorShape("Ring group not found.")
	}
	out := []map[string]any{}
	for i, u := range w.config.Users {
		out = append(out, map[string]any{
			"id": u.ID, "name": u.Name, "email": u.Email, "order": i + 1, "failed_to_route": u.Status != 1,
			"reasons": map[string]bool{"offline": u.Status == 0, "busy": u.Status > 1}, "answer_by": "browser", "agent_status": u.Status,
		})
	}
	return http.StatusOK, map[string]any{"test_results": out}
}
