package ghlworld

import (
	"net/http"
	"slices"
	"time"

	"github.com/df-middleware/dfm/internal/sandbox/stage"
)

// Note is one note on a contact.
type Note struct {
	ID        string    `json:"id"`
	ContactID string    `json:"contactId"`
	Body      string    `json:"body"`
	Title     string    `json:"title,omitempty"`
	UserID    string    `json:"userId,omitempty"`
	DateAdded time.Time `json:"dateAdded"`
}

var noteBody = dto{"body": text, "userId": text, "title": text, "color": text, "pinned": boolean}

func (n *Note) view() map[string]any {
	return map[string]any{
		"id": n.ID, "body": n.Body, "userId": n.UserID, "dateAdded": stage.ISO(n.DateAdded),
		"contactId": n.ContactID, "title": n.Title, "color": "", "pinned": false,
	}
}

func (w *World) note(c *call) (*Note, *failure) {
	if _, f := w.contact(c); f != nil {
		return nil, f
	}
	for _, n := range w.notes {
		if n.ID == c.r.PathValue("note") && n.ContactID == c.r.PathValue("id") {
			return n, nil
		}
	}
	return nil, fail(http.StatusNotFound, "Note not found")
}

func (w *World) listNotes(c *call) (int, any, *failure) {
	k, f := w.contact(c)
	if f != nil {
		return 0, nil, f
	}
	out := []map[string]any{}
	for _, n := range slices.Backward(w.notes) {
		if n.ContactID == k.ID {
			out = append(out, n.view())
		}
	}
	return http.StatusOK, map[string]any{"notes": out}, nil
}

func (w *World) postNote(c *call) (int, any, *failure) {
	k, f := w.contact(c)
	if f != nil {
		return 0, nil, f
	}
	if complaints := noteBody.check(c.body, "body"); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	n := &Note{
		ID: w.ID(20), ContactID: k.ID, Body: c.body.Text("body"), Title: c.body.Text("title"),
		UserID: c.body.Text("userId"), DateAdded: w.Now(),
	}
	if !stage.Unwritten(c.r) {
		w.notes = append(w.notes, n)
		w.noteEvent("NoteCreate", n)
	}
	return http.StatusCreated, map[string]any{"note": n.view()}, nil
}

func (w *World) getNote(c *call) (int, any, *failure) {
	n, f := w.note(c)
	if f != nil {
		return 0, nil, f
	}
	return http.StatusOK, map[string]any{"note": n.view()}, nil
}

func (w *World) putNote(c *call) (int, any, *failure) {
	n, f := w.note(c)
	if f != nil {
		return 0, nil, f
	}
	if complaints := noteBody.check(c.body); len(complaints) > 0 {
		return 0, nil, invalid(complaints...)
	}
	changed := *n
	if c.body.Has("body") {
		changed.Body = c.body.Text("body")
	}
	if c.body.Has("title") {
		changed.Title = c.body.Text("title")
	}
	if c.body.Has("userId") {
		changed.UserID = c.body.Text("userId")
	}
	if !stage.Unwritten(c.r) {
		*n = changed
		w.noteEvent("NoteUpdate", n)
	}
	return http.StatusOK, map[string]any{"note": changed.view()}, nil
}

func (w *World) removeNote(c *call) (int, any, *failure) {
	n, f := w.note(c)
	if f != nil {
		return 0, nil, f
	}
	if !stage.Unwritten(c.r) {
		w.notes = slices.DeleteFunc(w.notes, func(other *Note) bool { return other == n })
		w.noteEvent("NoteDelete", n)
	}
	return http.StatusOK, map[string]any{"succeded": true}, nil
}
